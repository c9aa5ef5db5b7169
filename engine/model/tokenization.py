"""Text to token ids and back, for any family's tokenizer.

Decoding a continuation on its own is wrong for tokenizers that drop a leading space or split a character over several
tokens; so it is decoded behind the end of its prompt, and a character that is not complete yet is held back.
"""

from __future__ import annotations

import functools
import re
from string import ascii_lowercase
from typing import TYPE_CHECKING

from engine.model.piece_ids import PieceIds, is_known_to_cut
from engine.model.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from engine.model.vocabulary import Vocabulary

_SEEN_CHARS = 256  # of a text's end, where its last word is looked for
_MOST_TOKENS = 3  # of an unfinished word that are chosen again; those before them hardly ever change
_CONTEXT = 8  # prompt tokens decoded along; more than any tokenizer joins
_INCOMPLETE = "\ufffd"  # what a tokenizer prints for the first bytes of a character
_SENTINEL = "\u263a"  # before a text that begins inside a prompt; what Code Llama's and Codestral's makers take
# Control tokens by their spelling: Qwen and DeepSeek declare those of fill-in-the-middle as ordinary added ones.
_CONTROL = re.compile(
    r"<[|｜].+[|｜]>|<(fim[-_]\w+|repo_?name|file_sep|filename|jupyter_start)>|<\[[\w-]+\]>|"  # noqa: RUF001 - their spelling
    r"▁<(PRE|SUF|MID|EOT)>|\[(PREFIX|SUFFIX|MIDDLE)\]"
)


class Tokenization:
    """A tokenizer, as far as completion needs it.

    Attributes:
        tokenizer: The tokenizer, from the library of that name.
        eos_token_ids: Ids that the model's configuration names as ends.
        end_ids: Ids that end a text: the end token and every other control token of the model.
        control_ids: Ids of the control tokens by their names, such as "<|fim_prefix|>".
        start_ids: What a text begins behind, where no tokens stand before it: training text stood behind an end.
    """

    def __init__(self, tokenizer: Tokenizer, eos_token_ids: Sequence[int]) -> None:
        """Takes a tokenizer over, and changes its settings; nobody else may use it afterwards."""
        undeclared = [
            token.content
            for token in tokenizer.get_added_tokens_decoder().values()
            if not token.special and _CONTROL.fullmatch(token.content)
        ]
        tokenizer.add_special_tokens(undeclared)  # from now on neither read in a document nor printed
        tokenizer.encode_special_tokens = True  # what a document spells is text
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer, self.eos_token_ids = tokenizer, tuple(eos_token_ids)
        added = tokenizer.get_added_tokens_decoder()
        self.control_ids = {token.content: idx for idx, token in added.items() if token.special}
        self.start_ids = list(eos_token_ids[:1])
        self.end_ids = frozenset({*eos_token_ids, *self.control_ids.values()})
        self._pieces = PieceIds(tokenizer) if is_known_to_cut(tokenizer) else None

    def encode(self, text: str) -> list[int]:
        """Token ids of a document's beginning, with the start token where the model expects one.

        A document that spells a control token, such as this model's end token, is read as the characters it is.
        """
        return list(self.tokenizer.encode(text).ids) if self._pieces is None else self._pieces.of(text)

    def encode_parts(self, parts: Sequence[str]) -> list[int]:
        """Token ids of a prompt that is made of text, at even places, and names of control tokens, at odd ones."""
        ids = self.encode(parts[0])
        for control, text in zip(parts[1::2], parts[2::2], strict=True):
            ids.append(self.control_ids[control])
            ids += self.encode_text(text)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Token ids of a text that does not begin a document: without the blank that some put before every text.

        From any thread, and on one core.
        """
        if self._splits_text:  # into what no token reaches over; these put none there
            return self._encode_alone(text)
        return self._encode_alone(_SENTINEL + text)[len(self._encode_alone(_SENTINEL)) :]

    def _encode_alone(self, text: str) -> list[int]:
        if self._pieces is not None:
            return self._pieces.of(text)
        return list(self.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """The bytes of all tokens that are text."""
        return vocabulary_of(self.tokenizer, without=self.end_ids)

    def certain_length(self, text: str, word_start: int) -> int:
        """How much of a text is made of tokens that hardly change, whatever comes behind it.

        Of byte-level vocabularies no token reaches over the border of what they split a text into first, such as the
        parts of a name with underscores; of others, none over the beginning of a word with the blank before it.

        Args:
            text: It ends inside a word or behind one.
            word_start: Where that begins, its blank included.
        """
        if self._splits_text:
            seen = text[-_SEEN_CHARS:]
            pieces = self.tokenizer.pre_tokenizer.pre_tokenize_str(seen)
            word_start = len(text) - len(seen) + pieces[-1][1][0]
        offsets = self.tokenizer.encode(text[word_start:], add_special_tokens=False).offsets
        return word_start + (offsets[-_MOST_TOKENS][0] if len(offsets) > _MOST_TOKENS else 0)

    def cuts(self, typed: str) -> set[tuple[int, int]]:
        """Tokens that a text is cut into which begins with `typed`: where each begins, in bytes, and its id.

        Those that end where `typed` does or behind it are left out. What may follow it is tried letter by letter; of
        2,000 words of code two are then cut otherwise.
        """
        whole, found = typed.encode(), set()
        for letter in ("", *ascii_lowercase):
            start = 0
            for token_id in self.tokenizer.encode(typed + letter, add_special_tokens=False).ids:
                spelling = self.vocabulary[token_id]
                if start + len(spelling) >= len(whole) or not whole.startswith(spelling, start):
                    break
                found.add((start, token_id))
                start += len(spelling)
        return found

    @functools.cached_property
    def _splits_text(self) -> bool:
        return self.tokenizer.pre_tokenizer is not None and b"ByteLevel" in self.tokenizer.pre_tokenizer.__getstate__()

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
        return self.tokenizer.decode(ids, skip_special_tokens=True)
