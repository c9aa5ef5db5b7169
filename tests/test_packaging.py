"""What a user installs: the wheel holds both packages whole, and runs from an empty folder."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from engine.model.prepared.native.library import FOLDER

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=240,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_module_and_nothing_that_is_only_read_in_the_repository(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packaged = {name for name in names if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "engine", "lsp_server"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    sources = {name for name in tracked if name.endswith((".cpp", ".h", "/hatch_build.py"))}
    papers = {name for name in tracked if name.endswith(".md") or name.startswith("engine/evaluation/results/")}
    built = {str(library.relative_to(ROOT)) for library in FOLDER.glob("green_code_kernels*")}
    assert papers
    assert packaged == {name for name in tracked if (ROOT / name).exists()} - sources - papers | built
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_is_small(wheel: Path) -> None:
    others = [entry for entry in zipfile.ZipFile(wheel).infolist() if "artifacts" not in entry.filename]

    assert sum(entry.file_size for entry in others if not entry.filename.endswith((".so", ".dll", ".dylib"))) <= 2.5e6


def test_the_exits_of_the_default_model_are_small(wheel: Path) -> None:
    exits = [entry for entry in zipfile.ZipFile(wheel).infolist() if "artifacts" in entry.filename]

    assert exits
    assert sum(entry.file_size for entry in exits) <= 20e6


def test_the_wheel_runs_where_a_workspace_has_an_engine_of_its_own(wheel: Path, tmp_path: Path) -> None:
    installed, workspace = tmp_path / "installed", tmp_path / "workspace"
    zipfile.ZipFile(wheel).extractall(installed)
    (workspace / "engine").mkdir(parents=True)
    (workspace / "engine" / "__init__.py").write_text("raise SystemExit('the workspace was imported')")
    # -I keeps the workspace off the path; the wheel is put there as an installation would be.
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); import engine; print(engine.__file__)"

    found = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=workspace, capture_output=True, text=True, check=True
    ).stdout

    assert Path(found.strip()).is_relative_to(installed)


def test_the_wheel_says_what_it_was_tested_with(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    told = next(name for name in archive.namelist() if name.endswith(".dist-info/extra_metadata/constraints.txt"))

    assert archive.read(told) == (ROOT / "constraints.txt").read_bytes()


def test_the_tested_versions_are_allowed_and_come_from_no_machine() -> None:
    """One exact version of whatever is asked for, within what is allowed, for every system and Python."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    tested = [Requirement(line) for line in text.splitlines() if not line.startswith("#")]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    builds = re.findall(r'"([^"]+)"', re.search(r"^requires = \[(.*?)\]", pyproject, re.MULTILINE)[1])  # type: ignore[index]

    assert not any(requirement.url for requirement in tested)
    assert all([one.operator for one in requirement.specifier] == ["=="] for requirement in tested)
    for asked in map(Requirement, [*(requires("green-code") or ()), *builds]):
        versions = [next(iter(one.specifier)).version for one in tested if one.name == asked.name]
        assert versions or asked.name == "green-code"
        assert all(asked.specifier.contains(version) for version in versions)


def test_every_version_of_torch_that_is_promised_is_admitted() -> None:
    torch = next(entry for entry in map(Requirement, requires("green-code") or ()) if entry.name == "torch")

    assert all(torch.specifier.contains(version) for version in ("2.11.0", "2.12.1", "2.13.0+cpu", "2.14.1"))


def test_the_top_level_is_what_was_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {Path(name).parts[0] for name in tracked}

    assert {name for name in top if not name.startswith(".")} == {
        *("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "findings"),
        *("engine", "lsp_server", "vscode-extension", "tests"),
    }
