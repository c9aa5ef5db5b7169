"""From a model with its exits to a folder that a fast CPU runner opens: once, cached, checked.

The folder is named by what it was made from, so that a start needs neither the original weights nor what reads them:
their files are compared by name, size and time. What is prepared is the model as it is used, with the updates of its
trained exits, their maps and their shortlist. Imports no torch: what computes the model as it is, is an `Original`.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import cattrs
import numpy as np

from engine.errors import UnsupportedModelError
from engine.model.families import supported_family
from engine.model.prepared.checked_tokens import CheckedTokens
from engine.model.prepared.layout import (
    EMBEDDING_FILE,
    HEAD_ROWS_FILE,
    META_FILE,
    NORM_BIAS_FILE,
    NORM_FILE,
    ROTARY_FILE,
    SHORTLIST_IDS_FILE,
    TOKENIZER_FILE,
    Layout,
    PreparedModel,
)
from engine.model.prepared.native import packing
from engine.model.prepared.opening import open_runner
from engine.model.prepared.quantization import BYTES_PER_WEIGHT
from engine.model.sources import model_cache
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from engine.model.prepared.checked_tokens import CheckedRunner
    from engine.model.prepared.weights import Blocks, Weights
    from engine.types import ModelGeometry, Precision, PreparedRuntime, ProgressSink

_MAX_ROTARY = 32_768  # positions; the tables of longer ones would outweigh small models
_ROWS = 4096  # written at a time
_TOLERANCE = {"fp32": 1e-3, "int8": 0.15, "int4": 0.6}  # median error of logits over their median size


class Original(Protocol):
    """A model as it is before it is prepared, in fp32, on whatever computes it there."""

    @property
    def family(self) -> str:
        """Its family in `engine.model.families`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names its weights."""
        ...

    @property
    def exits_fingerprint(self) -> str:
        """Names its trained exits, "untrained" where there are none."""
        ...

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Tokens that end a text, as its files name them."""
        ...

    @property
    def exit_layers(self) -> Sequence[int]:
        """Layers after which a token may leave, ascending, without the last."""
        ...

    @property
    def geometry(self) -> ModelGeometry:
        """The sizes that cost depends on."""
        ...

    @property
    def max_positions(self) -> int:
        """Longest text in tokens."""
        ...

    @property
    def shortlist(self) -> NDArray[np.int64] | None:
        """Ids of the tokens that exits choose from; None for the whole vocabulary."""
        ...

    @property
    def blocks(self) -> Blocks:
        """What all its layers have in common."""
        ...

    @property
    def computed(self) -> CheckedRunner:
        """What computes it."""
        ...

    def why_not(self, runtime: PreparedRuntime) -> str | None:
        """Why it cannot be written for a runtime that knows its family; None where it can."""
        ...

    def weights(self, precision: Precision, sample: CheckedTokens, progress: Callable[[int], None]) -> Weights:
        """Takes it apart.

        Args:
            precision: How weights are to be held.
            sample: Goes through each layer that is taken out.
            progress: Is called for each layer before it is.
        """
        ...

    def rotary_table(self, layer_idx: int, n_positions: int) -> NDArray[np.float32] | None:
        """Cos and sin, [2, positions, D_head / 2], that a layer rotates by; None where it rotates nothing."""
        ...

    def let_go(self) -> None:
        """Gives back the memory of its layers."""
        ...


def write_prepared(
    prepared_name: str,
    original: Original,
    tokenizer: Tokenizer,
    *,
    model_name: str,
    precision: Precision,
    native: bool,
    threads: int,
    progress: ProgressSink,
) -> None:
    """Writes a model into the cache, and checks what was written against what it was written from.

    Other folders that were prepared from the same model in the same way, but from older weights, exits or formats, are
    deleted.

    Args:
        prepared_name: What it is called in the cache; see `engine.model.prepared.layout.prepared_name`.
        original: The model to prepare.
        tokenizer: Its tokenizer, which is stored with it.
        model_name: The model, as the user named it.
        precision: How the weights are to be held.
        native: Whether to write for the native kernels, where they know the model's blocks and sizes.
        threads: The most threads that the check takes.
        progress: Is called for each layer.

    Raises:
        UnsupportedModelError: If no fast runner knows the model's blocks, or if what was written does not
            compute what the original computes, or if int4 finds no code to round the weights by.
        ModelDownloadError: If the disk is too full or refuses the files.
    """
    runtime = _runtime(original, model_name, precision, native=native)
    sample = CheckedTokens(original.computed)

    def build(_work: Path, folder: Path) -> None:
        prepared = _write(folder, original, sample, precision=precision, runtime=runtime, progress=progress)
        original.let_go()
        error = sample.error(
            open_runner(folder, prepared.layout, threads=threads), tuple(itertools.pairwise(prepared.layout.bounds))
        )
        if not error <= _TOLERANCE[precision]:
            raise UnsupportedModelError(
                f"In {precision} this model computes something else than in fp32 (relative error {error:.2g}); "
                "choose the precision 'fp32'."
            )
        tokenizer.save(str(folder / TOKENIZER_FILE))
        (folder / META_FILE).write_text(json.dumps(cattrs.unstructure(prepared)), encoding="utf-8")

    geometry = original.geometry
    n_params = geometry.n_layers * geometry.layer_params + 3 * geometry.head_params
    manifest = model_cache.Manifest(
        name=prepared_name,
        source=model_name,
        licence=None,
        converted_with=f"green-code {version('green-code')}",
    )
    needed_bytes = int(1.1 * n_params * _bytes_per_param(geometry, original.blocks, precision, runtime))
    model_cache.store(manifest, needed_bytes=needed_bytes, build=build, progress=progress, kind="prepared")
    same_variant = prepared_name.rpartition("-")[0]
    for other in model_cache.prepared_from(model_name):
        if other.rpartition("-")[0] == same_variant and other != prepared_name:
            model_cache.remove(other, kind="prepared")  # of older weights, exits or format


