"""`doctor` on a tiny real model, and without one."""

import math
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import ConfigError
from lsp_server.cli.app import app


def test_doctor_says_what_was_found(tiny_folder: Path) -> None:
    arguments = ["doctor", "--model", str(tiny_folder), "--device", "cpu", "--precision", "fp32"]

    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}, catch_exceptions=False)

    assert result.exit_code == 0
    assert f"torch {version('torch')}" in result.stdout
    assert f"model   {tiny_folder}, 6 layers, exits after " in result.stdout
    assert "device  CPU, " in result.stdout
    assert "fp32, PyTorch" in result.stdout
    assert re.search(r"energy  (measured|sampled|modelled): \w+", result.stdout)


def test_doctor_speaks_the_language_of_an_editor_that_asks(tiny_folder: Path, tmp_path: Path) -> None:
    for folder in (tiny_folder, tmp_path):
        options = ["doctor", "--model", str(folder), "--device", "cpu", "--precision", "fp32"]
        english, german = (
            CliRunner().invoke(app, options, env={"COLUMNS": "900", "GREEN_CODE_LANGUAGE": language})
            for language in ("en", "de")
        )

        lines = english.stdout.splitlines()
        same = {line.split()[0] for line in german.stdout.splitlines() if line in lines}
        assert not {*english.stderr.splitlines()} & {*german.stderr.splitlines()}  # how far it is
        assert same == {"Green", "torch", "transformers", "pygls"}  # names and versions


def test_doctor_tells_why_there_is_no_model_and_what_it_knows_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    result = CliRunner().invoke(app, ["doctor", "--model", str(tmp_path)], env={"COLUMNS": "300"})

    assert result.exit_code == 0
    assert f"ledger in {tmp_path / 'data' / 'green-code'}" in result.stdout
    assert f"model   There is no model in {tmp_path}: it has no config.json." in result.stdout


@pytest.mark.parametrize(
    ("command", "package"),
    [(["calibrate", "--html", "page.html"], "report"), (["train", "exits", "--joint-tokens", "9"], "train")],
)
def test_a_package_that_lacks_is_told_before_any_work(
    command: list[str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    result = CliRunner().invoke(app, command)

    assert f"pip install 'green-code[{package}]'" in str(result.exception)
    assert result.stdout == ""


def calibrate_tiny(folder: Path, html: Path) -> tuple[str, str]:
    """What `calibrate` says at a stated power, and `doctor` behind it."""
    options = ["--model", str(folder), "--device", "cpu", "--precision", "fp32"]
    calibrate = ["calibrate", *options, "--power-w", "20", "--html", str(html)]
    result = CliRunner().invoke(app, calibrate, env={"COLUMNS": "300"}, catch_exceptions=False)
    after = CliRunner().invoke(app, ["doctor", *options], env={"COLUMNS": "300"})
    return result.stdout, after.stdout


def test_a_machine_without_a_counter_is_calibrated_by_time_at_a_stated_power(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("engine.energy.calibration.WINDOW_S", 0.01)
    monkeypatch.setattr("engine.energy.cost_model.LARGEST_FIT_ERROR", math.inf)

    said, after = calibrate_tiny(tiny_folder, tmp_path / "page.html")

    assert "Calibrated with seconds at a stated 20 W" in said
    assert re.search(r"1,000 positions attended, in a layer +[\d.e-]+ +[\d.e-]+ to [\d.e-]+", said)
    assert re.search(r"32 at layer 6 behind 192 +[\d.e-]+ +[\d.e-]+ +[+-]\d", said)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 1
    assert "each is predicted from all others" in page
    assert re.search(r"energy  modelled: calibrated with seconds at a stated 20 W, .* times as much", after)


def test_a_fit_on_a_busy_machine_is_shown_and_not_kept(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("engine.energy.calibration.WINDOW_S", 0.01)
    monkeypatch.setattr("engine.energy.cost_model.LARGEST_FIT_ERROR", 0.0)

    said, after = calibrate_tiny(tiny_folder, tmp_path / "page.html")

    sentence = (
        r"The fit is not kept, for its mean relative error is [\d.]+ %: joules go by the prices of before; "
        r"calibrate again while nothing else runs\."
    )
    assert re.search(sentence, said)
    assert re.search(r"32 at layer 6 behind 192 +[\d.e-]+ +[\d.e-]+ +[+-]\d", said)
    assert re.search(sentence, (tmp_path / "page.html").read_text())
    assert "alibrated with" not in said + after


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such users")
def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 9)  # whom /etc/passwd does not know

    result = CliRunner().invoke(app, ["doctor"])

    assert isinstance(result.exception, ConfigError)
    assert "Set HOME to a folder" in str(result.exception)


def test_what_is_no_power_is_refused_before_a_model_is_fetched() -> None:
    done = CliRunner().invoke(app, ["calibrate", "--model", "no-such-model", "--power-w", "-5"])

    assert str(done.exception) == "A power is a number of watts above 0, not -5."
