"""The arms of an evaluation: every way to decode that is compared, by name. Knows no text and no joules.

All of them run in the product's own decoder, lookup drafts included; only `full-depth`, the baseline, is plain decoding
with a KV cache. Names say what an arm is. `fixed:24` always leaves at layer 24. `green:50` is the product at that
setting of its slider. `zero:0.8` takes from the project what is right with that chance, before any layer, and goes to
full depth for the rest; `likely:0.1` does so too, and ends a text that is right with less than that chance.
`fixed:24+stop@50` borrows the learned policy's STOP at that setting. `green:20-lookup` lacks a part, and
`full-depth+lookup` has that part alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from engine.errors import ConfigError
from engine.policy.base import PLAIN_DECODING, Action, OperatingPoint
from engine.policy.baselines import ConfidenceThreshold, FixedExit, FullDepth, RandomExit, WithStop
from engine.policy.operating_point import plan_for, zero_chance
from engine.types import DEFAULT_GREEN_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.policy.base import ExitPolicy
    from engine.policy.learned import LearnedPolicy

BASELINE = "full-depth"
ORIGINAL = "original"  # full depth with the weights as they were before exits were trained: another model's text
ORACLE = "oracle"
ORACLE_OF_EXITS = "oracle-stop"  # decodes as far as full depth does
GREEN_MODES = tuple(range(0, 101, 10))

Group = Literal["full-depth", "fixed", "confidence", "random", "zero", "likely", "slider", "ablation", "oracle"]
BASELINES: frozenset[Group] = frozenset({"fixed", "confidence", "random", "zero", "likely"})

_THRESHOLDS = (0.5, 0.7, 0.9)
_MATCHED_MODES = (30, 60, 100)
_RANDOM_DEPTHS = (0.6, 0.75, 0.9)  # of the layers, where there is no learned policy to match
_ZERO_CHANCES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
_LIKELY_CHANCES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_STOP_MODES = (50, 100)
_WITHOUT_STOP_MODES = (20, 50, 80, 100)


# The parts of an operating point, each as the second point has it and all else as the first.
_PARTS: Mapping[str, Callable[[OperatingPoint, OperatingPoint], OperatingPoint]] = {
    "listing": lambda point, other: replace(point, whole_head=other.whole_head),
    "lookup": lambda point, other: replace(point, lookup=other.lookup),
    "zero": lambda point, other: replace(point, zero_chance=other.zero_chance),
    "end": lambda point, other: replace(point, text_chance=other.text_chance),
    "window": lambda point, other: replace(point, window_share=other.window_share),
    "depth": lambda point, other: replace(point, prompt_depth=other.prompt_depth),
}
_LOSSLESS_PARTS = ("listing", "lookup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an arm may be told of the place where it runs.

    Attributes:
        seed: The seed of random decisions; another one at each place.
        mean_layers: The mean exit layer of each arm that ran here already, by its name.
    """

    seed: int
    mean_layers: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to decode.

    Attributes:
        name: The arm's name, as the module explains.
        group: The family of arms that it is compared in.
        point: The operating point.
        policy: Makes the policy for one place.
        green_mode: The slider's position, for arms that the slider sets; else None.
        stops: Whether the policy may end a suggestion.
        runs_last: Whether it needs the results of the others.
    """

    name: str
    group: Group
    point: OperatingPoint
    policy: Callable[[Situation], ExitPolicy]
    green_mode: int | None = None
    stops: bool = False
    runs_last: bool = False


def all_arms(exit_layers: Sequence[int], n_layers: int, learned: LearnedPolicy | None) -> list[Arm]:
    """Every arm that this model can run, the baseline first; what needs a learned policy only where there is one."""
    final = OperatingPoint(energy_weight=1.0, lossless=False)
    baselines = [
        *(_always(f"fixed:{layer}", "fixed", final, FixedExit(layer)) for layer in exit_layers),
        *(_confidence(probability, n_layers, final) for probability in _THRESHOLDS),
        *_random_arms(exit_layers, n_layers, final, learned),
        *_zero_arms(final, n_layers),
    ]
    full = _always(BASELINE, "full-depth", PLAIN_DECODING, FullDepth())
    arms = [
        full,
        *baselines,
        *_likely_arms(final),
        *_slider_arms(exit_layers, n_layers, learned),
        *_verified(exit_layers, n_layers),
    ]
    if learned is not None:
        arms += _with_learned_stop([full, *baselines], learned, n_layers)
        arms += _ablations(learned, (*exit_layers, n_layers))
    return arms


def chosen_arms(arms: Sequence[Arm], patterns: Sequence[str]) -> list[Arm]:
    """The arms whose name or group fits one of the patterns, such as `green:*`; the baseline always.

    Raises:
        ConfigError: If a pattern fits none.
    """
    for pattern in patterns:
        if not any(_fits(arm, pattern) for arm in arms):
            known = ", ".join(arm.name for arm in arms)
            raise ConfigError(f"No arm is called '{pattern}'; choose from: {known}.")
    wanted = {arm.name for arm in arms if any(_fits(arm, pattern) for pattern in patterns)}
    if any(arm.runs_last for arm in arms if arm.name in wanted):  # these are matched to the slider's arms
        wanted |= {f"green:{mode}" for mode in _MATCHED_MODES}
    return [arm for arm in arms if arm.name == BASELINE or arm.name in wanted]


def _fits(arm: Arm, pattern: str) -> bool:
    return fnmatchcase(arm.name, pattern) or pattern in {arm.group, "all"}


def _always(name: str, group: Group, point: OperatingPoint, policy: ExitPolicy) -> Arm:
    return Arm(name=name, group=group, point=point, policy=lambda situation: policy)


def _confidence(probability: float, n_layers: int, point: OperatingPoint) -> Arm:
    first_layer = -(-2 * n_layers // 3)
    policy = ConfidenceThreshold(probability, first_layer)
    return _always(f"confidence:{probability:g}", "confidence", point, policy)


def _zero_arms(point: OperatingPoint, n_layers: int) -> list[Arm]:
    """Exit zero by a threshold alone, before full depth, and before the exits that are confident."""
    sure = [(chance, replace(point, zero_chance=chance)) for chance in _ZERO_CHANCES]
    usual = replace(point, zero_chance=zero_chance(DEFAULT_GREEN_MODE))
    confident = [_confidence(probability, n_layers, usual) for probability in _THRESHOLDS]
    return [
        *(_always(f"zero:{chance:g}", "zero", there, FullDepth()) for chance, there in sure),
        *(replace(arm, name=f"{arm.name}+zero", group="zero") for arm in confident),
    ]


def _likely_arms(point: OperatingPoint) -> list[Arm]:
    """A text ends by its chance of being right, by a threshold alone."""
    usual = replace(point, zero_chance=zero_chance(DEFAULT_GREEN_MODE))
    return [
        replace(_always(f"likely:{chance:g}", "likely", replace(usual, text_chance=chance), FullDepth()), stops=True)
        for chance in _LIKELY_CHANCES
    ]


def _random_arms(
    exit_layers: Sequence[int], n_layers: int, point: OperatingPoint, learned: LearnedPolicy | None
) -> list[Arm]:
    """Exits at random: at several mean depths, or at those that a learned policy has."""

    def random_exit(situation: Situation, mean_layer: float) -> ExitPolicy:
        return RandomExit(exit_layers=exit_layers, n_layers=n_layers, mean_layer=mean_layer, seed=situation.seed)

    def at_depth(share: float) -> Arm:
        return Arm(
            name=f"random:{share:g}",
            group="random",
            point=point,
            policy=lambda situation: random_exit(situation, share * n_layers),
        )

    def matched(mode: int) -> Arm:
        like = f"green:{mode}"
        return Arm(
            name=f"random~{like}",
            group="random",
            point=point,
            policy=lambda situation: random_exit(situation, situation.mean_layers.get(like, float(n_layers))),
            runs_last=True,
        )

    return list(map(at_depth, _RANDOM_DEPTHS)) if learned is None else list(map(matched, _MATCHED_MODES))


def _slider_arms(exit_layers: Sequence[int], n_layers: int, learned: LearnedPolicy | None) -> list[Arm]:
    """What the product does at each setting."""
    plans = {mode: plan_for(mode, None, (*exit_layers, n_layers), learned) for mode in GREEN_MODES}
    return [
        replace(
            _always(f"green:{mode}", "slider", plan.point, plan.policy), green_mode=mode, stops=plan.policy is learned
        )
        for mode, plan in plans.items()
    ]


def _verified(exit_layers: Sequence[int], n_layers: int) -> list[Arm]:
    """Lossless decoding with exits as drafts: what verification brings without a policy."""
    lossless = OperatingPoint(energy_weight=0.0, lossless=True)
    deep = [layer for layer in exit_layers if 3 * layer >= 2 * n_layers]
    return [_always(f"fixed:{layer}-verified", "ablation", lossless, FixedExit(layer)) for layer in deep]


def _with_learned_stop(arms: Sequence[Arm], learned: LearnedPolicy, n_layers: int) -> list[Arm]:
    """The shallowest exits are left out: what they say is not worth ending well."""

    def stopping(arm: Arm, mode: int) -> Arm:
        # The stop looks at the energy weight of the point; full depth and fixed exits do not.
        point = replace(arm.point, lossless=False, energy_weight=learned.energy_weight(mode))
        return replace(
            arm,
            name=f"{arm.name}+stop@{mode}",
            point=point,
            policy=lambda situation: WithStop(arm.policy(situation), learned),
            stops=True,
        )

    shallow = {f"fixed:{layer}" for layer in range(-(-2 * n_layers // 3))}
    return [stopping(arm, mode) for mode in _STOP_MODES for arm in arms if arm.name not in shallow]


def _ablations(learned: LearnedPolicy, layers: Sequence[int]) -> list[Arm]:
    def point(mode: int) -> OperatingPoint:
        return plan_for(mode, None, layers, learned).point

    unstopped = learned.restricted_to((Action.CONTINUE, Action.EXIT, Action.VERIFY))
    without_stop = [
        replace(
            _always(f"green:{mode}-stop", "slider", replace(point(mode), text_chance=0.0), unstopped), green_mode=mode
        )
        for mode in _WITHOUT_STOP_MODES
    ]
    lossless = _always("green:0+exits", "ablation", point(0), learned)
    return [*without_stop, lossless, *_alone_and_last(learned, unstopped, point(DEFAULT_GREEN_MODE))]


def _alone_and_last(learned: LearnedPolicy, unstopped: LearnedPolicy, usual: OperatingPoint) -> list[Arm]:
    """Each part of the product alone beside plain decoding, and the product without it, where it is added last.

    What may change the text also gives it up where its first word is unlikely, which `+doubt` does alone.
    """
    name = f"green:{DEFAULT_GREEN_MODE}"
    doubting = replace(PLAIN_DECODING, lossless=False, energy_weight=usual.energy_weight)
    bases = dict.fromkeys(_PARTS, doubting) | dict.fromkeys(_LOSSLESS_PARTS, PLAIN_DECODING)
    stop_only = learned.restricted_to((Action.CONTINUE, Action.STOP))
    return [
        _always(f"{BASELINE}+doubt", "ablation", doubting, FullDepth()),
        *(
            _always(f"{BASELINE}+{part}", "ablation", taken(bases[part], usual), FullDepth())
            for part, taken in _PARTS.items()
        ),
        _always(f"{BASELINE}+exits", "ablation", doubting, unstopped),
        *(_always(f"{name}-{part}", "ablation", taken(usual, doubting), learned) for part, taken in _PARTS.items()),
        _always(f"{name}-exits", "ablation", usual, stop_only),
    ]