def _runtime(original: Original, model_name: str, precision: Precision, *, native: bool) -> PreparedRuntime:
    """What a model is written for: the first that can run it."""
    family = original.family
    known = supported_family(family, Sentence("The model '{name}'", name=model_name)).runtimes
    asked: list[PreparedRuntime] = ["native", "onnx"] if native and precision != "fp32" else ["onnx"]
    reasons = []
    for runtime in asked:
        reason = original.why_not(runtime) if runtime in known else f"the family '{family}' has other blocks"
        if reason is None:
            return runtime
        reasons.append(reason)
    raise UnsupportedModelError(
        f"The model '{model_name}' cannot run in {precision}, because {reasons[0]}; choose the precision 'fp32'."
    )


def _write(
    folder: Path,
    original: Original,
    sample: CheckedTokens,
    *,
    precision: Precision,
    runtime: PreparedRuntime,
    progress: ProgressSink,
) -> PreparedModel:
    """Writes weights and tables into a folder, for one runtime, and takes `sample` through all layers."""
    geometry, blocks = original.geometry, original.blocks
    n_positions = min(original.max_positions, _MAX_ROTARY)
    bounds = (0, *original.exit_layers, geometry.n_layers)

    def at_layer(idx: int) -> None:
        progress(Sentence("Preparing the model for this CPU"), idx, geometry.n_layers)

    weights = original.weights(precision, sample, at_layer)
    if runtime == "native":
        packing.write_pack(folder, weights)
    else:
        from engine.model.prepared.graph_files import write_graphs

        write_graphs(folder, weights, tuple(itertools.pairwise(bounds)), precision)
    if original.shortlist is not None and weights.shortlist is not None:
        np.save(folder / SHORTLIST_IDS_FILE, original.shortlist)
        if not np.array_equal(weights.head()[0], weights.embedding()):
            _save_halves(folder / HEAD_ROWS_FILE, weights.head()[0])
    _save_halves(folder / EMBEDDING_FILE, weights.embedding())
    np.save(folder / NORM_FILE, weights.final_norm)
    if weights.final_norm_bias is not None:
        np.save(folder / NORM_BIAS_FILE, weights.final_norm_bias)
    np.save(folder / ROTARY_FILE, _rotary_tables(original, weights.rotaries, n_positions))
    layout = Layout(
        runtime=runtime,
        geometry=replace(geometry, bytes_per_param=_bytes_per_param(geometry, blocks, precision, runtime)),
        bounds=bounds,
        n_vocabulary=original.computed.n_vocabulary,
        n_kv_heads=blocks.n_kv_heads,
        head_dim=blocks.head_dim,
        max_positions=n_positions - 1,  # ONNX Runtime is given a row of zeros behind the last
        norm_epsilon=weights.norm_epsilon,
        embedding_scale=weights.embedding_scale,
    )
    return PreparedModel(
        layout=layout,
        fingerprint=original.fingerprint,
        exits_fingerprint=original.exits_fingerprint,
        end_ids=original.end_ids,
    )


def _bytes_per_param(geometry: ModelGeometry, blocks: Blocks, precision: Precision, runtime: PreparedRuntime) -> float:
    """What a pass at full depth reads for a weight, on average over layers and head."""
    if precision == "fp32":
        return 4.0
    n_in_4_bits = 0
    if precision == "int4":
        n_in_4_bits = geometry.n_layers * (1 + blocks.is_gated) * blocks.width * blocks.mlp_width
    share = n_in_4_bits / (geometry.n_layers * geometry.layer_params + geometry.head_params)
    by_bits = BYTES_PER_WEIGHT[runtime]
    return share * by_bits[4] + (1 - share) * by_bits[8]


def _save_halves(path: Path, table: NDArray[np.float32]) -> None:
    """Like `np.save` of half floats, some rows at a time: the table may be the largest thing in memory."""
    with path.open("wb") as file:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": table.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(table), _ROWS):
            file.write(table[start : start + _ROWS].astype(np.float16).tobytes())


def _rotary_tables(original: Original, rotaries: Sequence[int], n_positions: int) -> NDArray[np.float32]:
    """Cos and sin of every position and frequency, as the model itself computes them.

    Args:
        original: The model.
        rotaries: Which table each layer rotates by.
        n_positions: Positions in each table.

    Returns:
        [tables, 2, positions, D_head / 2].
    """
    still = np.zeros((2, n_positions, original.blocks.head_dim // 2), np.float32)
    still[0] = 1  # it knows no positions: nothing is rotated
    tables = (original.rotary_table(rotaries.index(table), n_positions) for table in range(max(rotaries) + 1))
    return np.array([still if table is None else table for table in tables])
