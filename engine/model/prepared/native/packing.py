"""Rounded weights in the order in which the native kernels read them, and the record of where each one lies.

A file of weights holds one panel of 16 outputs behind the other; `products.h` beside this module says how a panel is
laid out. The numbers are those of `engine.model.prepared.quantization`, but for the scales, which become half floats: a
row of a matrix whose numbers are a millionth of the largest loses precision, which no trained model has shown.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cattrs
import numpy as np

from engine.model.prepared.quantization import halves, quantize_4, quantize_8

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from engine.model.prepared.quantization import InputStatistics, QuantizedWeight
    from engine.model.prepared.weights import Blocks, LayerWeights, Linear, Weights

WEIGHTS_FILE, PACK_FILE = "native.weights", "native.json"

GROUP = 64
"""Inputs of every product come in whole groups."""

LANES = 16
"""Numbers in a vector."""

PANEL = 16
"""Outputs of a weight that lie together."""

_GELU = "gelu_pytorch_tanh"
_ALIGNMENT = 64
_AT_ONCE = 1 << 21  # numbers that are rounded at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedWeight:
    """A weight [N, K], and where it lies in the file.

    Attributes:
        offset: Where its first panel begins, in bytes.
        panel_bytes: Bytes from one panel to the next.
        n_outputs: N, filled up to whole panels.
        n_inputs: K.
        bits: 8 or 4.
        unit: What scales are stored in, not below the largest.
        bias: Where the bias lies, fp32; None where there is none.
    """

    offset: int
    panel_bytes: int
    n_outputs: int
    n_inputs: int
    bits: int
    unit: float
    bias: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLayer:
    """A layer; its norms are where they lie in the file, fp32, and None where it has none.

    `engine.model.prepared.weights` says more of norms, rotary tables and windows.
    """

    attention_norm: int
    mlp_norm: int
    attention_out_norm: int | None
    mlp_out_norm: int | None
    query_norm: int | None
    key_norm: int | None
    rotary: int
    window: int
    qkv: PackedWeight
    output: PackedWeight
    gate_up: PackedWeight
    down: PackedWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What the file of weights holds.

    Attributes:
        n_heads: Heads of queries in each layer.
        mlp_width: Inputs of the down projection.
        gelu: Whether the MLPs' activation is GELU by its tanh formula, not SiLU.
        gated: Whether it is that of a gate, which multiplies the up projection.
        epsilon: What the layers' norms add to the mean square.
        attention_scale: What scores are multiplied by.
        layers: The layers, in order.
        head: The whole head.
        shortlist: The head over the shortlist, if there is one.
        propagation: Keys and values of all layers from one state, without the norms' weights, which are folded in.
        exit_maps: The map of each exit that has one, by exit layer.
    """

    n_heads: int
    mlp_width: int
    gelu: bool
    gated: bool
    epsilon: float
    attention_scale: float
    layers: tuple[PackedLayer, ...]
    head: PackedWeight
    shortlist: PackedWeight | None
    propagation: PackedWeight
    exit_maps: dict[int, PackedWeight]


def unsupported(config: Any, blocks: Blocks) -> str | None:
    """Why the native kernels cannot run a model of a family that they know; None where they can."""
    if blocks.activation not in ("silu", _GELU):
        return f"its activation is '{blocks.activation}'"
    if getattr(config, "attn_logit_softcapping", None) or getattr(config, "use_bidirectional_attention", None):
        return "it attends otherwise than the models of its family do"
    if blocks.head_dim % (2 * LANES):
        return f"its heads are {blocks.head_dim} wide"
    for width in (blocks.width, blocks.mlp_width, blocks.head_dim * blocks.n_heads):
        if width % GROUP:
            return f"it is {width} wide in places"
    return None


def write_pack(folder: Path, weights: Weights) -> None:
    """Writes the file of weights and its record."""
    blocks = weights.blocks
    with (folder / WEIGHTS_FILE).open("wb") as file:
        packer = _Packer(file)
        layers: list[PackedLayer] = []
        propagation, biases = [], []
        for layer in weights.layers:
            weight, bias = layer.propagation
            propagation.append(quantize_8(weight))  # a quarter of what they were, until all are there
            biases.append(bias)
            layers.append(packer.layer(layer, weights.rotaries[len(layers)], weights.windows[len(layers)]))
            del layer, weight  # before the next is taken out
        pack = Pack(
            n_heads=blocks.n_heads,
            mlp_width=blocks.mlp_width,
            gelu=blocks.activation == _GELU,
            gated=blocks.is_gated,
            epsilon=weights.norm_epsilon,
            attention_scale=blocks.attention_scale,
            layers=tuple(layers),
            head=packer.linear(weights.head()),
            shortlist=None if weights.shortlist is None else packer.linear(weights.shortlist),
            propagation=packer.rounded(
                propagation, max(part.scales.max() for part in propagation), np.concatenate(biases)
            ),
            exit_maps={layer: packer.linear(exit_map) for layer, exit_map in weights.exit_maps.items()},
        )
    (folder / PACK_FILE).write_text(json.dumps(cattrs.unstructure(pack)), encoding="utf-8")


