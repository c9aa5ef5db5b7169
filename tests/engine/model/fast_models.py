"""Tiny models on the fast runners, and the ways in which the decoder drives them."""

import random

import pytest
import torch

from engine.model.early_exit import EarlyExitModel
from engine.model.layer_runner import Array, KVCache
from engine.model.prepared.layout import find_prepared
from engine.model.prepared.native import library
from engine.model.prepared.opening import open_runner
from engine.model.reference.eager import backbone_of
from engine.model.reference.preparation import prepare
from engine.model.reference.trained_exits import Affine, TrainedExits
from engine.model.stored_exits import TrainedExitsInfo
from engine.model.tokenization import Tokenization
from engine.types import Precision, no_progress
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import early_exit_model, tiny_model

# That they load where the CPU can run them is tested in `test_native_library`, which skips nothing of that.
needs_kernels = pytest.mark.skipif(library.load() is None, reason=library.why_not() or "")

EXITS = (2, 4)
IDS = random.Random(0).choices(range(97), k=40)


def prepare_as(name: str, model: EarlyExitModel, precision: Precision, *, native: bool) -> None:
    """Writes a prepared model of that name into the cache."""
    prepare(
        name,
        model,
        Tokenization(LETTERS, [7]),
        model_name="tiny",
        precision=precision,
        native=native,
        progress=no_progress,
    )


def prepared(model: EarlyExitModel, precision: Precision) -> EarlyExitModel:
    """A model on the runner that this machine would choose for it."""
    prepare_as(f"tiny-{precision}-0", model, precision, native=library.load() is not None)
    found = find_prepared(f"tiny-{precision}-0")
    assert found is not None
    folder, stored = found
    return EarlyExitModel(
        open_runner(folder, stored.layout, threads=2),
        stored.layout.bounds[1:-1],
        fingerprint=stored.fingerprint,
        exits_fingerprint=stored.exits_fingerprint,
    )


def small_model(family: str, **sizes: object) -> EarlyExitModel:
    """Norms and biases that are not their initial ones and zeros; of sizes for ONNX Runtime, not for native kernels."""
    backbone = tiny_model(family, 0, **{"hidden_size": 64} | sizes)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape))
            else:
                parameter.mul_(0.4)  # without it rounding errors grow to the size of what is compared
    return early_exit_model(backbone, EXITS)


def with_exits(
    model: EarlyExitModel, *, maps: dict[int, Affine] | None = None, shortlist: torch.Tensor | None = None
) -> EarlyExitModel:
    """The same with trained exits."""
    maps = maps or {}
    info = TrainedExitsInfo(
        model="tiny",
        fingerprint=model.fingerprint,
        exit_layers=tuple(maps),
        corpus_sha256="",
        train_tokens=1,
        created="2026-01-31",
        agreement=(),
    )
    trained_exits = TrainedExits(info, maps, shortlist=shortlist)
    return early_exit_model(backbone_of(model.runner), EXITS, trained_exits)


def logits(model: EarlyExitModel, start: int, stop: int, cache: KVCache) -> torch.Tensor:
    hidden = model.run_layers(model.embed(IDS[start:stop], start), 0, 6, cache)
    return head(model, hidden, 6)


def head(model: EarlyExitModel, hidden: Array, layer: int) -> torch.Tensor:
    return torch.from_numpy(model.to_numpy(model.logits(model.exit_state(hidden, layer), layer)))


def ragged(model: EarlyExitModel, *, propagated: bool) -> list[torch.Tensor]:
    """A prompt, three rows that leave at layer 2, two of which are taken back, and one that goes all the way."""
    cache, outputs = model.new_cache(), []
    outputs.append(logits(model, 0, 20, cache))
    waiting = model.run_layers(model.embed(IDS[20:23], 20), 0, 2, cache)
    outputs.append(head(model, waiting, 2))
    assert list(cache.lengths) == [23, 23, 20, 20, 20, 20]
    cache.crop(21)
    outputs.append(head(model, model.concatenate(waiting[:, 1:], waiting[:, :1]), 2))
    waiting = waiting[:, :1]
    if propagated:
        model.propagate(waiting, 2, cache)
    else:
        model.run_layers(waiting, 2, 6, cache)
    assert list(cache.lengths) == [21] * 6
    outputs.append(logits(model, 21, 22, cache))
    return outputs
