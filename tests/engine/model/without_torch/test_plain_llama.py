"""A plain Llama in numpy is the model that transformers reads, and what is prepared from it is the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from engine.config import EngineConfig
from engine.errors import PolicyError
from engine.model.prepared.native import library
from engine.model.prepared.writing import write_prepared
from engine.model.reference.preparation import prepare
from engine.model.reference.pretrained import load_reference
from engine.model.reference.trained_exits import TrainedExits, save_trained_exits
from engine.model.sources import model_cache
from engine.model.stored_exits import TrainedExitsInfo
from engine.model.trained_exit_files import TRAINED_EXITS
from engine.model.without_torch.plain_llama import PlainLlama
from engine.model.without_torch.plain_weights import plain_files
from engine.types import no_progress
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("own_cache", "own_data")

CONFIG = EngineConfig(device="cpu", threads=1)
RUNTIMES = ["native", "onnx"] if library.load() is not None else ["onnx"]


def folder_of(tmp_path: Path, family: str = "llama", **sizes: object) -> Path:
    model = tiny_model(family, 0, **{"hidden_size": 128, "intermediate_size": 128, **sizes})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.4).add_(0.3 * torch.randn(parameter.shape) if parameter.ndim == 1 else 0)
    model.save_pretrained(tmp_path / "model", max_shard_size="200KB")
    PreTrainedTokenizerFast(tokenizer_object=LETTERS).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def teach(fingerprint: str, width: int) -> None:
    """Trained exits with all that they may have."""
    generator = torch.Generator().manual_seed(0)
    info = TrainedExitsInfo(
        model="tiny",
        fingerprint=fingerprint,
        exit_layers=(3,),
        corpus_sha256="",
        train_tokens=1,
        created="2026-01-31",
        agreement=(0.5,),
    )
    maps = {3: (torch.randn(width, width, generator=generator), torch.randn(width, generator=generator))}
    update = torch.randn(width, 2, generator=generator), torch.randn(2, width, generator=generator)
    exits = TrainedExits(info, maps, {"model.layers.3.self_attn.o_proj.weight": update}, torch.arange(0, 90, 3))
    save_trained_exits(exits, TRAINED_EXITS.own_path("tiny"))


def opened(folder: Path, *, with_trained_exits: bool = True) -> PlainLlama:
    files = plain_files(folder)
    assert files is not None
    return PlainLlama("tiny", files, None, with_trained_exits=with_trained_exits)


def files_of(name: str) -> dict[str, bytes]:
    folder = model_cache.folder_of(name, kind="prepared")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("head", ["tied", "its own"])
def test_what_is_prepared_is_the_same_as_with_torch(runtime: str, head: str, tmp_path: Path) -> None:
    folder, native = folder_of(tmp_path, tie_word_embeddings=head == "tied"), runtime == "native"
    teach(opened(folder, with_trained_exits=False).fingerprint, 128)
    reference = load_reference("tiny", folder, CONFIG, "cpu", with_trained_exits=True)
    prepare(
        "torch-int8-0",
        reference.model,
        reference.tokenization,
        model_name="tiny",
        precision="int8",
        native=native,
        progress=no_progress,
    )
    steps: list[int] = []

    write_prepared(
        "numpy-int8-0",
        opened(folder),
        reference.tokenization.tokenizer,
        model_name="tiny",
        precision="int8",
        native=native,
        threads=1,
        progress=lambda _, done, __: steps.append(done),
    )

    expected, found = files_of("torch-int8-0"), files_of("numpy-int8-0")
    torchs, numpys = (np.frombuffer(files.pop("rotary.npy")[128:], np.float32) for files in (expected, found))
    np.testing.assert_allclose(numpys, torchs, atol=1e-6)  # each has its own cosine
    assert found == expected
    assert max(steps) == 5


def test_it_computes_what_transformers_computes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    plain, ids = opened(folder), [3, 1, 4, 1, 5, 9, 2, 6]
    with torch.no_grad():
        model = load_reference("tiny", folder, CONFIG, "cpu", with_trained_exits=False).model
        expected = model.runner.backbone(torch.tensor([ids])).logits.numpy()  # type: ignore[attr-defined]

    cache = plain.new_cache()
    rows = [plain.run_layers(plain.embed(ids[part], part.start), 0, 6, cache) for part in (slice(0, 5), slice(5, 8))]

    np.testing.assert_allclose(plain.head(plain.final_norm(np.concatenate(rows, axis=1))), expected, atol=1e-4)


def test_exits_of_other_weights_are_refused(tmp_path: Path) -> None:
    teach("another", 128)

    with pytest.raises(PolicyError, match="trained for other weights"):
        opened(folder_of(tmp_path))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"hidden_act": "gelu"}),
        ("config.json", {"attention_bias": True}),
        ("config.json", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}),
        ("config.json", {"intermediate_size": 256}),
        ("config.json", {"vocab_size": 10}),
        ("tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"}),
        ("tokenizer_config.json", {"add_bos_token": True}),
        ("tokenizer.json", {"model": {"type": "of another kind"}}),
    ],
)
def test_whatever_is_otherwise_is_left_to_transformers(file: str, change: dict[str, object], tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    settings = json.loads((folder / file).read_text())
    assert plain_files(folder) is not None

    (folder / file).write_text(json.dumps(settings | change))

    assert plain_files(folder) is None


def test_so_are_other_families_and_weights_in_other_kinds_of_numbers(tmp_path: Path) -> None:
    assert plain_files(folder_of(tmp_path / "qwen2", "qwen2")) is None
    folder = folder_of(tmp_path)
    tiny_model("llama", 0, hidden_size=128, intermediate_size=128).bfloat16().save_pretrained(folder)
    assert plain_files(folder) is None
    for path in folder.glob("*.safetensors"):
        path.write_bytes(b"nothing")
    assert plain_files(folder) is None
