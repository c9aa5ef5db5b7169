"""The training of the exit policy: recorded suggestions, a supervised start, PPO on them, then the real decoder."""
