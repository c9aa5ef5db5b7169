"""The ids of pieces: those that the tokenizer itself gives to the whole text."""

import random
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import engine.model.piece_ids
from engine.model.piece_ids import PieceIds, is_known_to_cut
from engine.model.tokenization import Tokenization

CODE = Path(engine.model.piece_ids.__file__).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Cuts as StarCoder's and SmolLM's do, and has learned to join on this code."""
    return _cutting_by(pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False))


def _cutting_by(*cuts: pre_tokenizers.PreTokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(cuts))
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1_000, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False
    )
    tokenizer.train_from_iterator([CODE, "x  \t\n\n    'll don't [[((=====\n"], trainer)
    return tokenizer


def _own(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("seed", range(20))
def test_any_text_has_the_ids_that_the_tokenizer_gives_it(tokenizer: Tokenizer, seed: int) -> None:
    """Blanks of all kinds, digits, quotes, signs, and what is not ASCII, in any order."""
    chance, pieces = random.Random(seed), PieceIds(tokenizer)
    signs = [
        *" \t\n\r\f\v\x00\x1c\x1f\x7f",
        *"09azAZ_'\"(=<|",
        "\n    ",
        "'ll",
        "don't",
        "é",
        "\u00a0",
        "\u2003",
        "½",
        "🙂",
    ]
    for _ in range(200):
        text = "".join(chance.choices(signs, k=chance.randrange(40)))
        assert pieces.of(text) == _own(tokenizer, text), repr(text)


def test_a_file_has_the_ids_that_the_tokenizer_gives_it(tokenizer: Tokenizer) -> None:
    pieces, text = PieceIds(tokenizer), CODE + "# Größe, in ½ Zeilen\n\n" + CODE.replace("\n", "\r\n")

    assert pieces.of(text) == _own(tokenizer, text)
    assert pieces.of(text) == _own(tokenizer, text)  # all known by now


def test_no_more_pieces_are_kept_than_there_is_room_for(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.model.piece_ids, "_MOST_PIECES", 10)
    pieces = PieceIds(tokenizer)

    assert pieces.of(CODE) == _own(tokenizer, CODE)
    assert len(pieces) <= 10


def test_a_piece_that_is_too_long_to_come_twice_is_not_kept(tokenizer: Tokenizer) -> None:
    pieces, rule = PieceIds(tokenizer), "=" * 1_000

    assert pieces.of(rule) == _own(tokenizer, rule)
    assert not pieces


def test_the_default_models_way_of_cutting_is_known(tokenizer: Tokenizer) -> None:
    assert is_known_to_cut(tokenizer)


def test_other_ways_of_cutting_are_not_known() -> None:
    digits, code = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    normalizing = _cutting_by(digits, code)
    normalizing.normalizer = normalizers.NFC()
    with_text_tokens = _cutting_by(digits, code)
    with_text_tokens.add_tokens([AddedToken("<tool_call>", special=False)])
    others = [
        Tokenizer(models.BPE()),
        _cutting_by(code),
        _cutting_by(pre_tokenizers.Digits(individual_digits=False), code),
        _cutting_by(digits, pre_tokenizers.ByteLevel(add_prefix_space=True)),
        _cutting_by(digits, pre_tokenizers.Punctuation(), code),
        normalizing,
        with_text_tokens,
    ]

    assert not any(map(is_known_to_cut, others))


def test_a_document_that_spells_a_control_token_is_text(tokenizer: Tokenizer) -> None:
    tokenization = Tokenization(tokenizer, [0])
    text = "print('<|endoftext|>')"

    ids = tokenization.encode(text)

    assert 0 not in ids
    assert tokenization.continuation([], ids) == text
