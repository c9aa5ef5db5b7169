"""Completion: editor text to prompt, decoded text to suggestion. Pure functions over strings."""
