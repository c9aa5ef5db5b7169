"""Text to token ids and back, for any family's tokenizer.

Decoding a continuation on its own is wrong for tokenizers that drop a leading space or split a character over several
tokens; so it is decoded behind the end of its prompt, and a character that is not complete yet is held back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTEXT = 8  # prompt tokens decoded along; more than any tokenizer joins
_INCOMPLETE = "\ufffd"  # what a tokenizer prints for the first bytes of a character


class Tokenization:
    """A transformers tokenizer, as far as completion needs it.

    Attributes:
        end_ids: Ids that end a text: the end token and every other control token of the model.
    """

    def __init__(self, tokenizer: Any, eos_token_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        control = (idx for idx, token in tokenizer.added_tokens_decoder.items() if token.special)
        self.end_ids = frozenset({*eos_token_ids, *control})

    def encode(self, text: str) -> list[int]:
        """Token ids of a document's beginning, with the start token where the model expects one.

        A document that spells a control token, such as this model's end token, is read as the characters it is.
        """
        return [int(idx) for idx in self._tokenizer(text, verbose=False, split_special_tokens=True).input_ids]

    def continuation(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        """The text that `ids` add behind the prompt, without an incomplete last character."""
        context = list(prompt_ids[-_CONTEXT:])
        before = self._decode(context)
        return self._decode([*context, *ids])[len(before) :].rstrip(_INCOMPLETE)

    def token_texts(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[str]:
        """The text that each of `ids` adds; "" for one that only begins a character."""
        texts, done = [], 0
        for count in range(1, len(ids) + 1):
            text = self.continuation(prompt_ids, ids[:count])
            texts.append(text[done:])
            done = len(text)
        return texts

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
