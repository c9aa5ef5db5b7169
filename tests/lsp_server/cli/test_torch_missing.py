"""Commands where PyTorch is not installed, as in an environment for a CPU."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lsp_server.cli import doctor
from lsp_server.cli.app import app

SCRIPT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from lsp_server.cli.app import main
main()
"""


def test_who_needs_it_says_what_to_install(tmp_path: Path) -> None:
    for name in ("torch", "transformers"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('not installed', name={name!r})\n")

    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "train", "exits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "For this command PyTorch is needed" in done.stderr
    assert "pip install torch transformers accelerate" in done.stderr


def test_doctor_says_that_it_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def without_torch(package: str) -> str:
        if package == "torch":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(doctor, "version", without_torch)

    told = CliRunner().invoke(app, ["doctor", "--model", str(tmp_path)], env={"COLUMNS": "200"})

    assert told.exit_code == 0
    assert "torch is not installed: GPUs, training and most models but the default one need it" in told.stdout
