import pytest

from engine.completion.words import is_word
from engine.corpus.installed import installed_held_out
from engine.corpus.packages import read_package_list, split_of
from engine.engine import Engine
from engine.errors import TrainingError
from engine.evaluation.begun_words import (
    LETTERS,
    MIN_WORD_CHARS,
    TriedWord,
    Word,
    WordOffer,
    offer_of,
    sample_words,
    try_words,
    word_shares,
)
from tests.engine.training.fakes import ACCOUNT, code, source_file

FILES = [source_file(code(f"test{n}"), package=f"q{n}", path=f"{n}.py") for n in range(4)]


def test_words_are_long_and_the_file_goes_on_with_them() -> None:
    texts = {f"{file.package}/{file.path}": file.text for file in FILES}

    words = sample_words(FILES, 30)

    assert words == sample_words(FILES, 30)
    assert len({(word.file, word.before) for word in words}) == 30
    for word in words:
        assert len(word.word) >= MIN_WORD_CHARS
        assert texts[word.file].startswith(word.before + word.word)
        assert not is_word(word.before[-1])


def test_signs_are_runs_of_signs() -> None:
    files = [source_file("if a == b:\n    f(a['c'], -1)\nx = 1\n" * 40)]

    assert {word.word for word in sample_words(files, 20, signs=True)} == {"==", "['", "'],"}


def test_too_few_words_are_said() -> None:
    with pytest.raises(TrainingError, match="too few words"):
        sample_words([source_file("x = 1\n" * 80)], 3)


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("ount", WordOffer.RIGHT),
        ("ount)", WordOffer.RIGHT),
        ("ount.total", WordOffer.RIGHT),
        ("ounts", WordOffer.WRONG),
        ("oun", WordOffer.WRONG),
        ("ount_2", WordOffer.WRONG),
        (" ount", WordOffer.WRONG),
        ("", WordOffer.NOTHING),
    ],
)
def test_right_is_the_rest_of_the_word_and_its_end(text: str, offer: WordOffer) -> None:
    assert offer_of(text, "ount") is offer


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("= 1", WordOffer.RIGHT),
        ("=1", WordOffer.RIGHT),
        ("== 1", WordOffer.WRONG),
        (" 1", WordOffer.WRONG),
        ("", WordOffer.NOTHING),
    ],
)
def test_right_are_the_other_signs_and_no_more(text: str, offer: WordOffer) -> None:
    assert offer_of(text, "=") is offer


def test_shares_count_each_position_and_number_of_letters_apart() -> None:
    offers = [WordOffer.RIGHT, WordOffer.RIGHT, WordOffer.WRONG, WordOffer.NOTHING]
    tried = [TriedWord(file=f"{n}.py", green_mode=0, letters=2, offer=offer) for n, offer in enumerate(offers)]
    tried += [TriedWord(file=f"{n}.py", green_mode=20, letters=2, offer=WordOffer.WRONG) for n in range(4)]

    lossless, default = word_shares(tried)

    assert (lossless.green_mode, lossless.letters, lossless.n_words) == (0, 2, 4)
    assert (lossless.right.value, lossless.wrong.value, lossless.nothing.value) == (0.5, 0.25, 0.25)
    assert lossless.right.low < 0.5 < lossless.right.high
    assert (default.right.value, default.wrong.value, default.nothing.value) == (0, 1, 0)


def test_installed_packages_are_held_out_ones() -> None:
    files = installed_held_out()

    listed = read_package_list()
    learned = {package.name for package in listed.packages if split_of(package.name, listed.seed) != "test"}
    names = {file.package for file in files}
    assert "rich" in names  # of the test split
    assert len(names) > 10
    assert not names & learned


@pytest.mark.model
def test_a_word_that_the_real_model_knows_is_completed_inside_as_well(engine: Engine) -> None:
    word = Word(file="account.py", language="python", before=ACCOUNT, word="amount")

    tried = try_words(engine.complete, [word], green_modes=(0, 20))

    assert [(one.green_mode, one.letters) for one in tried] == [(mode, n) for mode in (0, 20) for n in LETTERS]
    assert {one.offer for one in tried} == {WordOffer.RIGHT}


@pytest.mark.model
def test_where_the_server_does_not_ask_nothing_is_offered(engine: Engine) -> None:
    word = Word(file="account.py", language="python", before=ACCOUNT, word="amount")

    tried = try_words(engine.complete, [word], green_modes=(0,), is_asked=lambda prefix, _mode: prefix.endswith(" am"))

    assert [one.offer for one in tried if one.letters != 2] == [WordOffer.NOTHING] * 4
    assert [one.offer for one in tried if one.letters == 2] == [WordOffer.RIGHT]
