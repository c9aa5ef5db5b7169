"""Exit policies: who decides, at each exit candidate of each token, how the decoder goes on."""
