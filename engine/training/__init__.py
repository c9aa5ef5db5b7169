"""Makes the exits of a model decode well: training text, shortcuts, how well they do. Completing needs none of it."""
