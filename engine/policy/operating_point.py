"""What the user's slider means: green mode to policy, operating point and threads. Nothing else knows the mapping.

Green mode is a position, 0 to 100. 0 is lossless: full depth, with drafts that cost no pass of their own. Above it the
learned policy decides, and the policy's own file maps the position to w, the weight of energy in its reward. A model
without one has a stand-in, for which w is the position's share of 100: every token leaves at the exit nearest to the
share 1 - 0.3 w of the layers. (A confidence threshold is no better stand-in: each of its questions evaluates the LM
head, which costs the default model as much as eight layers.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.errors import ConfigError, PolicyError
from engine.policy.base import OperatingPoint
from engine.policy.baselines import ConfidenceThreshold, FixedExit, FullDepth, ProjectAlone
from engine.sentences import Sentence
from engine.types import GREEN_MODE_MAX, PROJECT_ALONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.policy.base import ExitPolicy
    from engine.policy.learned import LearnedPolicy

# What a project says with this chance of being right is taken before any layer: near green mode 0, and less towards
# 100. At 0.8, about the default's, a project is right as often as the model: engine/LOG.md, "A policy that knows the
# project".
_ZERO_CHANCE = 0.85
_ZERO_CHANCE_SPAN = 0.3
# A text that is all right with less than this chance goes on no further; more towards 100, but slowly: to take more
# from the project and to leave earlier costs less kept text for the same energy.
_TEXT_CHANCE = 0.05
_TEXT_CHANCE_SPAN = 0.1
# Where a project knows the rest, 0.7 of a window keep all but 1 % of the text, and a half all but 3 %:
# engine/LOG.md, "A prompt that leaves before the first layer".
_WINDOW_SHARE = 0.76
_WINDOW_SHARE_SPAN = 0.4
# The last tenth of the layers changes the keys and values of far tokens too little to cost a token: engine/LOG.md, "Far
# tokens that leave at the last exit".
_PROMPT_DEPTH = 0.9
_DEPTH_SPAN = 0.3  # share of the layers that the greenest end leaves out


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one request is decoded.

    Attributes:
        policy: Decides at each exit.
        point: What the slider means to the decoder.
        all_cores: Whether decoding takes every core to be a little faster: only where energy weighs nothing.
    """

    policy: ExitPolicy
    point: OperatingPoint
    all_cores: bool


def plan_for(green_mode: int, spec: str | None, layers: Sequence[int], learned: LearnedPolicy | None = None) -> Plan:
    """What a slider position and a policy named on the command line or in the settings mean for a model.

    Args:
        green_mode: 0 to 100.
        spec: "full-depth", which is lossless wherever the slider stands, "fixed:LAYER", "confidence:P", "learned",
            "project"; None for what the green mode means.
        layers: Layers after which a token may leave, ascending; the last is the model's full depth.
        learned: The model's learned policy, if it has one.

    Raises:
        ConfigError: If the position is out of range, or the name means nothing or an exit that the model lacks.
        PolicyError: If a learned policy is asked for and none fits the model.
    """
    if not 0 <= green_mode <= GREEN_MODE_MAX:
        raise ConfigError(
            Sentence(
                "Green mode must lie between 0 and {most}, not {green_mode}.",
                most=GREEN_MODE_MAX,
                green_mode=green_mode,
            )
        )
    weight = green_mode / GREEN_MODE_MAX if learned is None else learned.energy_weight(green_mode)
    is_lossless = green_mode == 0
    if spec is not None:
        policy = _named(spec, layers, learned)
    elif is_lossless:
        policy = FullDepth()
    else:
        policy = learned if learned is not None else _stand_in(weight, layers)
    return Plan(
        policy=policy,
        point=replace(
            point_for(green_mode, weight, lossless=is_lossless or spec == "full-depth"),
            runs_layers=spec != PROJECT_ALONE,
        ),
        all_cores=is_lossless,
    )


def point_for(green_mode: int, energy_weight: float, *, lossless: bool) -> OperatingPoint:
    """What a slider position means to the decoder, whatever the energy weight."""
    return OperatingPoint(
        energy_weight=energy_weight,
        lossless=lossless,
        zero_chance=zero_chance(green_mode),
        text_chance=0.0 if lossless else text_chance(green_mode),
        window_share=1.0 if lossless else window_share(green_mode),
        prompt_depth=1.0 if lossless else _PROMPT_DEPTH,
    )


def zero_chance(green_mode: int) -> float:
    """Least chance of being right with which a token of the project's is taken before any layer."""
    return _ZERO_CHANCE - _ZERO_CHANCE_SPAN * green_mode / GREEN_MODE_MAX


def text_chance(green_mode: int) -> float:
    """Least chance that all of a text is right with which it goes on, at a slider position; 0 for whatever it is."""
    return _TEXT_CHANCE + _TEXT_CHANCE_SPAN * green_mode / GREEN_MODE_MAX if green_mode else 0.0


def window_share(green_mode: int) -> float:
    """How much of the window onto a document is read where a project has its say, at a slider position."""
    return _WINDOW_SHARE - _WINDOW_SHARE_SPAN * green_mode / GREEN_MODE_MAX if green_mode else 1.0


def _named(spec: str, layers: Sequence[int], learned: LearnedPolicy | None) -> ExitPolicy:
    name, _, argument = spec.partition(":")
    match name:
        case "full-depth" if not argument:
            return FullDepth()
        case "project" if not argument:
            return ProjectAlone()
        case "fixed":
            return FixedExit(_exit_layer(spec, argument, layers))
        case "confidence":
            return ConfidenceThreshold(_probability(spec, argument))
        case "learned" if not argument:
            if learned is None:
                raise PolicyError(
                    Sentence(
                        "There is no learned policy for this model; run `green-code train policy` for it, or name "
                        "another."
                    )
                )
            return learned
        case _:
            raise ConfigError(
                Sentence(
                    "The policy '{spec}' is unknown; choose full-depth, fixed:LAYER, confidence:P, learned or project.",
                    spec=spec,
                )
            )


def _stand_in(weight: float, layers: Sequence[int]) -> ExitPolicy:
    depth = layers[-1] * (1.0 - _DEPTH_SPAN * weight)
    # Of two exits as near, the deeper one: quality is lost faster than energy is saved.
    return FixedExit(min(layers, key=lambda layer: (abs(layer - depth), -layer)))


def _exit_layer(spec: str, argument: str, layers: Sequence[int]) -> int:
    if argument.isdecimal() and int(argument) in layers:
        return int(argument)
    known = ", ".join(map(str, layers))
    raise ConfigError(
        Sentence(
            "The policy '{spec}' names no exit of this model; its exits are after layers {known}.",
            spec=spec,
            known=known,
        )
    )


def _probability(spec: str, argument: str) -> float:
    try:
        probability = float(argument)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise ConfigError(
            Sentence("The policy '{spec}' needs a probability between 0 and 1, such as confidence:0.8.", spec=spec)
        )
    return probability
