"""Weight-only quantisation by groups of 64 input channels, in the layout of ONNX Runtime's MatMulNBits.

8 bits: symmetric, q = round(w / s) with s = max|w| / 127: 8.5 bits a weight, as many as llama.cpp's Q8_0. 4 bits:
asymmetric and output-aware, 4.56 bits a weight: groups are rounded one after another, those of the strongest inputs
first, and what rounding a channel changes in the outputs is made up for in the channels still to come (GPTQ,
https://arxiv.org/abs/2210.17323); what it changes in their mean, a bias takes back. Plain arithmetic over numpy arrays;
knows no graph, no model and no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from engine.types import PreparedRuntime

_GROUP = 64  # of 32, the 4-bit kernel takes as long as the 8-bit one of 64
BYTES_PER_WEIGHT: Mapping[PreparedRuntime, Mapping[int, float]] = {
    "onnx": {8: 1 + 4 / _GROUP, 4: 0.5 + 4.5 / _GROUP},
    "native": {8: 1 + 2 / _GROUP, 4: 0.5 + 4 / _GROUP},
}
"""What a pass reads for a weight of so many bits, its share of scales and zero points included."""

_LEAST_GROUP = 16  # of MatMulNBits
_SHRINK = np.linspace(1.0, 0.72, 8, dtype=np.float32)  # of the range that the 4-bit grid spans, tried for each group
_DAMPING = 0.01  # of the mean variance of the inputs, added to each channel's


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedWeight:
    """A weight [N, K] in groups along K; K is filled up with zeros to whole groups.

    Attributes:
        bits: 8 or 4.
        group: Weights that share a scale.
        values: The rounded weights, [N, G, group * bits / 8] bytes.
        scales: The scale of each group, [N, G].
        zero_points: [N, ceil(G / 2)] bytes of two 4-bit zero points each; None where the grid is symmetric.
    """

    bits: int
    group: int
    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputStatistics:
    """What the inputs of a product are like.

    Attributes:
        mean: Mean of each input, [K].
        covariance: Covariance of each two inputs, [K, K].
    """

    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]


def quantize_8(weight: NDArray[np.float32]) -> QuantizedWeight:
    """Quantises a weight [N, K] to 8 bits; the scheme is the module's."""
    padded = _padded(weight)
    grouped = padded.reshape(len(weight), -1, _group(weight.shape[1]))
    scales = np.abs(grouped).max(-1) / 127
    steps = np.where(scales == 0, 1, scales)[..., None]
    values = (np.rint(grouped / steps).clip(-127, 127) + 128).astype(np.uint8)
    return QuantizedWeight(bits=8, group=grouped.shape[-1], values=values, scales=scales, zero_points=None)


def quantize_4(weight: NDArray[np.float32], inputs: InputStatistics) -> tuple[QuantizedWeight, NDArray[np.float32]]:
    """Quantises the weight [N, K] of a product x @ weight.T to 4 bits; the scheme is the module's.

    Returns:
        The weight, and the bias [N] that gives the product the mean that it had.
    """
    width, group = weight.shape[1], _group(weight.shape[1])
    covariance = np.pad(inputs.covariance, (0, -width % group))
    quantized = _asymmetric_4(_padded(weight), covariance, group)
    lost: NDArray[np.float32] = weight - dequantize(quantized)[:, :width]
    return quantized, lost @ inputs.mean


def dequantize(weight: QuantizedWeight) -> NDArray[np.float32]:
    """The weight [N, G * group] that a matrix product with `weight` uses."""
    values, scales = weight.values, weight.scales[..., None]
    if weight.zero_points is None:
        return ((values.astype(np.float32) - 128) * scales).reshape(values.shape[0], -1)
    zero_points = halves(weight.zero_points)[:, : values.shape[1], None]
    return ((halves(values).astype(np.float32) - zero_points) * scales).reshape(values.shape[0], -1)


def halves(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Both halves of every byte, the low one first: [..., B] to [..., 2 B]."""
    return np.stack((packed & 15, packed >> 4), axis=-1).reshape(*packed.shape[:-1], -1)


def _group(width: int) -> int:
    """The largest group that divides `width`; the least where none does."""
    group = _GROUP
    while group > _LEAST_GROUP and width % group:
        group //= 2
    return group


def _padded(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.pad(weight, ((0, 0), (0, -weight.shape[1] % _group(weight.shape[1]))))


def _asymmetric_4(weight: NDArray[np.float32], covariance: NDArray[np.float32], group: int) -> QuantizedWeight:
    """Rounds to 4 bits, channel by channel; the channels behind make up for each error (GPTQ, arXiv 2210.17323)."""
    n_outputs, width = weight.shape
    n_groups = width // group
    strength = np.diag(covariance).reshape(n_groups, group).sum(1)
    order = np.argsort(-strength, kind="stable")
    channels = (order[:, None] * group + np.arange(group)).reshape(-1)
    damped = covariance[np.ix_(channels, channels)].astype(np.float64)
    damped += max(_DAMPING * float(strength.sum()) / width, np.finfo(np.float32).tiny) * np.eye(width)
    # Its row i says, in units of its diagonal, what an error in channel i is worth in the channels behind it.
    worth = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    left = np.ascontiguousarray(weight.T[channels])  # [K, N], channel by channel what is still to be represented
    nibbles = np.empty((n_groups, group, n_outputs), np.float32)
    steps, zeros = np.empty((2, n_groups, n_outputs), np.float32)
    for turn, place in enumerate(order):
        first, last = turn * group, (turn + 1) * group
        block, errors = left[first:last], np.empty((group, n_outputs), np.float32)
        step, zero = _grid(block, np.diag(damped)[first:last, None].astype(np.float32))
        for row in range(group):
            nibble = (np.rint(block[row] / step) + zero).clip(0, 15)
            channel = first + row
            errors[row] = (block[row] - (nibble - zero) * step) / worth[channel, channel]
            block[row + 1 :] -= worth[channel, channel + 1 : last, None] * errors[row]
            nibbles[place, row] = nibble
        left[last:] -= worth[first:last, last:].T @ errors
        steps[place], zeros[place] = step, zero
    packed = nibbles.transpose(2, 0, 1).astype(np.uint8)  # [N, G, group]
    packed_zeros: NDArray[np.uint8] = np.pad(zeros.T, ((0, 0), (0, n_groups % 2))).astype(np.uint8)
    return QuantizedWeight(
        bits=4,
        group=group,
        values=packed[..., 0::2] | (packed[..., 1::2] << 4),
        scales=np.ascontiguousarray(steps.T),
        zero_points=(packed_zeros[:, 0::2] | (packed_zeros[:, 1::2] << 4)).astype(np.uint8),
    )


def _grid(block: NDArray[np.float32], importance: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Step and zero point of each column of `block` [group, N] that lose least, rows weighed by `importance`."""
    low, high = np.minimum(block.min(0), 0), np.maximum(block.max(0), 0)
    best = np.full(low.shape, np.inf, np.float32)
    steps, zeros = np.ones_like(low), np.zeros_like(low)
    for shrink in _SHRINK:
        step = (high - low) * shrink / 15
        step = np.where(step == 0, 1, step)
        zero = np.rint(-low * shrink / step).clip(0, 15)
        on_grid = ((np.rint(block / step) + zero).clip(0, 15) - zero) * step
        loss = (importance * (block - on_grid) ** 2).sum(0)
        better = loss < best
        best = np.where(better, loss, best)
        steps, zeros = np.where(better, step, steps), np.where(better, zero, zeros)
    return steps, zeros
