"""Writes the graphs of ONNX Runtime into a folder, with their weights in files of their own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import onnx

from engine.model.prepared.layout import (
    HEAD_FILE,
    KEY_NORMS_FILE,
    PROPAGATION_FILE,
    SHORTLIST_FILE,
    exit_map_file,
    segment_file,
)
from engine.model.prepared.onnx_graph import head_graph, propagation_graph, segment_graph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from engine.model.prepared.weights import LayerWeights, Weights
    from engine.types import Precision

_INLINE_BYTES = 1024


def write_graphs(folder: Path, weights: Weights, segments: Sequence[tuple[int, int]], precision: Precision) -> None:
    """Writes a graph for each segment, for the heads, for the maps of exits, and for the propagation."""
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


def _save(graph: onnx.ModelProto, path: Path) -> None:
    # Weights in a file of their own are mapped by ONNX Runtime, not parsed; it wants to see small constants at once.
    location, threshold = f"{path.stem}.weights", _INLINE_BYTES
    onnx.save_model(graph, path, save_as_external_data=True, location=location, size_threshold=threshold)
