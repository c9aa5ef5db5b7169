"""What a binned workload takes in each way to run it, and what each measure saves of that.

Energy Considerations of LLM Inference (Fernandez et al., arXiv 2504.17674) with any supported model: every bin is run
in every way, the ways taking turns within each round; a workload takes the sum over its bins, by their requests.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from engine.evaluation.spending import Spent  # noqa: TC001 - cattrs reads the annotations
from engine.intervals import Estimate, Floats, draws, estimate
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.evaluation.request_bins import BinnedRequests, RequestBin
    from engine.evaluation.resuming import KeptSamples
    from engine.evaluation.spending import Spending, Yardstick
    from engine.evaluation.stacks import Measure, Stack, Stacks

_QUIET_S = 5.0
_LOOK_S, _BUSY = 0.2, 0.2  # of a core


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSample:
    """One batch of requests of one size, run in one way; `spent` is of the whole batch."""

    way: str
    batch: int
    prompt_tokens: int
    new_tokens: int
    round: int
    spent: Spent

    @property
    def key(self) -> str:
        """What tells it from others."""
        return _key(self.way, self.prompt_tokens, self.new_tokens, self.round)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRow:
    """One way to run the workload: what a mean request takes, in all and by bin, and what is saved by that."""

    way: str
    batch: int
    spent: Estimate
    saved: Estimate
    by_bin: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRow:
    """One measure: what it saves of what was before it, of the baseline, and its share of all that is saved."""

    name: str
    before: str
    behind: str
    saved: Estimate
    of_baseline: Estimate
    share: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyConsiderations:
    """All that is reported; `together` is what all measures save of the baseline."""

    rows: tuple[StackRow, ...]
    steps: tuple[MeasureRow, ...]
    without: tuple[MeasureRow, ...]
    together: Estimate


def measure_stacks(
    stacks: Stacks,
    requests: BinnedRequests,
    text: str,
    *,
    rounds: int,
    spending: Spending,
    kept: KeptSamples[StackSample],
    progress: ProgressSink = no_progress,
) -> list[StackSample]:
    """Runs every bin in every way, in another order in each round, on another stretch of the text."""
    ids = stacks.encode(text)
    assert len(ids) > max(each.prompt_tokens for each in requests.bins), "the text is too short"
    wanted = [
        (way, each, round_)
        for round_ in range(rounds)
        for each in requests.bins
        for way in random.Random(round_).sample(stacks.ways, len(stacks.ways))  # noqa: S311 - nothing secret
    ]
    warm: set[str] = set()
    samples = []
    for done, (way, each, round_) in enumerate(wanted):
        progress("Running requests", done, len(wanted))
        key = _key(way.name, each.prompt_tokens, each.new_tokens, round_)
        if key not in kept.found and way.name not in warm:
            way.run(ids[:16], 4)  # a first run allocates memory and chooses kernels
            warm.add(way.name)
        start = random.Random(f"{round_} {each}").randrange(len(ids) - each.prompt_tokens)  # noqa: S311
        prompt_ids = ids[start : start + each.prompt_tokens]
        samples.append(kept.take(key, partial(_measure, way, each, prompt_ids, round_, spending)))
    progress("Running requests", len(wanted), len(wanted))
    return samples


def summarise_stacks(
    samples: Sequence[StackSample], stacks: Stacks, requests: BinnedRequests, yardstick: Yardstick
) -> EnergyConsiderations:
    """Adds the samples up."""
    drawn = {way.name: _drawn(samples, way, requests, yardstick) for way in stacks.ways}
    baseline, product = drawn[stacks.ways[0].name], drawn[stacks.steps[-1].behind]

    def row(measure: Measure) -> MeasureRow:
        before, behind = drawn[measure.before], drawn[measure.behind]
        return MeasureRow(
            name=measure.name,
            before=measure.before,
            behind=measure.behind,
            saved=estimate(1.0 - behind / before),
            of_baseline=estimate((before - behind) / baseline),
            share=estimate((before - behind) / (baseline - product)),
        )

    return EnergyConsiderations(
        rows=tuple(
            StackRow(
                way=way.name,
                batch=way.batch,
                spent=estimate(drawn[way.name]),
                saved=estimate(1.0 - drawn[way.name] / baseline),
                by_bin=tuple(float(_costs(samples, way, each, yardstick).mean()) for each in requests.bins),
            )
            for way in stacks.ways
        ),
        steps=tuple(map(row, stacks.steps)),
        without=tuple(map(row, stacks.without)),
        together=estimate(1.0 - product / baseline),
    )


def _key(way: str, prompt_tokens: int, new_tokens: int, round_: int) -> str:
    return f"{way} {prompt_tokens} {new_tokens} {round_}"


def _measure(way: Stack, each: RequestBin, prompt_ids: Sequence[int], round_: int, spending: Spending) -> StackSample:
    _, spent = spending.measure(lambda: way.run(prompt_ids, each.new_tokens), way.elsewhere_s)
    if way.elsewhere_s is not None:
        _wait_until_quiet(way.elsewhere_s)
    return StackSample(
        way=way.name,
        batch=way.batch,
        prompt_tokens=each.prompt_tokens,
        new_tokens=each.new_tokens,
        round=round_,
        spent=spent,
    )


def _wait_until_quiet(elsewhere_s: Callable[[], float]) -> None:
    """Waits for processes that go on: vLLM's expect the next request for a second, and are busy with that."""
    latest_s, before = time.monotonic() + _QUIET_S, elsewhere_s()
    while time.monotonic() < latest_s:
        time.sleep(_LOOK_S)
        now = elsewhere_s()
        if now - before < _BUSY * _LOOK_S:
            return
        before = now


def _costs(samples: Sequence[StackSample], way: Stack, each: RequestBin, yardstick: Yardstick) -> Floats:
    """What a request took in each round, [N]."""
    of = [
        s for s in samples if (s.way, s.prompt_tokens, s.new_tokens) == (way.name, each.prompt_tokens, each.new_tokens)
    ]
    return np.array([yardstick.of(s.spent) / s.batch for s in sorted(of, key=lambda s: s.round)])


def _drawn(samples: Sequence[StackSample], way: Stack, requests: BinnedRequests, yardstick: Yardstick) -> Floats:
    """What a mean request of the workload takes, over the rounds and over each draw of them, [1 + R]."""
    costs = np.array([_costs(samples, way, each, yardstick) for each in requests.bins])  # [B, N]
    weights = np.array([each.requests for each in requests.bins], float)
    by_round: Floats = weights @ costs / weights.sum()
    counts = draws(len(by_round))
    drawn: Floats = counts @ by_round / counts.sum(axis=1)
    return drawn
