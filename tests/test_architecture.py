"""Each room knows only the rooms named here, nothing goes in circles, and torch stays out until it is needed.

Any import counts as knowing: at the top, inside a function, for types alone. In circles imports for types do not count:
they bind nothing at run time. What a whole start takes is in `test_fast_start`.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("engine", "lsp_server")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
MAX_LINES = 350
SOURCES = [
    path
    for pattern in ("tests/**/*.py", "engine/**/*.cpp", "engine/**/*.h", "vscode-extension/[!n]*/**/*.ts")
    for path in sorted(ROOT.glob(pattern))
    if "node_modules" not in path.parts and "out" not in path.parts
]
"""Those that are not in `FILES`."""

# Whoever is in the engine or above it may import these.
FOOT = {
    *("engine.types", "engine.errors", "engine.config", "engine.prefix", "engine.memory"),
    *("engine.code_in_use", "engine.outlook", "engine.process_tree", "engine.late_functions"),
    *("engine.artifacts", "engine.fitted", "engine.checksum", "engine.files", "engine.intervals", "engine.sentences"),
}
MODEL = {"engine.model", *(f"engine.model.{room}" for room in ("sources", "prepared", "reference", "without_torch"))}
COMPLETING = {
    *("engine.text", "engine.completion", "engine.decoding", "engine.energy", "engine.policy", "engine.project"),
}
SERVER = {"lsp_server.books", "lsp_server.context", "lsp_server.suggest", "lsp_server.settings", "lsp_server.protocol"}

# Each room, a folder or a module, and the others that it may import besides the foot.
ROOMS: dict[str, set[str]] = {
    **{module: set() for module in FOOT},
    "engine": set(),
    "engine.model": set(),  # what the lives of a model share: records, the seam, the table of families
    "engine.model.sources": {"engine.model", "engine.model.reference"},  # to convert a GGUF file, in another process
    "engine.model.prepared": {"engine.model", "engine.model.sources"},
    "engine.model.without_torch": {"engine.model", "engine.model.sources", "engine.model.prepared"},
    "engine.model.reference": {"engine.model", "engine.model.sources", "engine.model.prepared"},
    "engine.model.loading": MODEL,
    "engine.policy": set(),
    "engine.project": set(),
    "engine.energy": set(),
    "engine.completion": set(),
    "engine.decoding": {"engine.model", "engine.policy", "engine.project"},
    "engine.corpus": {"engine.completion"},
    "engine.text": {"engine.model", "engine.completion", "engine.decoding", "engine.policy", "engine.project"},
    "engine.calibrated": {"engine.model", "engine.model.prepared", "engine.decoding", "engine.energy", "engine.policy"},
    "engine.verified": {"engine.model", "engine.text", "engine.completion", "engine.decoding", "engine.policy"},
    "engine.engine": {*MODEL, *COMPLETING, "engine.model.loading", "engine.calibrated", "engine.verified"},
    "engine.remote": {"engine.completion", "engine.policy", "engine.project"},
    "engine.service": {"engine.engine", "engine.project"},
    "engine.recommendation": {"engine.model", "engine.model.prepared", "engine.energy"},
    "engine.training": {*MODEL, *COMPLETING, "engine.corpus", "engine.engine"},
    "engine.evaluation": {*MODEL, *COMPLETING, "engine.corpus", "engine.model.loading"},
    "lsp_server.protocol": set(),
    "lsp_server.pygls_internals": set(),
    "lsp_server.context": {"engine.completion", "lsp_server.pygls_internals"},
    "lsp_server.books": {"lsp_server.protocol", "engine.energy"},
    "lsp_server.settings": {"lsp_server", "lsp_server.protocol"},
    "lsp_server.suggest": {"engine.completion", "lsp_server.context", "lsp_server.settings", "lsp_server.protocol"},
    "lsp_server": {*SERVER, "engine.completion", "engine.recommendation", "lsp_server.pygls_internals"},
    "lsp_server.engines": {
        *("lsp_server.suggest", "engine.engine", "engine.remote", "engine.service"),
        *("engine.model.sources", "engine.model.loading"),  # to prepare a model in another process
    },
    "lsp_server.serving": {"lsp_server", "lsp_server.engines", "lsp_server.suggest"},
    "lsp_server.__main__": {"lsp_server.serving", "lsp_server.cli"},
    "lsp_server.replay": {
        *(
            SERVER
            | {"lsp_server", "engine.completion", "engine.corpus", "engine.engine", "engine.remote", "engine.service"}
        ),
        "lsp_server.serving",
    },
    "lsp_server.cli": {
        *(SERVER | MODEL | COMPLETING),
        *(
            "lsp_server",
            "lsp_server.serving",
            "lsp_server.engines",
            "lsp_server.replay",
            "engine",
            "engine.engine",
            "engine.model.loading",
        ),
        "engine.calibrated",
        *("engine.corpus", "engine.training", "engine.evaluation", "engine.recommendation", "engine.remote"),
    },
}
HEAVY = {"torch", "transformers"}
TORCH_ROOMS = {"engine.model.reference", "engine.training", "engine.evaluation"}


def nodes(tree: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    """Everything in a module; without `types`, what stands under `if TYPE_CHECKING` is left out."""
    for child in ast.iter_child_nodes(tree):
        if types or not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from nodes(child, types=types)


def imported(name: str, *, types: bool = True) -> set[str]:
    """Every module that one of ours imports, at its top or inside functions."""
    found: set[str] = set()
    for node in nodes(ast.parse(FILES[name].read_text(encoding="utf-8")), types=types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(within & FILES.keys() or {node.module})
    return found


def room_of(name: str) -> str:
    return max((room for room in ROOMS if f"{name}.".startswith(f"{room}.")), key=len)


@pytest.mark.parametrize("name", FILES)
def test_a_module_imports_only_rooms_that_its_own_may_know(name: str) -> None:
    room = room_of(name)
    known = {room_of(other) for other in imported(name) & FILES.keys()}

    assert known <= ROOMS[room] | FOOT | {room}


def test_every_grant_is_used() -> None:
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name in FILES:
        used[room_of(name)] |= {room_of(other) for other in imported(name) & FILES.keys()}

    unused = {room: sorted(granted - used[room]) for room, granted in ROOMS.items() if granted - used[room]}

    # Granted by kind, not one by one: the command line and the replay may use what the server is made of.
    assert unused.keys() <= {"lsp_server.cli", "lsp_server.replay", "lsp_server", "engine.engine", *TORCH_ROOMS}


def test_nothing_goes_in_circles() -> None:
    graph = {name: imported(name, types=False) & FILES.keys() - {name} for name in FILES}

    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)  # raises `CycleError` and names the circle


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("engine")])
def test_the_engine_knows_no_editor_protocol(name: str) -> None:
    assert not {module.split(".")[0] for module in imported(name)} & {"pygls", "lsprotocol", "lsp_server"}


@pytest.mark.parametrize("name", [name for name in FILES if room_of(name) not in TORCH_ROOMS])
def test_torch_is_at_the_top_only_where_tensors_live(name: str) -> None:
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    at_top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.name for node in at_top if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in at_top if isinstance(node, ast.ImportFrom)}

    assert not {module.split(".")[0] for module in modules} & HEAVY


def test_weights_of_a_folder_are_loaded_in_one_place() -> None:
    """transformers does not find those that are GGUF there, such as the default model's."""
    loaders = [name for name, path in FILES.items() if "AutoModelForCausalLM.from_pretrained(" in path.read_text()]

    assert loaders == ["engine.model.reference.gguf", "engine.model.reference.weight_files"]


