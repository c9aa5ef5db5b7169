"""Models: where weights come from, and a transformers model seen as segments of layers between exits."""
