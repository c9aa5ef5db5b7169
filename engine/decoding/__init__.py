"""Decoding: prefill, exits, fills of skipped layers, verification. The hot path."""
