import pytest

from engine.corpus.packages import CorpusLanguage
from engine.errors import TrainingError
from engine.training.trust_fit import FittedTrust, fit_trust
from engine.training.trust_observations import ObservedToken, observe
from engine.training.trust_quality import CHANCES, trust_table
from tests.engine.training.fakes import code, source_file, tiny_loaded, typescript


@pytest.fixture(scope="module")
def observed() -> list[ObservedToken]:
    def text(language: CorpusLanguage, name: str) -> str:
        return code(name) if language == "python" else typescript(name)

    languages: tuple[CorpusLanguage, ...] = ("python", "typescript")
    files = [
        source_file(text(language, f"{name}{at}"), package=f"{name}-{language}", path=f"{at}", language=language)
        for name in ("one", "two")
        for at in range(3)
        for language in languages
    ]
    return observe(tiny_loaded(), files, blocks_a_package=2)


@pytest.fixture(scope="module")
def fitted(observed: list[ObservedToken]) -> FittedTrust:
    return fit_trust(observed, model="tiny")


def test_each_language_is_judged_for_itself(observed: list[ObservedToken], fitted: FittedTrust) -> None:
    assert list(fitted.by_language) == ["python", "typescript"]
    assert sum(quality.n_tokens for quality in fitted.by_language.values()) == len(observed)
    for quality in fitted.by_language.values():
        assert quality.bits_mixed.value < quality.bits_alone.value
        assert quality.right_mixed.value > quality.right_alone.value


def test_in_packages_not_seen_chances_are_what_they_say(fitted: FittedTrust) -> None:
    for quality in fitted.by_language.values():
        sure = quality.said[-1]
        assert sure.share.value > 0.2
        assert sure.right.value == pytest.approx(sure.said.value, abs=0.05)


def test_the_tables_have_their_rows_by_language(fitted: FittedTrust) -> None:
    mixture, alone = trust_table(fitted.by_language).split("\n\n")

    assert [row.split("|")[1].strip() for row in mixture.splitlines()[2:]] == ["python", "typescript"]
    assert len(alone.splitlines()) == 2 + 2 * (len(CHANCES) + 1)


def test_another_package_changes_nothing_in_what_is_read_of_one(observed: list[ObservedToken]) -> None:
    files = [source_file(code(f"one{at}"), package="one-python", path=f"{at}") for at in range(3)]

    again = observe(tiny_loaded(), files, blocks_a_package=2)

    assert [token.token_id for token in again] == [t.token_id for t in observed if t.package == "one-python"]


def test_one_package_alone_cannot_be_judged(observed: list[ObservedToken]) -> None:
    with pytest.raises(TrainingError, match="two are needed"):
        fit_trust([token for token in observed if token.package == "one-python"], model="tiny")
