"""A tokenizer for tiny models: a token for each printable character of ASCII, and one for the line end."""

from tokenizers import Tokenizer, models

LETTERS = Tokenizer(models.BPE(vocab={chr(code): place for place, code in enumerate((10, *range(32, 127)))}, merges=[]))
