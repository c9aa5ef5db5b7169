"""The device cost model: work times joules per unit of work. Plain arithmetic; knows no meter and no decoder.

At batch 1 decoding is bound by memory: a layer costs what it costs to read its weights, so energy is linear in layer
passes (GREEN-CODE's published cached runs are, with R about 1). Prefill, and every further position of a batched pass,
reuses weights already read and is bound by compute. A chunk of the prompt reads the weights once: its layer passes
count as in decoding, so that the two tokens a keystroke adds are not costed as if they were free.

    joules = prefill_tokens a + tokens b + layer_passes c + head_passes d + (layer_tokens - layer_passes) a / L
           + (head_tokens - head_passes) (a / L) (d / c) + propagated_layers p + policy_checks q
           + context_passes e + (context_tokens - context_passes) f

`a / L` is one position's compute in one of L layers; d / c weighs the head in layers, as both are linear in weights.
Attention reads the cache as a layer reads its weights, at a price of its own: a position attended costs its keys and
values' bytes, once a pass (e), and compute for each further position that attends to it (f). So the longer the prompt,
the dearer each token that is decoded behind it, which Solovyeva and Castor measured on GPUs (arXiv 2602.05712).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from engine.sentences import Sentence
from engine.types import ModelGeometry, Phase, Runtime, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.config import Device
    from engine.energy.power_limits import PowerLimit

GPU_J_PER_WEIGHT_BYTE = 0.61e-9
"""GREEN-CODE's cached fixed-exit runs: 0.245 J per fp32 layer of Llama 3.2 3B (402.7 MB); its GPU is not recorded."""

GPU_J_PER_FLOP = 10e-12
"""Assumption: a 300 W board at 30 TFLOP/s, about a tenth of its bf16 peak, as short prompts reach."""

GPU_J_PER_POLICY_CHECK = 4.6e-3
"""Assumption: four kernels of a small network and the wait for their answer, 20 us at 232 W (GREEN-CODE's mean power).
Its own checks cost about 29 mJ (OPT 2.7B: +0.8 % of 544 J over 150 checks)."""

