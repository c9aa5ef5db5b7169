"""The corpus: which packages, what of them is source text, what is held out, and where a cursor may stand in it."""
