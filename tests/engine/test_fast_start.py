"""What a completion by the default model takes on a CPU, each in a process of its own: no torch, and little memory."""

import json
import subprocess
import sys
from typing import Any

import pytest

from engine.engine import Engine

pytestmark = pytest.mark.model

MOST_RESIDENT_MB = 400  # 340 in use; importing torch alone takes 230

SCRIPT = """
import json, sys
import psutil
from engine.config import EngineConfig
from engine.engine import load_engine
from engine.types import CompletionRequest
engine = load_engine(EngineConfig())
code = sys.stdin.read()
texts = [
    engine.complete(CompletionRequest(prefix=code[:end], green_mode=mode)).text
    for mode in (0, 50, 100)
    for end in range(1200, 1300, 25)
]
print(json.dumps({
    "texts": texts,
    "heavy": sorted({"torch", "transformers", "onnx"} & set(sys.modules)),
    "resident_mb": psutil.Process().memory_info().rss / 1e6,
}))
"""


@pytest.fixture(scope="module")
def completed(engine: Engine) -> dict[str, Any]:
    """A fresh process' completions; `engine` has seen to it that the weights are prepared."""
    if not engine.device_name.startswith("CPU"):
        pytest.skip("here the model runs on a GPU")
    code = "".join(f"def area_{n}(width, height):\n    return width * height * {n}\n\n\n" for n in range(40))
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=code, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_completing_imports_no_torch(completed: dict[str, Any]) -> None:
    assert any(completed["texts"])
    assert completed["heavy"] == []


def test_completing_leaves_room_for_the_editor(completed: dict[str, Any]) -> None:
    assert completed["resident_mb"] < MOST_RESIDENT_MB
