import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import TrainingError
from engine.evaluation.code_x_glue_scores import edit_similarity_percent, exact_match, token_accuracy, without_literals
from engine.evaluation.green_code_paper import PUBLISHED
from engine.evaluation.reproduction import UNCACHED, data_set_places, reproduce
from engine.evaluation.reproduction_page import write_reproduction
from engine.model.loaded import LoadedModel
from tests.engine.training.fakes import code, source_file

JAVA = "<s> " + " ".join(f"int x{number} = {number} ;" for number in range(60)) + " </s>"


@pytest.fixture
def java_file(tmp_path: Path) -> Path:
    (tmp_path / "test.txt").write_text(f"{JAVA}\n<s> short </s>\n{JAVA}\n")
    return tmp_path / "test.txt"


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("x = <STR_LIT:a b>", "x = a b"),
        ("x = <STR_LIT>", "x = "),
        ("f ( <NUM_LIT> , <CHAR_LIT:c> )", "f ( 0 , c )"),
        ("a < b", "a < b"),
    ],
)
def test_literals_count_by_what_stands_in_them(code: str, read: str) -> None:
    assert without_literals(code) == read


def test_scores_are_those_of_their_evaluators() -> None:
    assert token_accuracy(["a", "=", "1"], ["a", "=", "2", "<EOL>", "b"]) == (2, 4)
    assert exact_match("x  =  0 ;", "x = <NUM_LIT> ;")
    assert not exact_match("x = 0", "x = 0 ;")
    assert edit_similarity_percent("abcd", "abcd") == 100
    assert edit_similarity_percent("abcd", "abxx") == 50


def test_a_place_has_the_first_fifth_before_it_and_so_many_tokens_behind(loaded: LoadedModel, java_file: Path) -> None:
    places = data_set_places("javacorpus", loaded, 2, file=java_file)

    tokens = JAVA.split()[1:-1]
    assert [place.site.prefix for place in places] == [" ".join(tokens[:60])] * 2
    assert places[0].reference == "int x12 = 12 ;"  # of a model with a token for each letter
    assert {place.language for place in places} == {"java"}


def test_held_out_text_may_be_of_one_language(loaded: LoadedModel) -> None:
    python = [source_file(code(f"test{number}"), package=f"q{number}") for number in range(3)]
    java = [replace(source, language="java", package=f"java-{source.package}") for source in python]

    places = data_set_places("held-out-java", loaded, 3, held_out=[*python, *java])

    assert {place.language for place in places} == {"java"}


def test_too_few_places_are_told_of(loaded: LoadedModel, java_file: Path) -> None:
    with pytest.raises(TrainingError, match="There are 2 places in this data set, not 3"):
        data_set_places("javacorpus", loaded, 3, file=java_file)


def test_full_depth_says_the_same_with_and_without_a_cache_and_takes_more_without(
    loaded: LoadedModel, java_file: Path
) -> None:
    rows = {row.arm: row for row in reproduce(loaded, data_set_places("javacorpus", loaded, 2, file=java_file))}

    cached, uncached = rows["full-depth"], rows[UNCACHED]
    assert (cached.rouge_l, cached.exact, cached.mean_layers) == (uncached.rouge_l, uncached.exact, 6)
    assert uncached.energy_j > 3 * cached.energy_j
    assert (cached.saved, uncached.saved_uncached) == (0, 0)
    assert cached.saved_uncached > 0.6
    assert rows["fixed:2"].energy_j < cached.energy_j
    assert rows["fixed:2"].mean_layers < 3
    assert {"fixed:4", "green:20", "green:100"} <= rows.keys()


def test_the_report_has_ours_beside_the_published_figures(loaded: LoadedModel, java_file: Path, tmp_path: Path) -> None:
    rows = reproduce(loaded, data_set_places("javacorpus", loaded, 2, file=java_file))
    text = write_reproduction(tmp_path / "report", rows, model="tiny", device="CPU", data_set="javacorpus", n_places=2)

    page = (tmp_path / "report" / "reproduction.html").read_text()
    numbers = json.loads((tmp_path / "report" / "reproduction.json").read_text())
    assert "Llama 3.2 3B, java, policy 0.92 | 328.8 | 1.319 | +23.0 %" in text
    assert "python" not in text
    assert "It is no text that a developer types" in text
    assert "<svg" in page
    assert "full-depth without a cache" in page
    assert [row["arm"] for row in numbers["rows"]] == [row.arm for row in rows]
    assert len(numbers["published"]) == sum(row.language == "java" for row in PUBLISHED)
