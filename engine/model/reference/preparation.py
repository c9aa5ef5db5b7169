"""From a transformers model with its exits to a folder that a fast CPU runner opens: once, cached, checked.

The folder is named by what it was made from, so that a start needs neither transformers nor the original weights: their
files are compared by name, size and time. What is prepared is the model as it is used, with the updates of its trained
exits, their maps and their shortlist.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import cattrs
import numpy as np
import onnx
import torch

from engine.errors import UnsupportedModelError
from engine.model.families import supported_family
from engine.model.prepared.layout import (
    EMBEDDING_FILE,
    HEAD_FILE,
    HEAD_ROWS_FILE,
    KEY_NORMS_FILE,
    META_FILE,
    NORM_BIAS_FILE,
    NORM_FILE,
    PROPAGATION_FILE,
    ROTARY_FILE,
    SHORTLIST_FILE,
    SHORTLIST_IDS_FILE,
    TOKENIZER_FILE,
    Layout,
    PreparedModel,
    exit_map_file,
    segment_file,
)
from engine.model.prepared.native import packing
from engine.model.prepared.onnx_graph import head_graph, propagation_graph, segment_graph, unsupported
from engine.model.prepared.opening import open_runner
from engine.model.prepared.quantization import BYTES_PER_WEIGHT
from engine.model.reference.checked_tokens import CheckedTokens
from engine.model.reference.eager import TorchRunner, backbone_of
from engine.model.reference.extraction import blocks_of, weights_of
from engine.model.reference.mlp_inputs import MlpInputs, standard_library_ids
from engine.model.reference.streamed import StreamedLayers
from engine.model.sources import model_cache
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.model.early_exit import EarlyExitModel
    from engine.model.prepared.weights import Blocks, LayerWeights, Weights
    from engine.model.tokenization import Tokenization
    from engine.types import ModelGeometry, Precision, PreparedRuntime, ProgressSink

_MAX_ROTARY = 32_768  # positions; the tables of longer ones would outweigh small models
_ROWS = 4096  # written at a time
_INLINE_BYTES = 1024
_ROTATES_BY_LENGTH = ("dynamic", "longrope")  # no table holds for every text
_TOLERANCE = {"fp32": 1e-3, "int8": 0.15, "int4": 0.6}  # median error of logits over their median size


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
    """Writes a model that runs on the reference runner into the cache, and checks what was written against it.

    Other folders that were prepared from the same model in the same way, but from older weights, exits or formats, are
    deleted.

    Args:
        prepared_name: What it is called in the cache; see `engine.model.prepared.layout.prepared_name`.
        model: The model to prepare, on the reference runner.
        tokenization: Its tokenizer, which is stored with it.
        model_name: The model, as the user named it.
        precision: How the weights are to be held.
        native: Whether to write for the native kernels, where they know the model's blocks and sizes.
        progress: Is called for each layer.

    Raises:
        UnsupportedModelError: If no fast runner knows the model's blocks, or if what was written does not
            compute what the reference computes, or if int4 finds no code to round the weights by.
        ModelDownloadError: If the disk is too full or refuses the files.
    """
    assert isinstance(model.runner, TorchRunner)
    runtime = _runtime(model.runner, model_name, precision, native=native)
    sample = CheckedTokens(model.runner)

    def build(_work: Path, folder: Path) -> None:
        prepared = _write(model, tokenization, folder, sample, precision=precision, runtime=runtime, progress=progress)
        if isinstance(layers := backbone_of(model.runner).model.layers, StreamedLayers):
            layers.let_go()
        error = sample.error(open_runner(folder, prepared.layout, threads=torch.get_num_threads()), model.segments)
        if not error <= _TOLERANCE[precision]:
            raise UnsupportedModelError(
                f"In {precision} this model computes something else than in fp32 (relative error {error:.2g}); "
                "choose the precision 'fp32'."
            )
        tokenization.tokenizer.save(str(folder / TOKENIZER_FILE))
        (folder / META_FILE).write_text(json.dumps(cattrs.unstructure(prepared)), encoding="utf-8")

    geometry = model.runner.geometry
    n_params = geometry.n_layers * geometry.layer_params + 3 * geometry.head_params
    manifest = model_cache.Manifest(
        name=prepared_name,
        source=model_name,
        licence=None,
        converted_with=f"green-code {version('green-code')}",
    )
    blocks = blocks_of(model.runner)
    needed_bytes = int(1.1 * n_params * _bytes_per_param(geometry, blocks, precision, runtime))
    model_cache.store(manifest, needed_bytes=needed_bytes, build=build, progress=progress, kind="prepared")
    same_variant = prepared_name.rpartition("-")[0]
    for other in model_cache.prepared_from(model_name):
        if other.rpartition("-")[0] == same_variant and other != prepared_name:
            model_cache.remove(other, kind="prepared")  # of older weights, exits or format


def _runtime(runner: TorchRunner, model_name: str, precision: Precision, *, native: bool) -> PreparedRuntime:
    """What a model is written for: the first that can run it."""
    config = runner.backbone.config
    known = supported_family(config.model_type, Sentence("The model '{name}'", name=model_name)).runtimes
    asked: list[PreparedRuntime] = ["native", "onnx"] if native and precision != "fp32" else ["onnx"]
    reasons = []
    for runtime in asked:
        reason = _why_not(runner, runtime) if runtime in known else f"the family '{config.model_type}' has other blocks"
        if reason is None:
            return runtime
        reasons.append(reason)
    raise UnsupportedModelError(
        f"The model '{model_name}' cannot run in {precision}, because {reasons[0]}; choose the precision 'fp32'."
    )


def _why_not(runner: TorchRunner, runtime: PreparedRuntime) -> str | None:
    """Why a model of a family that a runtime knows cannot be written for it; None where it can."""
    config, blocks = runner.backbone.config, blocks_of(runner)
    rope_type = (getattr(config, "rope_parameters", None) or {}).get("rope_type")
    if rope_type in _ROTATES_BY_LENGTH:
        return f"its positions are rotated by the text's length ('{rope_type}')"
    if runtime == "native":
        return packing.unsupported(config, blocks)
    return unsupported(blocks, runner.adapter.sliding_windows)


def _write(
    model: EarlyExitModel,
    tokenization: Tokenization,
    folder: Path,
    sample: CheckedTokens,
    *,
    precision: Precision,
    runtime: PreparedRuntime,
    progress: ProgressSink,
) -> PreparedModel:
    """Writes weights and tables into a folder, for one runtime, and takes `sample` through all layers."""
    runner = model.runner
    assert isinstance(runner, TorchRunner)
    n_positions = min(runner.max_positions, _MAX_ROTARY)
    inputs = MlpInputs(runner, standard_library_ids(tokenization.tokenizer)) if precision == "int4" else None

    def at_layer(idx: int) -> None:
        progress(Sentence("Preparing the model for this CPU"), idx, model.n_layers)

    weights = weights_of(runner, inputs, sample, at_layer)
    blocks = weights.blocks
    if runtime == "native":
        packing.write_pack(folder, weights)
    else:
        _write_graphs(folder, weights, model.segments, precision)
    if runner.shortlist is not None and weights.shortlist is not None:
        np.save(folder / SHORTLIST_IDS_FILE, runner.shortlist)
        if not np.array_equal(weights.head()[0], weights.embedding()):
            _save_halves(folder / HEAD_ROWS_FILE, weights.head()[0])
    _save_halves(folder / EMBEDDING_FILE, weights.embedding())
    np.save(folder / NORM_FILE, weights.final_norm)
    if weights.final_norm_bias is not None:
        np.save(folder / NORM_BIAS_FILE, weights.final_norm_bias)
    np.save(folder / ROTARY_FILE, _rotary_tables(runner, weights.rotaries, n_positions, blocks.head_dim))
    layout = Layout(
        runtime=runtime,
        geometry=replace(
            runner.geometry, bytes_per_param=_bytes_per_param(runner.geometry, blocks, precision, runtime)
        ),
        bounds=(0, *model.exit_layers, model.n_layers),
        n_vocabulary=runner.n_vocabulary,
        n_kv_heads=blocks.n_kv_heads,
        head_dim=blocks.head_dim,
        max_positions=n_positions - 1,  # ONNX Runtime is given a row of zeros behind the last
        norm_epsilon=weights.norm_epsilon,
        embedding_scale=weights.embedding_scale,
    )
    return PreparedModel(
        layout=layout,
        fingerprint=model.fingerprint,
        exits_fingerprint=model.exits_fingerprint,
        end_ids=tokenization.eos_token_ids,
    )


def _write_graphs(folder: Path, weights: Weights, segments: Sequence[tuple[int, int]], precision: Precision) -> None:
    """Writes the graphs of ONNX Runtime."""
    key_norms, propagation = [], []

    def taken(n_layers: int) -> Iterator[LayerWeights]:
        for layer in itertools.islice(weights.layers, n_layers):
            propagation.append(layer.propagation)
            if layer.norms.key is not None:
                key_norms.append(layer.norms.key)
            yield layer

    for start, stop in segments:
        layers = taken(stop - start)
        graph = segment_graph(layers, weights.blocks, weights.norm_epsilon, (start, stop), precision)
        _save(graph, folder / segment_file(start))
    if key_norms:
        np.save(folder / KEY_NORMS_FILE, np.array(key_norms))
    _save(head_graph(*weights.head(), precision), folder / HEAD_FILE)
    if weights.shortlist is not None:
        _save(head_graph(*weights.shortlist, precision), folder / SHORTLIST_FILE)
    keys_and_values, biases = (np.concatenate(parts) for parts in zip(*propagation, strict=True))
    _save(propagation_graph(keys_and_values, biases, weights.norm_epsilon, precision), folder / PROPAGATION_FILE)
    for exit_layer, exit_map in weights.exit_maps.items():
        # In fp32: they are read seldom, and small.
        _save(head_graph(*exit_map, "fp32"), folder / exit_map_file(exit_layer))


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


def _save(graph: onnx.ModelProto, path: Path) -> None:
    # Weights in a file of their own are mapped by ONNX Runtime, not parsed; it wants to see small constants at once.
    location, threshold = f"{path.stem}.weights", _INLINE_BYTES
    onnx.save_model(graph, path, save_as_external_data=True, location=location, size_threshold=threshold)


def _save_halves(path: Path, table: NDArray[np.float32]) -> None:
    """Like `np.save` of half floats, some rows at a time: the table may be the largest thing in memory."""
    with path.open("wb") as file:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": table.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(table), _ROWS):
            file.write(table[start : start + _ROWS].astype(np.float16).tobytes())


def _rotary_tables(
    runner: TorchRunner, rotaries: Sequence[int], n_positions: int, head_dim: int
) -> NDArray[np.float32]:
    """Cos and sin of every position and frequency, as the model itself computes them.

    Args:
        runner: Runs the model.
        rotaries: Which table each layer rotates by.
        n_positions: Positions in each table.
        head_dim: Width of one head.

    Returns:
        [tables, 2, positions, D_head / 2].
    """
    positions = torch.arange(n_positions).unsqueeze(0)
    tables = []
    for table in range(max(rotaries) + 1):
        cos_and_sin = runner.adapter.rotary(torch.zeros(1, 1, head_dim), positions, rotaries.index(table))
        if cos_and_sin is None:  # it knows no positions: nothing is rotated
            still = np.zeros((n_positions, head_dim // 2), np.float32)
            tables.append([still + 1, still])
        else:
            tables.append([part[0, :, : head_dim // 2].float().numpy() for part in cos_and_sin])
    return np.array(tables)
