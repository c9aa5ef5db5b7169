"""What runs a model with torch: the reference, training, and GPUs. The one folder here that may import it."""