class _Packer:
    """Appends weights to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def layer(self, layer: LayerWeights, rotary: int, window: int) -> PackedLayer:
        """Appends a layer; gate and up in 4 bits where statistics of their inputs are given."""
        products, norms = layer.products, layer.norms
        return PackedLayer(
            attention_norm=self.vector(norms.attention),
            mlp_norm=self.vector(norms.mlp),
            attention_out_norm=self._if_any(norms.attention_out),
            mlp_out_norm=self._if_any(norms.mlp_out),
            query_norm=self._if_any(norms.query),
            key_norm=self._if_any(norms.key),
            rotary=rotary,
            window=window,
            qkv=self.linear(products.qkv),
            output=self.linear(products.output),
            gate_up=self.linear(products.up, layer.statistics),
            down=self.linear(products.down),
        )

    def linear(self, product: Linear, statistics: InputStatistics | None = None) -> PackedWeight:
        """Appends a weight and its bias; in 4 bits where its inputs are known."""
        weight, bias = product
        if statistics is not None:
            quantized, shift = quantize_4(weight, statistics)
            return self.rounded([quantized], quantized.scales.max(), shift if bias is None else bias + shift)
        largest_scale = np.float32(max(weight.max(), -weight.min())) / 127
        # Some panels at a time: what rounding takes in between is several times a weight.
        n_rows = PANEL * max(1, _AT_ONCE // (PANEL * weight.shape[1]))
        parts = (quantize_8(weight[start : start + n_rows]) for start in range(0, len(weight), n_rows))
        return self.rounded(parts, largest_scale, bias)

    def rounded(
        self, parts: Iterable[QuantizedWeight], largest_scale: np.float32, bias: NDArray[np.float32] | None
    ) -> PackedWeight:
        """Appends rows of a weight, each part but the last in whole panels, and the weight's bias."""
        unit, panels = _unit(largest_scale), []
        for part in parts:
            rows = _panels(part, unit)
            panels.append((self._append(rows), *rows.shape))  # right behind, as panels are multiples of the alignment
        n_outputs = PANEL * sum(n_panels for _, n_panels, _ in panels)
        return PackedWeight(
            offset=panels[0][0],
            panel_bytes=panels[0][2],
            n_outputs=n_outputs,
            n_inputs=part.scales.shape[1] * GROUP,
            bits=part.bits,
            unit=unit,
            bias=None if bias is None else self.vector(_filled(bias, n_outputs)),
        )

    def vector(self, values: NDArray[np.float32]) -> int:
        """Appends fp32 numbers and says where they lie."""
        return self._append(values.astype(np.float32))

    def _if_any(self, values: NDArray[np.float32] | None) -> int | None:
        return None if values is None else self.vector(values)

    def _append(self, values: NDArray[Any]) -> int:
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
        offset = self._file.tell()
        self._file.write(np.ascontiguousarray(values).data)
        return offset


def _unit(largest_scale: np.float32) -> float:
    """A power of two, so that a row is rounded alike in every matrix."""
    unit: float = 2.0 ** math.frexp(largest_scale)[1]
    return unit


def _panels(weight: QuantizedWeight, unit: float) -> NDArray[np.uint8]:
    """Panels [N / 16, bytes], each behind the other as `products.h` says."""
    assert weight.group == GROUP
    n_outputs = -(-len(weight.scales) // PANEL) * PANEL
    scales = _filled(weight.scales, n_outputs)
    parts = [_values(weight, n_outputs), _by_panel(scales / unit)]
    if weight.zero_points is not None:
        zeros = halves(weight.zero_points)[:, : scales.shape[1]]
        parts.append(_by_panel(_filled(zeros.astype(np.float32), n_outputs) * scales / unit))
    panels = np.concatenate([part.reshape(n_outputs // PANEL, -1) for part in parts], axis=1)
    return np.pad(panels, ((0, 0), (0, -panels.shape[1] % _ALIGNMENT)))


def _values(weight: QuantizedWeight, n_outputs: int) -> NDArray[np.uint8]:
    """Bytes of the panels' values, in the order of `products.h`."""
    is_halved = weight.zero_points is not None  # in 4 bits
    channels, nothing = (halves(weight.values), 0) if is_halved else (weight.values, 128)
    channels = channels.reshape(len(channels), -1)
    missing = n_outputs - len(channels)
    channels = np.pad(channels, ((0, missing), (0, 0)), constant_values=nothing)
    # [N, K] -> [N / 16, K / 4, 16, 4]
    quads = channels.reshape(n_outputs // PANEL, PANEL, -1, 4).transpose(0, 2, 1, 3)
    if is_halved:
        quads = quads[:, 0::2] | (quads[:, 1::2] << 4)
    return np.ascontiguousarray(quads)


def _by_panel(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Half floats [N, G] as bytes of panels [N / 16, G, 16]."""
    panels = values.reshape(len(values) // PANEL, PANEL, -1).transpose(0, 2, 1)
    return np.ascontiguousarray(panels, np.float16).view(np.uint8)


def _filled(values: NDArray[np.float32], n_outputs: int) -> NDArray[np.float32]:
    """Zeros behind the first axis."""
    return np.pad(values, [(0, n_outputs - len(values)), *[(0, 0)] * (values.ndim - 1)])
