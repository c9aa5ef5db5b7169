"""What samples of phases and answers say together, with 95 % intervals. Runs nothing.

Intervals are over the rounds for what phases take, and over the problems for answers; ways to decode share the problems
that are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from engine.evaluation.answers import HUMAN_EVAL, PLAIN, STOPPED, WAYS
from engine.evaluation.human_eval import function_length
from engine.evaluation.phase_costs import DECODED
from engine.intervals import Estimate, draws, estimate, proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.evaluation.answers import AnswerSample, Way
    from engine.evaluation.phase_costs import PhaseSample
    from engine.evaluation.spending import Yardstick

_Sample = TypeVar("_Sample")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """A length of prompts: what reading one takes, and a token decoded behind it; amplification is of the latter."""

    prompt_tokens: int
    prefill: Estimate
    token: Estimate
    amplification: Estimate
    modelled_amplification: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRow:
    """A benchmark's answers, decoded as far as they go."""

    workload: str
    n_items: int
    prompt_tokens: float
    tokens: float
    prefill_j: float
    decode_j: float
    decode_share: Estimate
    score: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WayRow:
    """One way to decode HumanEval's functions; savings are against decoding as far as it goes."""

    way: Way
    n_items: int
    tokens: Estimate
    spent: Estimate
    modelled_j: Estimate
    saved_tokens: Estimate
    saved: Estimate
    saved_modelled: Estimate
    pass_at_1: Estimate | None
    passed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingEnergy:
    """All that is reported.

    Attributes:
        phases: By length of prompt.
        workloads: By benchmark.
        ways: By how far functions were decoded.
        babbling: The share of functions that are followed by more text.
        babbled_tokens: The share of all tokens that is in such text.
        same_text: The share of functions whose text, cut at their end, is what decoding to there says.
    """

    phases: tuple[PhaseRow, ...]
    workloads: tuple[WorkloadRow, ...]
    ways: tuple[WayRow, ...]
    babbling: Estimate | None
    babbled_tokens: Estimate | None
    same_text: float | None


def summarise(phases: Sequence[PhaseSample], answers: Sequence[AnswerSample], yardstick: Yardstick) -> DecodingEnergy:
    """Adds the samples up."""
    functions = [answer for answer in answers if answer.workload == HUMAN_EVAL]
    plain = _of_way(functions, PLAIN)
    names = dict.fromkeys(answer.workload for answer in answers)
    return DecodingEnergy(
        phases=tuple(_phase_rows(phases, yardstick)),
        workloads=tuple(_workload_row([a for a in answers if a.workload == name and a.way == PLAIN]) for name in names),
        ways=tuple(_way_row(_of_way(functions, way), plain, yardstick) for way in WAYS) if plain else (),
        babbling=proportion(sum(answer.babbled > 0 for answer in plain), len(plain)) if plain else None,
        babbled_tokens=_ratio(plain, lambda a: a.babbled, plain, lambda a: a.tokens) if plain else None,
        same_text=_same_text(plain, _of_way(functions, STOPPED)) if plain else None,
    )


def _same_text(plain: Sequence[AnswerSample], stopped: Sequence[AnswerSample]) -> float:
    pairs = zip(plain, stopped, strict=True)
    return float(np.mean([whole.text[: function_length(whole.text)] == part.text for whole, part in pairs]))


def _phase_rows(samples: Sequence[PhaseSample], yardstick: Yardstick) -> list[PhaseRow]:
    lengths = sorted({sample.prompt_tokens for sample in samples})
    of = {n: sorted((s for s in samples if s.prompt_tokens == n), key=lambda s: s.round) for n in lengths}

    def tokens(sample: PhaseSample) -> float:
        return yardstick.of(sample.decode) / DECODED

    return [
        PhaseRow(
            prompt_tokens=n,
            prefill=_mean(of[n], lambda sample: yardstick.of(sample.prefill)),
            token=_mean(of[n], tokens),
            amplification=_less_one(_ratio(of[n], tokens, of[lengths[0]], tokens)),
            modelled_amplification=of[n][0].decode_j / of[lengths[0]][0].decode_j - 1.0,
        )
        for n in lengths
    ]


def _workload_row(answers: Sequence[AnswerSample]) -> WorkloadRow:
    scored = [answer.score for answer in answers if answer.score is not None]
    return WorkloadRow(
        workload=answers[0].workload,
        n_items=len(answers),
        prompt_tokens=float(np.mean([answer.prompt_tokens for answer in answers])),
        tokens=float(np.mean([answer.tokens for answer in answers])),
        prefill_j=float(np.mean([answer.prefill_j for answer in answers])),
        decode_j=float(np.mean([answer.decode_j for answer in answers])),
        decode_share=_ratio(
            answers, lambda a: (1.0 - a.prefill_share) * a.spent.cpu_s, answers, lambda a: a.spent.cpu_s
        ),
        score=_mean(answers, lambda answer: answer.score or 0.0) if scored else None,
    )


def _way_row(answers: Sequence[AnswerSample], plain: Sequence[AnswerSample], yardstick: Yardstick) -> WayRow:
    def tokens(answer: AnswerSample) -> float:
        return answer.tokens

    def spent(answer: AnswerSample) -> float:
        return yardstick.of(answer.spent)

    def modelled_j(answer: AnswerSample) -> float:
        return answer.prefill_j + answer.decode_j

    n_passed = sum(bool(answer.passed) for answer in answers)
    were_run = all(answer.passed is not None for answer in answers)
    return WayRow(
        way=answers[0].way,
        n_items=len(answers),
        tokens=_mean(answers, tokens),
        spent=_mean(answers, spent),
        modelled_j=_mean(answers, modelled_j),
        saved_tokens=_saved(answers, plain, tokens),
        saved=_saved(answers, plain, spent),
        saved_modelled=_saved(answers, plain, modelled_j),
        pass_at_1=proportion(n_passed, len(answers)) if were_run else None,
        passed=n_passed if were_run else None,
    )


def _of_way(answers: Sequence[AnswerSample], way: Way) -> list[AnswerSample]:
    return sorted((answer for answer in answers if answer.way == way), key=lambda answer: answer.item)


def _mean(samples: Sequence[_Sample], figure: Callable[[_Sample], float]) -> Estimate:
    return _ratio(samples, figure, samples, lambda sample: 1.0)


def _saved(
    samples: Sequence[AnswerSample], plain: Sequence[AnswerSample], figure: Callable[[AnswerSample], float]
) -> Estimate:
    ratio = _ratio(samples, figure, plain, figure)
    return Estimate(value=1.0 - ratio.value, low=1.0 - ratio.high, high=1.0 - ratio.low)


def _less_one(ratio: Estimate) -> Estimate:
    return Estimate(value=ratio.value - 1.0, low=ratio.low - 1.0, high=ratio.high - 1.0)


def _ratio(
    samples: Sequence[_Sample],
    figure: Callable[[_Sample], float],
    others: Sequence[_Sample],
    other: Callable[[_Sample], float],
) -> Estimate:
    """A ratio of sums, over the same rounds or problems."""
    counts = draws(len(samples))
    upper, lower = np.array([figure(s) for s in samples], float), np.array([other(s) for s in others], float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimate((counts @ upper) / (counts @ lower))
