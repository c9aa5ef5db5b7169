"""`demo`: a real file typed into the real server, on a tiny real model."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.decoding import decoder
from engine.errors import ConfigError
from lsp_server.cli.app import app
from lsp_server.cli.demo import _own_source, _stretch

pytestmark = pytest.mark.timeout(120)

TEXT = "".join(f"value_{n} = area(radius_{n})\n" for n in range(60))


@pytest.fixture
def on_tiny(tiny_folder: Path) -> list[str]:
    return ["--model", str(tiny_folder), "--device", "cpu", "--precision", "fp32"]


def written(tmp_path: Path, name: str, text: str = TEXT) -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_the_stretch_is_written_and_what_it_cost_is_told(tmp_path: Path, on_tiny: list[str]) -> None:
    asked = ["demo", written(tmp_path, "shapes.py"), "--chars", "40", "--time-scale", "0.5", *on_tiny]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)

    page, _, told = done.stdout.replace("«", "").replace("»", "").partition("in all")
    assert "shapes.py, lines 24 to 25" in page
    assert page.splitlines()[-3:] == TEXT.splitlines()[22:25]
    assert "53 characters, " in told
    assert "\n0 suggestions computed" not in told
    assert re.search(r"\d J (modelled|measured|sampled)", told)
    assert "uncalibrated" not in told  # by the CPU's pace, as in an editor
    assert re.search(r"\d J \(\S+ to \S+ J\) or -?\d+ % less than the same suggestions at full depth", told)


def test_a_private_file_says_why_nothing_is_offered(tmp_path: Path, on_tiny: list[str]) -> None:
    asked = ["demo", written(tmp_path, "id_rsa"), "--chars", "40", "--time-scale", "0.05", *on_tiny]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)

    assert "id_rsa stays private: *_rsa is a usual name of secrets." in done.stdout
    assert " J " not in done.stdout.partition("in all")[2]


def test_of_a_very_long_line_only_so_much_is_typed(tmp_path: Path) -> None:
    text = 2 * TEXT + "numbers = [" + "1, " * 900 + "]\n" + 2 * TEXT
    stretch = _stretch(Path(written(tmp_path, "long.py", text)), tmp_path, 900)

    assert len(stretch.text) == 1800
    assert stretch.before + stretch.text + stretch.after == text


def test_our_own_source_is_typed_from_a_copy_which_no_git_ignores(tmp_path: Path) -> None:
    file, workspace = _own_source(tmp_path)

    assert file.is_relative_to(workspace)
    assert file.read_text(encoding="utf-8") == Path(decoder.__file__).read_text(encoding="utf-8")
    assert {path.suffix for path in workspace.rglob("*") if path.is_file()} == {".py"}


def test_a_file_too_short_to_type_in_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", written(tmp_path, "a.py", "a = 1\n"), "--model", "no-such-model"])

    assert isinstance(done.exception, ConfigError)
    assert "a.py has too little text, or too few lines, to type 300 characters" in str(done.exception)


def test_a_long_line_around_the_stretch_is_cut_at_the_terminals_edge(tmp_path: Path, on_tiny: list[str]) -> None:
    long_line = f"numbers = [{', '.join(['7'] * 400)}]\n"
    file = written(tmp_path, "table.py", long_line + TEXT)
    asked = ["demo", file, "--chars", "40", "--time-scale", "0.05", *on_tiny]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)

    shown = done.stdout.partition("in all")[0]
    assert f"{long_line[:79]}…\n" in shown
    assert long_line[-20:] not in shown
