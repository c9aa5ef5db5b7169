"""The questions an evaluation answers, each with its figure: what the slider keeps, saves and dominates.

A question whose arms were not run has no answer and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.evaluation.arms import BASELINE, BASELINES, ORACLE, ORACLE_OF_EXITS
from engine.evaluation.statistics import MAX_LOSS, front_at, hypervolume, slider
from engine.intervals import estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.evaluation.arms import Arm
    from engine.evaluation.statistics import Runs
    from engine.intervals import Estimate, Floats

_LOSSLESS = "green:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One question and its answer, in words and as numbers.

    Attributes:
        question: The question, in a few words.
        answer: The answer for people, with units.
        values: The same answer for programs.
    """

    question: str
    answer: str
    values: Mapping[str, object]


def findings_of(runs: Runs, arms: Sequence[Arm]) -> list[Finding]:
    """Answers what these arms can answer."""
    present = [arm for arm in arms if arm.name in runs.arms]
    by_slider = [arm.name for arm in present if arm.group == "slider" and "-stop" not in arm.name]
    found: list[Finding] = []
    if _LOSSLESS in runs.arms:
        found += _lossless(runs)
    if by_slider:
        found += [_free_saving(runs, "Slider", by_slider)]
    others = [arm.name for arm in present if arm.group in BASELINES]
    if others:
        found += [_free_saving(runs, "Best baseline", others)]
    if ORACLE in runs.arms:
        found += [_free_saving(runs, "Oracle", [ORACLE])]
        found += [_free_saving(runs, "Oracle of exits alone", [ORACLE_OF_EXITS])]
    found += _fronts(runs, present)
    if len(by_slider) > 1:
        found += [_slider(runs, by_slider)]
    if by_slider:
        found += [_policy_share(runs, by_slider)]
    return [*found, *(_stop(runs, arm.name) for arm in present if arm.stops and arm.group in {"full-depth", "slider"})]


def _lossless(runs: Runs) -> Iterator[Finding]:
    different = [run.place for run in runs.of(_LOSSLESS) if not run.identical]
    n_same = runs.n_places - len(different)
    yield Finding(
        question="Green mode 0: token-identical to full depth",
        answer=f"at {n_same} of {runs.n_places} places",
        values={"identical": n_same, "places": runs.n_places, "different": different},
    )
    for column, what in (("weight_bytes", "weight traffic"), ("decode_j", "energy"), ("decode_s", "time")):
        saved = runs.saved(_LOSSLESS, column)
        yield Finding(question=f"Green mode 0: {what} saved", answer=saved.as_percent(), values=_values(saved))


def _free_saving(runs: Runs, who: str, names: Sequence[str]) -> Finding:
    best = runs.best_at_small_loss(names)
    question = f"{who}: decode energy saved at up to {100 * MAX_LOSS:g} % loss of kept text"
    if best is None:
        return Finding(question=question, answer="none", values={"arm": None})
    saved, lost = runs.saved(best, "decode_j"), runs.saved(best, "kept")
    return Finding(
        question=question,
        answer=f"{saved.as_percent()} with {best}, which loses {lost.as_percent()}",
        values={"arm": best, "saved": _values(saved), "lost": _values(lost)},
    )


def _fronts(runs: Runs, arms: Sequence[Arm]) -> Iterator[Finding]:
    """The policy against the baselines: all with STOP, then all without. Only what stops in like manner is compared."""
    baselines = [arm for arm in arms if arm.group in BASELINES]
    learned = [arm for arm in arms if arm.group == "slider"]
    for what, ours, theirs in (
        ("with STOP", [arm for arm in learned if "-stop" not in arm.name], [arm for arm in baselines if arm.stops]),
        ("without STOP", [arm for arm in learned if not arm.stops], [arm for arm in baselines if not arm.stops]),
    ):
        if len(ours) > 1 and theirs:
            yield from _front(runs, what, [arm.name for arm in ours], [arm.name for arm in theirs])


def _front(runs: Runs, what: str, ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Finding]:
    """Which of theirs lies above the front of ours, and the areas under both, in energy saved and kept text."""
    # Full depth belongs to every family: it is what each of them is at its quality end.
    full = runs.point(BASELINE)
    points = [full, *map(runs.point, ours)]
    margins = {name: _margin(runs.point(name), points) for name in theirs}
    above = [name for name, margin in margins.items() if margin.low > 0]
    nominally = [name for name, margin in margins.items() if margin.value > 0]
    yield Finding(
        question=f"Baselines above the policy's front, {what}",
        answer=f"{', '.join(above) or 'none'} beyond the interval; "
        f"{len(nominally)} of {len(theirs)} nominally" + (f" ({', '.join(nominally)})" if nominally else ""),
        values={name: _values(margin) for name, margin in margins.items()},
    )
    mine, other = hypervolume(points), hypervolume([full, *map(runs.point, theirs)])
    yield Finding(
        question=f"Hypervolume (energy saved × kept text), {what}",
        answer=f"policy {_plain(estimate(mine))}, baselines together {_plain(estimate(other))}, "
        f"difference {_plain(estimate(mine - other))}",
        values={
            "policy": _values(estimate(mine)),
            "baselines": _values(estimate(other)),
            "difference": _values(estimate(mine - other)),
        },
    )


def _margin(point: tuple[Floats, Floats], front: Sequence[tuple[Floats, Floats]]) -> Estimate:
    """How far a point stands above a front, in shares of kept text; negative below it."""
    saved, kept = point
    return estimate(kept - front_at(saved, front))


def _slider(runs: Runs, names: Sequence[str]) -> Finding:
    course = slider(runs, names)
    step = "no range" if course.largest_step is None else f"largest step {100 * course.largest_step:.0f} % of the range"
    return Finding(
        question="Energy over green mode",
        answer=f"{'monotone' if course.monotone else 'not monotone'} "
        f"(in {100 * course.monotone_share:.0f} % of resamples), {step}; mJ a suggestion: "
        + ", ".join(f"{1e3 * energy_j:.0f}" for energy_j in course.energy_j),
        values={
            "energy_j": course.energy_j,
            "monotone": course.monotone,
            "monotone_share": course.monotone_share,
            "largest_step": course.largest_step,
        },
    )


def _stop(runs: Runs, name: str) -> Finding:
    """What ending suggestions early saves, and the lines that full depth had right and this arm has not."""
    pairs = list(zip(runs.of(BASELINE), runs.of(name), strict=True))
    n_right = sum(full.exact_line for full, _ in pairs)
    lost = [full.place for full, other in pairs if full.exact_line and not other.exact_line]
    saved, fewer = runs.saved(name, "decode_j"), runs.saved(name, "tokens")
    return Finding(
        question=f"Stopping, {name}",
        answer=f"energy saved {saved.as_percent()}, tokens {fewer.as_percent()}; "
        f"{len(lost)} of {n_right} matched lines lost",
        values={"saved": _values(saved), "tokens": _values(fewer), "matched": n_right, "lost": lost},
    )


def _policy_share(runs: Runs, names: Sequence[str]) -> Finding:
    """The policy's time a token, in shares of a token at full depth; the arm where it is largest."""
    token_s = runs.mean(BASELINE, "decode_s", per="tokens").value
    shares = {name: runs.mean(name, "policy_s", per="tokens").value / token_s if token_s else 0.0 for name in names}
    name = max(shares, key=lambda name: shares[name])
    return Finding(
        question="The policy's own share of a full-depth token's time, at most",
        answer=f"{100 * shares[name]:.2f} % ({name})",
        values=dict(shares),
    )


def _values(figure: Estimate) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def _plain(figure: Estimate) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
