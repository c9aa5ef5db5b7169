import random
from dataclasses import replace

import pytest

from engine.config import EngineConfig
from engine.corpus.datasets import Corpus
from engine.corpus.source_text import SourceFile
from engine.errors import TrainingError
from engine.outlook import Outlook
from engine.training.acceptance_fit import AskedPlace, ask_places, fit_acceptance

pytest.importorskip("sklearn")

CORPUS = Corpus(sha256="abc", files={})


def asked(n_files: int, *, seed: int = 0) -> list[AskedPlace]:
    """Places whose suggestions are kept mostly behind a dot."""
    rng = random.Random(seed)
    prefixes = [rng.choice(["self.", "total = ", "name", "f(", "    "]) for _ in range(40 * n_files)]
    return [
        AskedPlace(
            file=f"{at % n_files}.py",
            prefix=f"import os\n{prefix}",
            kept=rng.random() < (0.8 if prefix == "self." else 0.1),
        )
        for at, prefix in enumerate(prefixes)
    ]


def test_the_fit_finds_what_tells_places_apart_in_files_not_seen() -> None:
    fitted = fit_acceptance(asked(10), model="tiny", corpus=CORPUS)

    coefficients = fitted.model.coefficients
    assert max(coefficients, key=lambda name: coefficients[name]) == "after a dot"
    assert fitted.model.chance("self.") == pytest.approx(0.8, abs=0.15)
    assert fitted.model.chance("total = ") == pytest.approx(0.1, abs=0.1)
    assert fitted.auc > 0.7
    assert (fitted.model.n_places, fitted.model.corpus_sha256) == (400, "abc")


def test_the_fit_finds_what_the_project_tells_and_its_average() -> None:
    rng = random.Random(1)
    ends = [rng.random() < 0.25 for _ in range(800)]
    places = [
        AskedPlace(
            file=f"{at % 8}.py",
            prefix="import os\nname",
            outlook=Outlook(text="\n" if end else " next", chance=0.4),
            kept=rng.random() < (0.05 if end else 0.6),
        )
        for at, end in enumerate(ends)
    ]

    model = fit_acceptance(places, model="tiny", corpus=CORPUS).model
    at_end, before, unknown = (
        model.chance("import os\nname", outlook)
        for outlook in (Outlook(text="\n", chance=0.4), Outlook(text=" next", chance=0.4), None)
    )

    assert at_end == pytest.approx(0.07, abs=0.06)
    assert before == pytest.approx(0.6, abs=0.06)
    assert at_end < unknown < before


def test_the_same_places_give_the_same_fit() -> None:
    assert fit_acceptance(asked(6), model="m", corpus=CORPUS) == fit_acceptance(asked(6), model="m", corpus=CORPUS)


@pytest.mark.parametrize(
    "places", [[], asked(3), [AskedPlace(file=f"{n}.py", prefix="x.", kept=True) for n in range(9)]]
)
def test_too_few_places_or_all_alike_are_said(places: list[AskedPlace]) -> None:
    with pytest.raises(TrainingError, match="too few places"):
        fit_acceptance(places, model="m", corpus=CORPUS)


@pytest.mark.model
def test_places_are_asked_of_the_real_engine() -> None:
    lines = [f"self.assertEqual(convert({n}), {n * n})\n" for n in range(40)]
    text = "def test_convert(self):\n" + "    ".join(["", *lines])
    file, short = (
        SourceFile(language="python", package="p", path=path, text=content)
        for path, content in (("t.py", text), ("s.py", "x"))
    )
    copy = replace(file, path="u.py")

    alone = ask_places(EngineConfig(), [file, short], 2)
    beside = ask_places(EngineConfig(), [file, copy], 1)

    assert {place.file for place in alone} == {"p/t.py"}
    assert len({place.prefix for place in alone}) == len(alone) <= 24
    assert all(text.startswith(place.prefix) for place in alone)
    assert any(place.kept for place in alone)
    assert len(beside) < len(alone)  # where the project says what follows, nobody asks the model