@pytest.mark.parametrize("name", FILES)
def test_modules_stay_small_and_say_what_they_are(name: str) -> None:
    source = FILES[name].read_text(encoding="utf-8")

    assert len(source.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(source))


def test_no_two_modules_have_one_name() -> None:
    """A command's module may be called as the module that it calls."""
    names = [path.stem for name, path in FILES.items() if room_of(name) != "lsp_server.cli"]

    assert {name for name in names if names.count(name) > 1} == {"__init__"}


def test_no_two_records_or_classes_have_one_name() -> None:
    classes = [
        node.name
        for path in FILES.values()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]

    assert not {name for name in classes if classes.count(name) > 1}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_kernels_and_the_extension_stay_small_too(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


TORCH_FREE = [
    "engine.engine",
    "engine.decoding.pool",
    "engine.model.loading",
    "engine.model.prepared.onnx_runtime",
    "engine.model.sources.store",
    "engine.policy.learned",
    "engine.remote.remote_engine",
    "engine.service.opened",
    "engine.service.process",
    "lsp_server.handlers",
    "lsp_server.cli.app",
]


@pytest.mark.parametrize("module", TORCH_FREE)
def test_starting_imports_no_torch(module: str) -> None:
    heavy = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "[]"


SERVING = """
import runpy, sys
slow, sys.argv[1] = sys.argv[1].split(","), "serve"
import lsp_server.stdio
lsp_server.stdio.serve_stdio = lambda server: print(sorted(set(slow) & set(sys.modules))) or 0
runpy.run_module("lsp_server", run_name="__main__")
"""
SLOW = "engine.engine,filelock,httpx2,huggingface_hub,importlib.metadata,numpy,pydantic,pygments,rich,tokenizers,typer"


def test_the_server_answers_before_it_imports_what_is_slow() -> None:
    told = subprocess.run([sys.executable, "-c", SERVING, SLOW], capture_output=True, text=True, check=True).stdout

    assert told.strip() == "[]"
