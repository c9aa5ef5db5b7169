"""Weight-only quantisation by groups of input channels, in the layout of ONNX Runtime's MatMulNBits.

int8: symmetric, one scale for each group of 64, q = round(w / s) with s = max|w| / 127: 8.5 bits a weight, as many as
llama.cpp's Q8_0. int4: asymmetric, groups of 32, the grid searched for the least squared error: 5.25 bits a weight.
Plain arithmetic over numpy arrays; knows no graph and no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Precision = Literal["fp32", "int8", "int4"]

_GROUP = {8: 64, 4: 32}
BYTES_PER_PARAM: dict[Precision, float] = {"fp32": 4.0, "int8": 1 + 4 / 64, "int4": 0.5 + 4.5 / 32}
"""What a pass reads for one weight, its share of scales and zero points included."""

_LEAST_GROUP = 16  # of MatMulNBits
_SHRINK = np.linspace(1.0, 0.8, 9, dtype=np.float32)  # of the range that the int4 grid spans, tried for each group


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedWeight:
    """A weight [N, K] in groups along K; K is filled up with zeros to whole groups.

    Attributes:
        bits: 8 or 4.
        group: Weights that share a scale.
        values: [N, G, group * bits / 8] bytes.
        scales: [N, G].
        zero_points: [N, ceil(G / 2)] bytes of two 4-bit zero points each; None where the grid is symmetric.
    """

    bits: int
    group: int
    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.uint8] | None


def quantize(weight: NDArray[np.float32], bits: int) -> QuantizedWeight:
    """Quantises a weight [N, K] to 8 or 4 bits; the scheme is the module's."""
    group = _group(weight.shape[1], _GROUP[bits])
    padding = -weight.shape[1] % group
    grouped = np.pad(weight, ((0, 0), (0, padding))).reshape(weight.shape[0], -1, group)
    return _symmetric_8(grouped) if bits == 8 else _asymmetric_4(grouped)  # noqa: PLR2004 - the bits' own name


def dequantize(weight: QuantizedWeight) -> NDArray[np.float32]:
    """The weight [N, G * group] that a matrix product with `weight` uses."""
    values, scales = weight.values, weight.scales[..., None]
    if weight.zero_points is None:
        return ((values.astype(np.float32) - 128) * scales).reshape(values.shape[0], -1)
    low_high = np.stack((values & 15, values >> 4), axis=-1).reshape(*values.shape[:2], -1)
    packed = weight.zero_points
    zero_points = np.stack((packed & 15, packed >> 4), axis=-1).reshape(packed.shape[0], -1)[:, : values.shape[1], None]
    return ((low_high.astype(np.float32) - zero_points) * scales).reshape(values.shape[0], -1)


def _group(width: int, wanted: int) -> int:
    """The largest group, up to `wanted`, that divides `width`; the least where none does."""
    while wanted > _LEAST_GROUP and width % wanted:
        wanted //= 2
    return wanted


def _symmetric_8(grouped: NDArray[np.float32]) -> QuantizedWeight:
    scales = np.abs(grouped).max(-1) / 127
    steps = np.where(scales == 0, 1, scales)[..., None]
    values = (np.rint(grouped / steps).clip(-127, 127) + 128).astype(np.uint8)
    return QuantizedWeight(bits=8, group=grouped.shape[-1], values=values, scales=scales, zero_points=None)


def _asymmetric_4(grouped: NDArray[np.float32]) -> QuantizedWeight:
    low, high = np.minimum(grouped.min(-1), 0), np.maximum(grouped.max(-1), 0)
    best = np.full(low.shape, np.inf, np.float32)
    scales, zero_points = np.ones_like(low), np.zeros_like(low)
    for shrink in _SHRINK:
        step = (high - low) * shrink / 15
        step = np.where(step == 0, 1, step)
        zero = np.rint(-low * shrink / step).clip(0, 15)
        error = (grouped - _on_grid(grouped, step, zero)) ** 2
        better = error.sum(-1) < best
        best = np.where(better, error.sum(-1), best)
        scales, zero_points = np.where(better, step, scales), np.where(better, zero, zero_points)
    nibbles = (np.rint(grouped / scales[..., None]) + zero_points[..., None]).clip(0, 15).astype(np.uint8)
    packed_zero = np.pad(zero_points, ((0, 0), (0, zero_points.shape[1] % 2))).astype(np.uint8)
    return QuantizedWeight(
        bits=4,
        group=grouped.shape[-1],
        values=(nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)).astype(np.uint8),
        scales=scales.astype(np.float32),
        zero_points=(packed_zero[:, 0::2] | (packed_zero[:, 1::2] << 4)).astype(np.uint8),
    )


def _on_grid(grouped: NDArray[np.float32], step: NDArray[np.float32], zero: NDArray[np.float32]) -> NDArray[np.float32]:
    quantized: NDArray[np.float32] = (np.rint(grouped / step[..., None]) + zero[..., None]).clip(0, 15)
    return (quantized - zero[..., None]) * step[..., None]
