"""Layer runners: the same segments of layers, computed by different libraries and in different precisions."""
