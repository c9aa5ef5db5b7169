"""Tokens by their bytes, of vocabularies that spell them in each of the usual ways."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from engine.model.vocabulary import Vocabulary, vocabulary_of

WORDS = [b"am", b"amount", b"amounts", b"a", b"b", b"\xff", b"am\xff", b"an", "größe".encode(), b"gr\xc3"]


@pytest.mark.parametrize("start", [b"a", b"am", b"amount", b"amounted", b"\xff", b"am\xff", b"gr\xc3", b"zz", b""])
def test_tokens_are_found_by_their_beginning(start: bytes) -> None:
    vocabulary = Vocabulary(dict(enumerate(WORDS)))

    found = {WORDS[idx] for idx in vocabulary.beginning_with(start)}

    assert found == {word for word in WORDS if word.startswith(start)}


def test_two_tokens_of_one_spelling_are_both_found() -> None:
    assert sorted(Vocabulary({3: b"a", 5: b"a", 7: b""}).beginning_with(b"a")) == [3, 5]


def test_a_byte_level_vocabulary_spells_any_byte() -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: idx for idx, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    text = "größe = '日本'\n\t# 🙂"

    vocabulary = vocabulary_of(tokenizer)

    assert b"".join(vocabulary[idx] for idx in tokenizer.encode(text).ids) == text.encode()
    assert sorted(vocabulary[idx] for idx in range(256)) == [bytes([byte]) for byte in range(256)]


def test_a_vocabulary_of_pieces_spells_blanks_and_bytes() -> None:
    vocab = {"<0xC3>": 0, "<0xB6>": 1, "\u2581amount": 2, "gr": 3, "<pad>": 4}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])

    vocabulary = vocabulary_of(tokenizer, without=frozenset({4}))

    assert [vocabulary[idx] for idx in range(5)] == [b"\xc3", b"\xb6", b" amount", b"gr", b""]
