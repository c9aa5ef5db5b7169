"""Models a request can run on: found and fetched, read by transformers, or prepared to run without torch."""
