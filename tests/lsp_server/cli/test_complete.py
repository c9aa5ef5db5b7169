"""`complete` on a real file and a tiny real model."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import ConfigError
from lsp_server.cli.app import app
from lsp_server.cli.complete import _parse_place, _pauses, _split_at
from tests.engine.remote.scripted_server import ScriptedServer

SOURCE = "def area(radius):\n    square = radius * radius\n    return 3 * square\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def on_tiny(tiny_folder: Path) -> list[str]:
    return ["--model", str(tiny_folder), "--device", "cpu", "--precision", "fp32"]


@pytest.mark.parametrize(
    ("place", "parsed"),
    [
        ("app.py:12:5", (Path("app.py"), 12, 5)),
        ("a:b.py:1:1", (Path("a:b.py"), 1, 1)),
        (r"C:\code\app.py:3:4", (Path(r"C:\code\app.py"), 3, 4)),
    ],
)
def test_a_place_is_a_file_a_line_and_a_column(place: str, parsed: tuple[Path, int, int]) -> None:
    assert _parse_place(place) == parsed


@pytest.mark.parametrize(
    "place", ["", "app.py", "app.py:12", ":1:1", "app.py:0:1", "app.py:1:0", "app.py:-1:1", "a:b:c"]
)
def test_what_is_no_place_is_refused_with_an_example(place: str) -> None:
    with pytest.raises(ConfigError, match="is no place in a file; write FILE:LINE:COL"):
        _parse_place(place)


@pytest.mark.parametrize(
    ("line", "column", "prefix"),
    [(1, 1, ""), (2, 5, "def area(radius):\n    "), (1, 18, "def area(radius):"), (4, 1, SOURCE)],
)
def test_a_file_is_split_where_the_cursor_stands(line: int, column: int, prefix: str) -> None:
    assert _split_at(SOURCE, Path("shapes.py"), line, column) == (prefix, SOURCE.removeprefix(prefix))


@pytest.mark.parametrize(
    ("line", "column", "sentence"),
    [
        (5, 1, "The file shapes.py has 4 lines; line 5 is outside it."),
        (1, 19, "Line 1 of shapes.py has 17 characters; column 19 is outside it."),
    ],
)
def test_a_place_outside_the_file_is_refused(line: int, column: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _split_at(SOURCE, Path("shapes.py"), line, column)

    assert str(caught.value) == sentence


def test_samples_are_taken_where_a_person_would_pause() -> None:
    pauses = list(_pauses(SOURCE, 5))

    assert [rest for _, rest, _ in pauses] == ["radius):", "radius * radius", "3 * square"]
    assert all(prefix + rest + suffix == SOURCE for prefix, rest, suffix in pauses)


def test_the_places_of_a_sample_are_spread_over_the_file() -> None:
    text = "".join(f"value_{n} = {n}\n" for n in range(100))

    lines = [prefix.count("\n") + 1 for prefix, _, _ in _pauses(text, 3)]

    assert lines == [11, 41, 71]  # the first tenth says too little


def test_complete_prints_one_json_object(file: Path, on_tiny: list[str]) -> None:
    result = CliRunner().invoke(app, ["complete", f"{file}:2:14", "--json", *on_tiny], catch_exceptions=False)

    said = json.loads(result.stdout)
    assert said["tokens"]
    assert all(1 <= token["exit_layer"] <= said["layers_total"] for token in said["tokens"])
    assert said["energy_provenance"] in {"measured", "sampled", "modelled", "mixed"}
    assert said["energy_j"] == pytest.approx(sum(said["energy_by_phase_j"].values()))
    assert said["baseline"] == "full depth with KV cache"
    low_j, high_j = said["saved_range_j"]
    assert low_j <= said["saved_j"] == said["baseline_energy_j"] - said["energy_j"] <= high_j


def test_a_server_elsewhere_completes_without_a_joule(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREEN_CODE_REMOTE_TOKEN", "s3cret")
    with ScriptedServer() as server:
        server.says("2 *", "\n")
        asked = ["complete", f"{file}:2:14", "--remote", server.url]
        result = CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False)
        monkeypatch.setenv("GREEN_CODE_REMOTE_TOKEN", "s3cret")
        shown = CliRunner().invoke(app, asked, catch_exceptions=False)

    said = json.loads(result.stdout)
    assert (said["text"], said["energy_j"], said["energy_provenance"]) == ("2 *", None, "none")
    assert server.headers["Authorization"] == "Bearer s3cret"
    assert "energy unknown" in shown.stdout
    assert "s3cret" not in result.output + shown.output


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"\xff\xfe", "is not UTF-8 text; save it as UTF-8 first."), (None, "cannot be read: ")]
)
def test_a_file_that_cannot_be_read_is_refused_before_a_model_is_loaded(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / "a.py").write_bytes(content)

    result = CliRunner().invoke(app, ["complete", f"{tmp_path / 'a.py'}:1:1", "--model", "no-such-model"])

    assert isinstance(result.exception, ConfigError)
    assert sentence in str(result.exception)


def test_a_project_is_read_as_the_editor_would(on_tiny: list[str], file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def perimeter(radius):\n    return 6 * radius\n")

    done = CliRunner().invoke(app, ["complete", f"{file}:3:12", "--workspace", str(tmp_path), "--json", *on_tiny])

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["finish_reason"]


@pytest.mark.parametrize(
    ("workspace", "sentence"),
    [("elsewhere", "does not lie in the workspace"), ("gone", "is no folder")],
)
def test_a_workspace_that_cannot_be_one_is_refused(
    on_tiny: list[str], file: Path, tmp_path: Path, workspace: str, sentence: str
) -> None:
    (tmp_path / "elsewhere").mkdir()

    done = CliRunner().invoke(app, ["complete", f"{file}:3:12", "--workspace", str(tmp_path / workspace), *on_tiny])

    assert isinstance(done.exception, ConfigError)
    assert sentence in str(done.exception)
