"""Rounded weights: how near they stay, to the weights and to what their products give."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.model.prepared.quantization import InputStatistics, dequantize, quantize_4, quantize_8


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def statistics_of(inputs: NDArray[np.float32]) -> InputStatistics:
    return InputStatistics(mean=inputs.mean(0), covariance=np.cov(inputs.T, bias=True).astype(np.float32))


def unrelated(width: int) -> InputStatistics:
    """Inputs that tell nothing about each other; weights are rounded to the nearest then."""
    return InputStatistics(mean=np.zeros(width, np.float32), covariance=np.eye(width, dtype=np.float32))


@pytest.mark.parametrize("width", [64, 48, 20])
def test_8_bits_are_within_half_a_step(width: int) -> None:
    weight = normal(6, width)

    restored = dequantize(quantize_8(weight))

    assert np.abs(restored[:, :width] - weight).max() < np.abs(weight).max() / 127
    assert not restored[:, width:].any()


@pytest.mark.parametrize("width", [192, 48, 20])
def test_4_bits_are_within_half_a_step_where_inputs_are_unrelated(width: int) -> None:
    weight = normal(6, width)

    quantized, bias = quantize_4(weight, unrelated(width))

    restored = dequantize(quantized)
    assert np.abs(restored[:, :width] - weight).max() < np.abs(weight).max() / 7
    assert not restored[:, width:].any()
    assert not bias.any()


def test_weights_of_zero_stay_zero() -> None:
    nothing = np.zeros((2, 32), np.float32)

    assert not dequantize(quantize_8(nothing)).any()
    assert not dequantize(quantize_4(nothing, unrelated(32))[0]).any()


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    weight = normal(4, 32)
    silent = InputStatistics(mean=np.zeros(32, np.float32), covariance=np.zeros((32, 32), np.float32))

    assert np.abs(dequantize(quantize_4(weight, silent)[0]) - weight).max() < np.abs(weight).max() / 7


def test_related_inputs_make_up_for_each_others_rounding() -> None:
    weight = normal(32, 192)
    inputs = normal(2000, 24, seed=1) @ normal(24, 192, seed=2) + 0.3 * normal(2000, 192, seed=3)

    def lost(statistics: InputStatistics) -> float:
        quantized, _ = quantize_4(weight, statistics)
        return float((((dequantize(quantized) - weight) @ inputs.T) ** 2).mean())

    assert lost(statistics_of(inputs)) < 0.35 * lost(unrelated(192))


def test_the_bias_gives_outputs_the_mean_that_they_had() -> None:
    weight, inputs = normal(16, 64), normal(500, 64, seed=1) + 3 * normal(64, seed=2)

    quantized, bias = quantize_4(weight, statistics_of(inputs))

    before, rounded = (inputs @ weight.T).mean(0), (inputs @ dequantize(quantized).T).mean(0)
    assert np.abs(rounded - before).max() > 0.1
    np.testing.assert_allclose(rounded + bias, before, atol=1e-3)
