"""Imports point one way, modules stay small, and nothing pulls torch in before it is needed; see `test_fast_start`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path.relative_to(ROOT) for folder in ("engine", "lsp_server") for path in (ROOT / folder).rglob("*.py")
)
MAX_LINES = 350

# Each part of the engine may import the parts named here, and the records at its foot.
FOOT = {"engine.types", "engine.errors", "engine.config", "engine.prefix", "engine.files", "engine.artifacts"}
MAY_IMPORT = {
    "engine.model": {"engine.model"},
    "engine.policy": {"engine.policy"},
    "engine.energy": {"engine.energy"},
    "engine.decoding": {"engine.decoding", "engine.model", "engine.policy", "engine.energy"},
    "engine.completion": {"engine.completion"},
    "engine.intervals": set(),
    "engine.corpus": {"engine.corpus", "engine.completion", "engine.model"},
    "engine.text": {"engine.completion", "engine.decoding", "engine.model", "engine.policy"},
    "engine.engine": {"engine.text", "engine.decoding", "engine.model", "engine.policy", "engine.energy"},
}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module in {"engine", "lsp_server"}:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def part_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(".".join(path.with_suffix("").parts))
    ours = {part_of(name) for name in imported(path) if name.split(".")[0] in {"engine", "lsp_server"}}

    if path.parts[0] == "lsp_server":
        assert not ours & {"engine.training", "engine.evaluation"} or path.parts[1] == "cli"
    elif part in MAY_IMPORT:
        assert ours <= MAY_IMPORT[part] | FOOT
    elif part in FOOT:
        assert ours <= FOOT
    else:
        assert part in {"engine", "engine.__init__", "engine.training", "engine.evaluation"}
        assert not any(name.startswith("lsp_server") for name in ours)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_engine_knows_no_editor_protocol(path: Path) -> None:
    if path.parts[0] == "engine":
        assert not {name.split(".")[0] for name in imported(path)} & {"pygls", "lsprotocol", "lsp_server"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_stay_small_and_say_what_they_are(path: Path) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")

    assert len(source.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(source))


TORCH_FREE = [
    "engine.engine",
    "engine.decoding.pool",
    "engine.model.loading",
    "engine.model.prepared.onnx_runtime",
    "engine.model.sources.store",
    "engine.policy.learned",
    "lsp_server.handlers",
    "lsp_server.cli.app",
]


@pytest.mark.parametrize("module", TORCH_FREE)
def test_starting_imports_no_torch(module: str) -> None:
    heavy = f"import sys, {module}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "[]"


SERVING = """
import sys
import lsp_server.stdio
from lsp_server.cli.app import serve
lsp_server.stdio.serve_stdio = lambda server: sys.exit("engine.engine" in sys.modules)
serve()
"""


def test_the_server_answers_before_it_imports_the_engine() -> None:
    assert subprocess.run([sys.executable, "-c", SERVING], check=False).returncode == 0
