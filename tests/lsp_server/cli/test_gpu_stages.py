"""Stages in boxes of time, a model in parts, and both together as ten minutes on a GPU spend them."""

import contextlib
import json
import os
import select
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import ConfigError
from engine.model.sources.store import ModelFiles
from lsp_server.cli import gpu, parcel
from lsp_server.cli.app import app
from lsp_server.cli.timed_stages import Stage, StageRun, run_stages

HANGS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def stage(name: str, code: str, box_s: float = 60.0) -> Stage:
    return Stage(name=name, question="?", command=(sys.executable, "-c", code), box_s=box_s)


def test_each_stage_has_its_box_and_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsp_server.cli.timed_stages._LEAST_S", 1.0)
    told: list[StageRun] = []
    stages = [
        stage("one", "import os; print('first'); print(os.environ['WORD'])"),
        stage("two", "raise SystemExit('so it was')"),
        stage("three", HANGS, box_s=1.5),
        stage("four", "print()", box_s=0.5),
    ]

    runs = run_stages(stages, tmp_path, seconds=100, environment={"WORD": "last"}, tell=told.append)

    assert [run.outcome for run in runs] == ["done", "failed", "out of time", "left out"]
    assert [run.last_words for run in runs[:2]] == ["last", "so it was"]
    assert told == runs
    lines = (tmp_path / "stages.jsonl").read_text().splitlines()
    assert [json.loads(line)["stage"] for line in lines] == ["one", "two", "three", "four"]
    assert (tmp_path / "one.log").read_text().split() == ["first", "last"]
    with contextlib.suppress(ProcessLookupError):  # what a stage has started ends with it
        assert select.select([os.pidfd_open(int(runs[2].last_words))], [], [], 30)[0]


def test_what_there_is_no_time_for_is_left_out(tmp_path: Path) -> None:
    (run,) = run_stages([stage("one", "print()")], tmp_path, seconds=6, environment={}, tell=lambda _: None)

    assert run.outcome == "left out"


def test_boxes_fill_the_minutes_and_the_policy_comes_last(tmp_path: Path) -> None:
    stages = gpu.stages("tiny", "cuda", tmp_path, 10)

    assert sum(each.box_s for each in stages) == pytest.approx(590)
    assert [each.name for each in stages] == ["tests", "doctor", "decode", "calibrate", "stacks", "exits", "policy"]
    with pytest.raises(ConfigError, match=r"^There is no stage 'speed'; there are tests, doctor,"):
        gpu.only(stages, ["speed"])


def test_a_model_in_parts_is_the_model(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "PART_BYTES", 10_000)
    (tmp_path / "text-1.jsonl.gz").write_bytes(bytes(range(256)) * 100)
    files = ModelFiles(name=str(tiny_folder), path=tiny_folder, source="local folder")

    parcel.pack(files, tmp_path / "text-1.jsonl.gz", tmp_path / "parcel")
    parcel.unpack(tmp_path / "parcel", tmp_path / "caches")  # another time has left what is there
    name = parcel.unpack(tmp_path / "parcel", tmp_path / "caches")

    packed = [path for path in (tmp_path / "parcel").rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in packed) == 10_000
    assert {path.name: path.read_bytes() for path in Path(name).iterdir()} == {
        path.name: path.read_bytes() for path in tiny_folder.iterdir()
    }
    text = tmp_path / "caches" / "green-code" / "corpus" / "text-1.jsonl.gz"
    assert text.read_bytes() == (tmp_path / "text-1.jsonl.gz").read_bytes()


def test_a_folder_that_nobody_packed_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^There is no packed model in .*--pack"):
        parcel.unpack(tmp_path, tmp_path / "caches")


def test_stages_run_a_packed_model_and_leave_results(tiny_folder: Path, tmp_path: Path) -> None:
    files = ModelFiles(name=str(tiny_folder), path=tiny_folder, source="local folder")
    (tmp_path / "text-1.jsonl.gz").write_bytes(b"")
    parcel.pack(files, tmp_path / "text-1.jsonl.gz", tmp_path / "parcel")
    out = tmp_path / "out"

    command = ["bench", "gpu", str(tmp_path / "parcel"), "--device", "cpu", "--output", str(out)]
    done = CliRunner().invoke(app, [*command, "--stages", "doctor", "--minutes", "30"])

    assert done.exit_code == 0, done.output
    (run,) = map(json.loads, (out / "stages.jsonl").read_text().splitlines())
    assert (run["stage"], run["outcome"]) == ("doctor", "done")
    log = (out / "doctor.log").read_text()
    assert f"models in {out / 'cache' / 'green-code'}" in log
    assert "full depth" in log or "layers" in log
