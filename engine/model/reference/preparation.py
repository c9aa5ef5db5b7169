"""A model on the reference runner, as it is before it is prepared: whatever transformers knows of Llama's build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.model.prepared.native import packing
from engine.model.prepared.onnx_graph import unsupported
from engine.model.prepared.writing import write_prepared
from engine.model.reference.eager import TorchRunner
from engine.model.reference.extraction import blocks_of, weights_of
from engine.model.reference.mlp_inputs import MlpInputs, standard_library_ids
from engine.model.reference.streamed import StreamedLayers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from engine.model.early_exit import EarlyExitModel
    from engine.model.prepared.checked_tokens import CheckedTokens
    from engine.model.prepared.weights import Blocks, Weights
    from engine.model.tokenization import Tokenization
    from engine.types import Precision, PreparedRuntime, ProgressSink

_ROTATES_BY_LENGTH = ("dynamic", "longrope")  # no table holds for every text


def prepare(
    prepared_name: str,
    model: EarlyExitModel,
    tokenization: Tokenization,
    *,
    model_name: str,
    precision: Precision,
    native: bool,
    progress: ProgressSink,
) -> None:
    """Does what `engine.model.prepared.writing.write_prepared` does, for a model that runs on the reference runner.

    Raises:
        UnsupportedModelError: As there.
        ModelDownloadError: As there.
    """
    write_prepared(
        prepared_name,
        _Reference(model, tokenization),
        tokenization.tokenizer,
        model_name=model_name,
        precision=precision,
        native=native,
        threads=torch.get_num_threads(),
        progress=progress,
    )


class _Reference:
    """See `Original`."""

    def __init__(self, model: EarlyExitModel, tokenization: Tokenization) -> None:
        assert isinstance(model.runner, TorchRunner)
        self._runner, self._tokenization = model.runner, tokenization
        self.family: str = self._runner.backbone.config.model_type
        self.fingerprint, self.exits_fingerprint = model.fingerprint, model.exits_fingerprint
        self.end_ids = tokenization.eos_token_ids
        self.exit_layers, self.geometry = model.exit_layers, model.geometry
        self.max_positions, self.shortlist = model.max_positions, self._runner.shortlist
        self.computed = self._runner

    @property
    def blocks(self) -> Blocks:
        """See `Original.blocks`."""
        return blocks_of(self._runner)

    def why_not(self, runtime: PreparedRuntime) -> str | None:
        """See `Original.why_not`."""
        config = self._runner.backbone.config
        rope_type = (getattr(config, "rope_parameters", None) or {}).get("rope_type")
        if rope_type in _ROTATES_BY_LENGTH:
            return f"its positions are rotated by the text's length ('{rope_type}')"
        if runtime == "native":
            return packing.unsupported(config, self.blocks)
        return unsupported(self.blocks, self._runner.adapter.sliding_windows)

    def weights(self, precision: Precision, sample: CheckedTokens, progress: Callable[[int], None]) -> Weights:
        """See `Original.weights`."""
        inputs = None
        if precision == "int4":
            inputs = MlpInputs(self._runner, standard_library_ids(self._tokenization.tokenizer))
        return weights_of(self._runner, inputs, sample, progress)

    def rotary_table(self, layer_idx: int, n_positions: int) -> NDArray[np.float32] | None:
        """See `Original.rotary_table`."""
        half = self.blocks.head_dim // 2
        positions = torch.arange(n_positions).unsqueeze(0)
        cos_and_sin = self._runner.adapter.rotary(torch.zeros(1, 1, 2 * half), positions, layer_idx)
        return None if cos_and_sin is None else np.array([part[0, :, :half].float().numpy() for part in cos_and_sin])

    def let_go(self) -> None:
        """See `Original.let_go`."""
        if isinstance(layers := self._runner.backbone.model.layers, StreamedLayers):
            layers.let_go()
