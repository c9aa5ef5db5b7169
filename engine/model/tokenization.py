"""Text to token ids and back, for any family's tokenizer.

Decoding a continuation on its own is wrong for tokenizers that drop a leading space or split a character over several
tokens; so it is decoded behind the end of its prompt, and a character that is not complete yet is held back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTEXT = 8  # prompt tokens decoded along; more than any tokenizer joins
_INCOMPLETE = "\ufffd"  # what a tokenizer prints for the first bytes of a character
# Control tokens by their spelling: Qwen and DeepSeek declare those of fill-in-the-middle as ordinary added ones.
_CONTROL = re.compile(r"<[|｜].+[|｜]>|<(fim[-_]\w+|repo_?name|file_sep|filename)>")  # noqa: RUF001 - their spelling


class Tokenization:
    """A transformers tokenizer, as far as completion needs it.

    Attributes:
        end_ids: Ids that end a text: the end token and every other control token of the model.
        control_ids: Ids of the control tokens by their names, such as "<|fim_prefix|>".
    """

    def __init__(self, tokenizer: Any, eos_token_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        undeclared = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if not token.special and _CONTROL.fullmatch(token.content)
        ]
        tokenizer.add_tokens(undeclared, special_tokens=True)  # from now on neither read in a document nor printed
        self.control_ids = {
            str(token.content): int(idx) for idx, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self.end_ids = frozenset({*eos_token_ids, *self.control_ids.values()})

    def encode(self, text: str) -> list[int]:
        """Token ids of a document's beginning, with the start token where the model expects one.

        A document that spells a control token, such as this model's end token, is read as the characters it is.
        """
        return [int(idx) for idx in self._tokenizer(text, verbose=False, split_special_tokens=True).input_ids]

    def encode_parts(self, parts: Sequence[str]) -> list[int]:
        """Token ids of a prompt that is made of text, at even places, and names of control tokens, at odd ones."""
        ids = self.encode(parts[0])
        for control, text in zip(parts[1::2], parts[2::2], strict=True):
            ids.append(self.control_ids[control])
            piece = self._tokenizer(text, verbose=False, split_special_tokens=True, add_special_tokens=False)
            ids += [int(idx) for idx in piece.input_ids]
        return ids

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
