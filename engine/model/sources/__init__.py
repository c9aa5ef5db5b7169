"""Where weights come from: the package index, the hub, folders and GGUF files, and the cache that keeps them."""
