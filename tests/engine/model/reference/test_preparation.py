"""A model that is prepared while it is loaded: in a process of its own, told of, given up, refused."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from transformers import PreTrainedTokenizerFast

from engine.config import EngineConfig
from engine.errors import ModelCorruptError, UnsupportedModelError
from engine.model.loading import load_model
from engine.model.prepared.native import library
from engine.model.prepared.native.library import Instructions
from engine.model.prepared.native.runner import NativeRunner
from engine.model.prepared.onnx_runtime import OnnxRunner
from engine.model.reference.eager import TorchRunner
from engine.model.sources import model_cache
from tests.engine.model.fast_models import needs_kernels
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")

INT8 = EngineConfig(device="cpu", precision="int8", threads=1)
AUTO = EngineConfig(device="cpu", threads=1)

PARENT = """
import json, sys
from pathlib import Path
from engine.config import EngineConfig
from engine.model.loading import load_model
told = []
loaded = load_model(
    "tiny", Path(sys.argv[1]), EngineConfig(device="cpu"), progress=lambda message, done, total: told.append(message)
)
model = loaded.model
rows = model.run_layers(model.embed([1, 2, 3], 0), 0, model.n_layers, model.new_cache())
print(json.dumps({"told": told, "device": loaded.device_name, "modules": sorted(sys.modules)}))
"""


def folder_of(tmp_path: Path, family: str, **sizes: int) -> Path:
    folder = tmp_path / family
    tiny_model(family, **{"hidden_size": 64, "max_position_embeddings": 64} | sizes).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=LETTERS).save_pretrained(folder)
    return folder


class GivenUpError(Exception):
    """What the sink of a cancelled load raises."""


NATIVE_SIZES = {"hidden_size": 128, "intermediate_size": 128}


@needs_kernels
@pytest.mark.parametrize("instructions", [library.instructions(), "avx2"])
def test_who_runs_native_kernels_imports_no_runtime(
    instructions: Instructions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, "llama", **NATIVE_SIZES)
    monkeypatch.setenv("GREEN_CODE_KERNELS", instructions)

    done = subprocess.run([sys.executable, "-c", PARENT, folder], capture_output=True, text=True, check=True)

    found = json.loads(done.stdout)
    named = {
        "amx": "native kernels for AMX",
        "avx512": "native kernels",
        "avxvnni": "native kernels for AVX-VNNI",
        "avx2": "native kernels for AVX2",
    }
    assert found["device"].endswith(f"int8, {named[instructions]}")
    assert not {"torch", "transformers", "onnx", "onnxruntime"} & set(found["modules"])


@needs_kernels
def test_processes_with_and_without_kernels_keep_a_model_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, "llama", **NATIVE_SIZES)
    load_model("tiny", folder, INT8)
    monkeypatch.setattr(library, "load", lambda: None)  # in this process; the one that prepares is told
    assert isinstance(load_model("tiny", folder, INT8).model.runner, OnnxRunner)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    told: list[str] = []

    again = load_model("tiny", folder, INT8, progress=lambda message, *_: told.append(message))

    assert isinstance(again.model.runner, NativeRunner)
    assert told == []
    assert len(model_cache.names(kind="prepared")) == 2


def test_who_prepares_a_model_never_imports_torch(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")

    done = subprocess.run([sys.executable, "-c", PARENT, folder], capture_output=True, text=True, check=True)

    found = json.loads(done.stdout)
    assert found["device"].endswith("int8, ONNX Runtime")
    assert found["told"][0] == "Preparing the model for this CPU"
    assert len(found["told"]) > 2
    assert not {"torch", "transformers", "onnx"} & set(found["modules"])


def test_a_prepared_model_is_prepared_once(tmp_path: Path) -> None:
    folder, told = folder_of(tmp_path, "qwen2"), []
    first = load_model("tiny", folder, INT8)

    second = load_model("tiny", folder, INT8, progress=lambda *step: told.append(step))

    assert isinstance(first.model.runner, OnnxRunner)
    assert told == []
    assert second.model.fingerprint == first.model.fingerprint
    assert len(model_cache.names(kind="prepared")) == 1


def test_a_load_that_is_given_up_leaves_no_process_and_no_half_folder(tmp_path: Path) -> None:
    def give_up(message: str, done: int, total: int | None) -> None:
        if done:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        load_model("tiny", folder_of(tmp_path, "llama"), INT8, progress=give_up)

    assert psutil.Process().children() == []
    assert [path for path in (tmp_path / "cache" / "green-code" / "prepared").iterdir() if path.is_dir()] == []


def test_weights_that_cannot_be_read_are_told_of_as_ever(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")
    (folder / "model.safetensors").write_bytes(b"nothing")

    with pytest.raises(ModelCorruptError, match=r"^The files of the model 'tiny' cannot be read; fetch it again"):
        load_model("tiny", folder, INT8)


def test_other_blocks_are_refused_where_int8_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"cannot run in int8, because the family 'opt' has other blocks"):
        load_model("tiny", folder_of(tmp_path, "opt"), INT8)


def test_other_blocks_run_in_fp32_where_the_choice_is_ours_and_start_no_process(tmp_path: Path) -> None:
    told: list[str] = []

    loaded = load_model("tiny", folder_of(tmp_path, "opt"), AUTO, progress=lambda message, *_: told.append(message))

    assert isinstance(loaded.model.runner, TorchRunner)
    assert told == []


@needs_kernels
def test_gemma_runs_in_int8_where_there_are_kernels_and_in_fp32_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, "gemma3_text", **NATIVE_SIZES, head_dim=32)

    assert isinstance(load_model("tiny", folder, AUTO).model.runner, NativeRunner)
    monkeypatch.setattr(library, "load", lambda: None)
    assert isinstance(load_model("tiny", folder, AUTO).model.runner, TorchRunner)


def test_a_block_that_only_the_child_sees_through_runs_in_fp32_too(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))

    loaded = load_model("tiny", folder, AUTO)

    assert isinstance(loaded.model.runner, TorchRunner)
