"""Evaluation: every way to decode at the same places, what each costs, and what a developer would keep of it."""
