"""What the user's slider means: green mode to operating point and policy. The only place that knows the mapping.

0 is lossless: full depth, with drafts that cost no pass of their own. Above it the learned policy decides, and the
slider is the weight of energy in its reward. A model without one has a stand-in: every token leaves at the exit nearest
to the share 1 - 0.3 w of the layers. (A confidence threshold is no better stand-in: each of its questions evaluates the
LM head, which costs the default model as much as eight layers.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConfigError, PolicyError
from engine.policy.base import OperatingPoint
from engine.policy.baselines import ConfidenceThreshold, FixedExit, FullDepth
from engine.types import GREEN_MODE_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.policy.base import ExitPolicy
    from engine.policy.learned import LearnedPolicy

_DEPTH_SPAN = 0.3  # share of the layers that the greenest end leaves out


def operating_point(
    green_mode: int, learned: LearnedPolicy | None = None, *, spec: str | None = None
) -> OperatingPoint:
    """The operating point of a slider value; lossless where the policy is named "full-depth", whatever the slider says.

    Raises:
        ConfigError: If it is outside 0 to 100.
    """
    if not 0 <= green_mode <= GREEN_MODE_MAX:
        raise ConfigError(f"Green mode must lie between 0 and {GREEN_MODE_MAX}, not {green_mode}.")
    weight = green_mode / GREEN_MODE_MAX if learned is None else learned.energy_weight(green_mode)
    return OperatingPoint(energy_weight=weight, lossless=green_mode == 0 or spec == "full-depth")


def wants_all_cores(green_mode: int) -> bool:
    """Whether decoding may take every core to be a little faster: only where energy weighs nothing."""
    return green_mode == 0


def policy_for(
    spec: str | None,
    green_mode: int,
    exit_layers: Sequence[int],
    n_layers: int,
    learned: LearnedPolicy | None = None,
) -> ExitPolicy:
    """The policy named on the command line or in the settings; None for what the green mode means.

    Args:
        spec: "full-depth", "fixed:LAYER", "confidence:P", "learned", or None.
        green_mode: 0 to 100.
        exit_layers: The model's exits.
        n_layers: The model's full depth.
        learned: The model's learned policy, if it has one.

    Raises:
        ConfigError: If the name means nothing, or names an exit that the model does not have.
        PolicyError: If it asks for a learned policy and none fits the model.
    """
    if spec is None:
        return _unnamed(green_mode, (*exit_layers, n_layers), learned)
    name, _, argument = spec.partition(":")
    match name:
        case "full-depth" if not argument:
            return FullDepth()
        case "fixed":
            return FixedExit(_exit_layer(spec, argument, exit_layers, n_layers))
        case "confidence":
            return ConfidenceThreshold(_probability(spec, argument))
        case "learned" if not argument:
            if learned is None:
                raise PolicyError(
                    "There is no learned policy for this model; run `green-code train policy` for it, or name another."
                )
            return learned
        case _:
            raise ConfigError(
                f"The policy '{spec}' is unknown; choose full-depth, fixed:LAYER, confidence:P or learned."
            )


def _unnamed(green_mode: int, layers: Sequence[int], learned: LearnedPolicy | None) -> ExitPolicy:
    if green_mode == 0:
        return FullDepth()
    if learned is not None:
        return learned
    depth = layers[-1] * (1.0 - _DEPTH_SPAN * operating_point(green_mode).energy_weight)
    # Of two exits as near, the deeper one: quality is lost faster than energy is saved.
    return FixedExit(min(layers, key=lambda layer: (abs(layer - depth), -layer)))


def _exit_layer(spec: str, argument: str, exit_layers: Sequence[int], n_layers: int) -> int:
    if argument.isdecimal() and int(argument) in (*exit_layers, n_layers):
        return int(argument)
    known = ", ".join(map(str, (*exit_layers, n_layers)))
    raise ConfigError(f"The policy '{spec}' names no exit of this model; its exits are after layers {known}.")


def _probability(spec: str, argument: str) -> float:
    try:
        probability = float(argument)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise ConfigError(f"The policy '{spec}' needs a probability between 0 and 1, such as confidence:0.8.")
    return probability