CPU_ACTIVE_POWER_W = 17.5
"""Assumption: the package power that a busy core adds on a laptop, between 15 and 20 W."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """What computing on one core takes, in picoseconds of CPU time; a joule is that times `CPU_ACTIVE_POWER_W`.

    Attributes:
        weight_byte_ps: A byte of weights, read for one position.
        flop_ps: A FLOP of a product with weights, for each further position.
        context_byte_ps: A byte of keys and values, read for one position.
        context_flop_ps: A FLOP of attention, for each further position; it is computed in fp32 by all of them.
    """

    weight_byte_ps: float
    flop_ps: float
    context_byte_ps: float
    context_flop_ps: float


CPU_TIMES: Mapping[Runtime, CpuTimes] = {
    "native": CpuTimes(weight_byte_ps=32.0, flop_ps=2.0, context_byte_ps=70.0, context_flop_ps=5.3),
    "native-amx": CpuTimes(weight_byte_ps=32.0, flop_ps=1.25, context_byte_ps=70.0, context_flop_ps=5.3),
    "native-avxvnni": CpuTimes(weight_byte_ps=41.0, flop_ps=4.1, context_byte_ps=62.0, context_flop_ps=11.0),
    "native-avx2": CpuTimes(weight_byte_ps=49.0, flop_ps=7.2, context_byte_ps=62.0, context_flop_ps=11.0),
    "onnx": CpuTimes(weight_byte_ps=64.0, flop_ps=3.65, context_byte_ps=178.0, context_flop_ps=7.0),
    "torch": CpuTimes(weight_byte_ps=50.0, flop_ps=10.0, context_byte_ps=50.0, context_flop_ps=11.4),
}
"""Those of int8 are measured: fitted to windows of the default model, and held to others (engine/LOG.md, "Prices of the
kernels' own"). VNNI makes products of int8 three times as fast and attention over half floats less so; hence the cache
has a price of its own. Those of AVX-VNNI are AVX2's, and AMX's are AVX-512's, times what both took in turns on another
machine. Those of PyTorch in fp32 are assumptions: 20 GB/s, and prompts at 100 GFLOP/s."""

CPU_J_PER_POLICY_CHECK = CPU_ACTIVE_POWER_W * 25e-6
"""A network of 64 x 64 hidden units on a 576-wide state answers in 24 us on two cores (measured), times the power."""

SHIPPED_SPREAD = (0.2, 3.0)
"""How many times the shipped joules the truth may be. Assumption: CPUs add 5 to 65 W and stream weights at 10 to 60
GB/s, seldom one extreme with the other: 0.2 to 2.6 nJ a byte against 0.56 and 0.86. Today's GPUs take a quarter of the
above."""

PACED_SPREAD = (0.3, 2.5)
"""How many times the joules by CPU seconds the truth may be. Seconds are measured, to a tenth over some requests; the
power is stated. Assumption: CPUs add 5 W a busy core (thin laptops, Arm) to 45 W (a desktop's at the top of its clock)
where that says 17.5 W. More, up to 65 W, is drawn by single cores of desktops for moments; reading weights waits for
memory, which takes less."""

GPU_WORK_SHARE = 0.4
"""Assumption: what a GPU takes of its power limit while it decodes for one person, seconds on the host included."""

GPU_WORK_SPREAD = (0.4, 3.0)
"""How many times that the truth may be. Assumption: 0.16 of the limit is little more than a large GPU takes at rest, as
a small model leaves it; cards are sold with limits up to a fifth above the table's."""

LARGEST_FIT_ERROR = 0.1
"""Mean relative error up to which a fit is gone by: beyond, the machine did other work as well."""

FLOPS_PER_PARAM = 2
"""A multiplication and an addition a weight and position."""


COEFFICIENTS = (
    "prefill_token_j",
    "token_j",
    "layer_pass_j",
    "head_pass_j",
    "policy_check_j",
    "propagated_layer_j",
    "context_pass_j",
    "context_token_j",
)
"""The fields of `DeviceCostModel` that are joules per unit of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCostModel:
    """Joules per unit of work of one model on one device, idle power apart.

    Attributes:
        prefill_token_j: a, one prompt position through all layers.
        token_j: b, what a decoded token costs whatever its depth.
        layer_pass_j: c, one layer read for one position.
        head_pass_j: d, the LM head read for one position.
        policy_check_j: q, one decision of the learned exit policy.
        propagated_layer_j: p, the K and V projections of one skipped layer.
        n_layers: L, layers of the model.
        source: Where the figures come from, for people.
        relative_error: Mean relative error of a predicted window, 0.05 for 5 %; None where nothing was fitted.
        idle_power_w: Power of the metered parts while the model rests; None where it was not measured.
        unloaded_power_w: Power of the same parts before the model was loaded; None where it was not measured.
        context_pass_j: e, one position of one layer's KV cache, read for one position.
        context_token_j: f, the same for a further position of the pass.
        unfitted: Names of coefficients that a calibration of an earlier release did not know.
        power_w: What the device is taken to draw at work: a request's joules are its seconds times that, and what the
            coefficients say only splits them. None: they are joules.
        is_paced: Whether the joules of a request are to be multiplied by the CPU's pace (`engine.energy.pace`).
    """

    prefill_token_j: float
    token_j: float
    layer_pass_j: float
    head_pass_j: float
    policy_check_j: float
    propagated_layer_j: float
    n_layers: int
    source: str
    relative_error: float | None
    idle_power_w: float | None
    unloaded_power_w: float | None = None
    context_pass_j: float = 0.0
    context_token_j: float = 0.0
    unfitted: tuple[str, ...] = ()
    power_w: float | None = None
    is_paced: bool = False

    @property
    def spread(self) -> tuple[float, float]:
        """Between how many times a modelled figure the truth is likely to lie: twice the mean error either way."""
        if self.power_w is not None:
            return GPU_WORK_SPREAD
        if self.is_paced:
            return PACED_SPREAD
        if self.relative_error is None:
            return SHIPPED_SPREAD
        return max(0.0, 1.0 - 2.0 * self.relative_error), 1.0 + 2.0 * self.relative_error

    @property
    def is_good_fit(self) -> bool:
        """Whether it was fitted, and says again what it was fitted to well enough to be gone by."""
        return self.relative_error is not None and self.relative_error <= LARGEST_FIT_ERROR

    @property
    def is_poor_fit(self) -> bool:
        """Whether it is known to say badly again what it was fitted to."""
        return self.relative_error is not None and not self.is_good_fit

    @property
    def told(self) -> str:
        """Where its figures come from and how far they may be off: the one wording for people."""
        return _told(self.source, *self.spread)

    def __post_init__(self) -> None:
        coefficients = [getattr(self, name) for name in COEFFICIENTS]
        if not all(math.isfinite(joules) and joules >= 0 for joules in coefficients) or self.n_layers < 1:
            raise ValueError(f"joules per unit of work must be finite and not negative: {self}")


@cache
def _told(source: str, low: float, high: float) -> Sentence:
    return Sentence("{source}, {low:.2g} to {high:.2g} times as much is possible", source=source, low=low, high=high)


def phase_energy_j(model: DeviceCostModel, work: Mapping[Phase, Work]) -> dict[Phase, float]:
    """Costs the work of each phase, in joules."""
    return {phase: energy_j(model, done) for phase, done in work.items()}


def energy_j(model: DeviceCostModel, work: Work) -> float:
    """Costs one amount of work, in joules; the formula is the module's."""
    further_layer_j = model.prefill_token_j / model.n_layers
    head_in_layers = model.head_pass_j / model.layer_pass_j if model.layer_pass_j else 0.0
    return (
        work.prefill_tokens * model.prefill_token_j
        + work.tokens * model.token_j
        + work.layer_passes * model.layer_pass_j
        + work.head_passes * model.head_pass_j
        + (work.layer_tokens - work.layer_passes) * further_layer_j
        + (work.head_tokens - work.head_passes) * further_layer_j * head_in_layers
        + work.propagated_layers * model.propagated_layer_j
        + work.policy_checks * model.policy_check_j
        + work.context_passes * model.context_pass_j
        + (work.context_tokens - work.context_passes) * model.context_token_j
    )


def default_cost_model(geometry: ModelGeometry, device: Device, runtime: Runtime = "torch") -> DeviceCostModel:
    """The shipped cost model: weight bytes for decoding, FLOPs for prefill. Not fitted here, so its error is not known.

    `token_j` is 0: the embedding reads one row, and GREEN-CODE's cost of a token at depth 0 (0.68 J) is already below
    its LM head's bytes (0.96 J), which stand in `head_pass_j`.
    """
    if device != "cpu":
        byte_j, flop_j, check_j = GPU_J_PER_WEIGHT_BYTE, GPU_J_PER_FLOP, GPU_J_PER_POLICY_CHECK
        context_byte_j, context_flop_j = byte_j, flop_j
    else:
        took, check_j = CPU_TIMES[runtime], CPU_J_PER_POLICY_CHECK
        byte_j, flop_j, context_byte_j, context_flop_j = (
            picoseconds * 1e-12 * CPU_ACTIVE_POWER_W
            for picoseconds in (took.weight_byte_ps, took.flop_ps, took.context_byte_ps, took.context_flop_ps)
        )
    param_j = geometry.bytes_per_param * byte_j
    return DeviceCostModel(
        prefill_token_j=geometry.n_layers * geometry.layer_params * FLOPS_PER_PARAM * flop_j,
        token_j=0.0,
        layer_pass_j=geometry.layer_params * param_j,
        head_pass_j=geometry.head_params * param_j,
        policy_check_j=check_j,
        propagated_layer_j=geometry.kv_params * param_j,
        n_layers=geometry.n_layers,
        source=Sentence("uncalibrated, by bytes of weights read"),
        relative_error=None,
        idle_power_w=None,
        context_pass_j=geometry.context_bytes * context_byte_j,
        context_token_j=geometry.context_flops * context_flop_j,
    )


def by_limit(shipped: DeviceCostModel, limit: PowerLimit) -> DeviceCostModel:
    """The cost model of a GPU without a counter whose limit is known: a request's seconds times a share of that."""
    power_w = GPU_WORK_SHARE * limit.power_w
    source = Sentence(
        "seconds at {power_w:.0f} W, {share:g} of a limit: {limit}",
        power_w=power_w,
        share=GPU_WORK_SHARE,
        limit=limit.told,
    )
    return replace(shipped, power_w=power_w, source=source)


def by_pace(shipped: DeviceCostModel) -> DeviceCostModel:
    """The cost model of a CPU that nobody calibrated: as many seconds as requests are found to take, times a power."""
    source = Sentence("CPU seconds at {power_w:g} W a busy core", power_w=CPU_ACTIVE_POWER_W)
    return replace(shipped, is_paced=True, source=source)


def prompt_work(n_tokens: int, prompt_tokens: int, n_layers: int) -> Work:
    """Reading the last `n_tokens` of a prompt at full depth, in one chunk."""
    if not n_tokens:
        return Work()
    return Work(
        prefill_tokens=n_tokens,
        layer_passes=n_layers,
        layer_tokens=n_layers,
        context_passes=n_layers * prompt_tokens,
        context_tokens=n_layers * n_tokens * (2 * prompt_tokens - n_tokens + 1) // 2,
    )


def baseline_work(prefill: Work, *, prompt_tokens: int, tokens: int, n_layers: int) -> dict[Phase, Work]:
    """The work of the same request at full depth with a KV cache: what "saved" is compared with.

    The first new token is chosen from the prompt's last position: `tokens` new ones take `tokens` passes of the head
    and `tokens - 1` steps through the layers.

    Args:
        prefill: The request's own prefill, without what was still in the cache: it is the same at full depth.
        prompt_tokens: Length of the prompt, with what was in the cache.
        tokens: New tokens.
        n_layers: Layers of the model.
    """
    steps = max(tokens - 1, 0)
    context = n_layers * (steps * prompt_tokens + steps * (steps + 1) // 2)
    return {
        Phase.PREFILL: prefill,
        Phase.DECODE: Work(
            tokens=steps,
            layer_passes=steps * n_layers,
            layer_tokens=steps * n_layers,
            head_passes=tokens,
            head_tokens=tokens,
            context_passes=context,
            context_tokens=context,
        ),
    }
