import pytest

from engine.training import shortlist as module
from engine.training.shortlist import shortlist
from tests.engine.training.fakes import LetterTokenization, code, source_file


@pytest.mark.parametrize(("n_vocabulary", "n_listed"), [(97, 9), (80, 8), (17, 8)])
def test_frequent_tokens_and_ends_are_on_the_list(
    n_vocabulary: int, n_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_TOKENS", 8)
    tokenization = LetterTokenization()
    files = [source_file(code(name)) for name in ("a", "b")]

    ids = shortlist(files, tokenization, n_vocabulary)  # type: ignore[arg-type]  # see fakes

    assert ids is not None
    assert len(ids) == n_listed
    assert ids.tolist() == sorted(set(ids.tolist()))
    assert set(tokenization.end_ids) <= set(ids.tolist())
    assert tokenization.encode(" ")[-1] in ids.tolist()


def test_a_small_vocabulary_needs_no_list() -> None:
    assert shortlist([], LetterTokenization(), 97) is None  # type: ignore[arg-type]  # see fakes
