"""A model read layer by layer is the model, and what is prepared from it is the same to the last byte."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, PreTrainedTokenizerFast

from engine.config import EngineConfig
from engine.model.families import FAMILIES
from engine.model.loaded import LoadedModel
from engine.model.prepared.native import library
from engine.model.reference.eager import backbone_of
from engine.model.reference.preparation import prepare
from engine.model.reference.pretrained import load_reference
from engine.model.reference.streamed import load_streamed
from engine.model.reference.trained_exits import TrainedExits, save_trained_exits
from engine.model.sources import model_cache
from engine.model.stored_exits import TrainedExitsInfo
from engine.model.trained_exit_files import TRAINED_EXITS
from engine.types import Precision, ProgressSink, no_progress
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("own_cache", "own_data")

PREPARED = [family.name for family in FAMILIES.values() if family.runtimes]
CONFIG = EngineConfig(device="cpu", threads=1)


def folder_of(tmp_path: Path, family: str, **sizes: object) -> Path:
    folder = tmp_path / family
    heads = {"head_dim": 32} if family == "gemma3_text" else {}
    model = tiny_model(family, 0, **{"hidden_size": 128, "intermediate_size": 128, **heads, **sizes})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.4).add_(0.3 * torch.randn(parameter.shape) if parameter.ndim == 1 else 0)
    model.bfloat16().save_pretrained(folder, max_shard_size="200KB")
    PreTrainedTokenizerFast(tokenizer_object=LETTERS).save_pretrained(folder)
    return folder


def loaded(folder: Path, *, streamed: bool) -> LoadedModel:
    return load_reference("tiny", folder, CONFIG, "cpu", with_trained_exits=True, streamed=streamed)


def prepared(model: LoadedModel, precision: Precision, progress: ProgressSink = no_progress) -> dict[str, bytes]:
    """The bytes of every file."""
    native = library.load() is not None
    prepare(
        f"tiny-{precision}-0",
        model.model,
        model.tokenization,
        model_name="tiny",
        precision=precision,
        native=native,
        progress=progress,
    )
    folder = model_cache.folder_of(f"tiny-{precision}-0", kind="prepared")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def teach(folder: Path) -> None:
    """Trained exits with an update of a weight."""
    model, generator = loaded(folder, streamed=False).model, torch.Generator().manual_seed(0)
    weight = backbone_of(model.runner).model.layers[3].self_attn.o_proj.weight
    update = torch.randn(len(weight), 2, generator=generator), torch.randn(2, weight.shape[1], generator=generator)
    info = TrainedExitsInfo(
        model="tiny",
        fingerprint=model.fingerprint,
        exit_layers=(),
        corpus_sha256="",
        train_tokens=1,
        created="2026-01-31",
        agreement=(),
    )
    exits = TrainedExits(info, {}, {"model.layers.3.self_attn.o_proj.weight": update})
    save_trained_exits(exits, TRAINED_EXITS.own_path("tiny"))


@pytest.mark.parametrize("family", PREPARED)
def test_what_is_prepared_is_the_same_to_the_last_byte(family: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, family, tie_word_embeddings=family != "llama")
    teach(folder)

    streamed, whole = loaded(folder, streamed=True), loaded(folder, streamed=False)

    assert streamed.model.fingerprint == whole.model.fingerprint
    assert streamed.model.exits_fingerprint == whole.model.exits_fingerprint
    assert prepared(streamed, "int8") == prepared(whole, "int8")


@pytest.mark.parametrize("family", ["gemma3_text", "starcoder2"])
def test_so_it_is_where_weights_are_rounded_by_what_the_model_reads(family: str, tmp_path: Path) -> None:
    if "onnx" not in FAMILIES[family].runtimes and library.load() is None:
        family = "llama"
    folder = folder_of(tmp_path, family)

    assert prepared(loaded(folder, streamed=True), "int4") == prepared(loaded(folder, streamed=False), "int4")


def test_no_two_layers_are_in_memory_at_once(tmp_path: Path) -> None:
    model, held = loaded(folder_of(tmp_path, "llama"), streamed=True), []
    layers = backbone_of(model.model.runner).model.layers

    prepared(model, "int8", lambda *_: held.append(sum(not next(each.parameters()).is_meta for each in layers)))

    assert len(held) >= len(layers)
    assert max(held) == 1


def test_the_end_of_a_text_is_known_as_the_files_say(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 6]}))

    assert loaded(folder, streamed=True).tokenization.eos_token_ids == (5, 6)


def test_weights_under_other_names_are_left_to_transformers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "llama")
    settings = AutoConfig.from_pretrained(folder)
    assert load_streamed(folder, settings) is not None

    settings.intermediate_size += 1

    assert load_streamed(folder, settings) is None
