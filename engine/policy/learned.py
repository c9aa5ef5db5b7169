"""The learned exit policy: a small network over an exit's hidden state, conditioned on the user's energy weight.

For each check layer a linear probe of the normed hidden state, then one multilayer perceptron shared by all of them,
whose outputs score the actions; the best allowed one is taken. It is stored with what it belongs to and refused
where that does not fit. `engine.training.policy` trains it. It decides in a few numpy operations on the CPU, wherever
the model runs: it is too small to be worth a GPU, and a process without torch needs none for it.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cattrs
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from engine.artifacts import Artifact
from engine.errors import PolicyError
from engine.files import written_whole
from engine.policy.base import Action, ExitCandidate
from engine.types import GREEN_MODE_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

POLICY = Artifact(folder="policies", file_name="policy.safetensors", packaged=Path(__file__).with_name("artifacts"))

ACTIONS = (Action.CONTINUE, Action.EXIT, Action.VERIFY, Action.STOP)
"""The order of the network's outputs."""

N_CONTEXT = 11
"""Inputs beside the hidden state and the exit; see `context_features`."""

SLIDER_POINTS = 11
"""Green modes 0, 10, ..., 100 for which an energy weight is stored."""

TENSORS = (
    "probe.weight",  # [K, P, D], one probe for each of K check layers
    "probe.bias",  # [K, P]
    "hidden1.weight",  # [H, P + K + N_CONTEXT]: probe, one-hot check layer, context
    "hidden1.bias",
    "hidden2.weight",  # [H, H]
    "hidden2.bias",
    "action.weight",  # [A, H], one row for each of `ACTIONS`
    "action.bias",
)

_FORMAT = 2
_NORM = "final"  # the state is normed by the model's final norm, as `ExitCandidate.hidden` gives it
_METADATA_KEY = "green-code"
_LEAST_PRICE = 1e-3  # below it energy is as good as free; keeps the logarithm finite at weight 0
_LEAST_CHANCE = 1e-3  # below it a text is as good as wrong; keeps the logarithm finite
_RETRAIN = "delete it, or run `green-code train policy` for this model again"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInfo:
    """Where a policy comes from, and what it belongs to.

    Attributes:
        model: The model's name at the time.
        fingerprint: Fingerprint of the model's weights.
        exits_fingerprint: Fingerprint of the trained exits; another exit chooses other tokens, which the policy has not
            seen.
        check_layers: The exits it looks at, ascending; at the others it goes on without looking.
        slider_weights: The energy weight of green mode 0, 10, ..., 100; ascending, the first is 0.
        corpus_sha256: Hash of the training text.
        cost_model: The device cost model whose ratios it was trained on, as that names itself.
        steps: Decisions it learned from by PPO; 0 for the supervised start alone.
        created: Date, ISO 8601.
        format: Version of the file.
        norm: How the hidden state is normed.
    """

    model: str
    fingerprint: str
    exits_fingerprint: str
    check_layers: tuple[int, ...]
    slider_weights: tuple[float, ...]
    corpus_sha256: str
    cost_model: str
    steps: int
    created: str
    format: int = _FORMAT
    norm: str = _NORM


def context_features(
    *,
    n_waiting: int,
    n_emitted: int,
    n_drafts: int,
    energy_weight: float,
    may_stop: bool,
    text_chance: float,
    guess_chance: float,
) -> list[float]:
    """What the network sees beside the hidden state, each of the order of 1; `N_CONTEXT` numbers.

    The price w / (1 - w) of energy in quality is what decides, hence its logarithm.

    Args:
        n_waiting: Rows that wait at exits.
        n_emitted: Tokens that the suggestion has so far.
        n_drafts: Drafts that run along.
        energy_weight: The weight w of energy, 0 to 1.
        may_stop: Whether the suggestion may end here.
        text_chance: The chance that all tokens so far are right.
        guess_chance: The chance with which the project alone would have the next one right.
    """
    price = energy_weight / max(1.0 - energy_weight, _LEAST_PRICE)
    return [
        n_waiting / 8,
        n_emitted / 32,
        math.log2(1 + n_emitted) / 4,
        n_drafts / 4,
        energy_weight,
        math.log10(max(price, _LEAST_PRICE)) / 2,
        1.0 if energy_weight == 0.0 else 0.0,
        1.0 if may_stop else 0.0,
        text_chance,
        math.log10(max(text_chance, _LEAST_CHANCE)),
        guess_chance,
    ]


class LearnedPolicy:
    """An `ExitPolicy` that was learned. One thread at a time.

    Args:
        info: What it belongs to.
        tensors: The weights by the names of `TENSORS`, in fp32.
        allowed: The actions it may take; CONTINUE always. STOP is never taken at weight 0: lossless means all the text.
    """

    def __init__(
        self, info: PolicyInfo, tensors: Mapping[str, NDArray[np.float32]], allowed: Collection[Action] = ACTIONS
    ) -> None:
        self.info = info
        self.allowed = frozenset(allowed) | {Action.CONTINUE}
        self._tensors = {name: tensors[name].astype(np.float32) for name in TENSORS}
        self._index = {layer: index for index, layer in enumerate(info.check_layers)}
        self._prepare()

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return "learned"

    @property
    def tensors(self) -> Mapping[str, NDArray[np.float32]]:
        """The weights by the names of `TENSORS`."""
        return self._tensors

    def restricted_to(self, allowed: Collection[Action]) -> LearnedPolicy:
        """The same policy with other actions allowed, such as without STOP."""
        return LearnedPolicy(self.info, self._tensors, allowed)

    def energy_weight(self, green_mode: int) -> float:
        """The weight w of energy in the reward at a slider value of 0 to 100, linear between the stored points."""
        weights, at = self.info.slider_weights, green_mode * (SLIDER_POINTS - 1) / GREEN_MODE_MAX
        index = min(int(at), SLIDER_POINTS - 2)
        return weights[index] + (weights[index + 1] - weights[index]) * (at - index)

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`. Looks at the hidden state only at its check layers."""
        index = self._index.get(candidate.exit_layer)
        if index is None:
            return Action.CONTINUE
        return ACTIONS[int(self._scores(candidate, index).argmax())]

    def _scores(self, candidate: ExitCandidate, index: int) -> NDArray[np.float32]:
        may_stop = Action.STOP in self.allowed and candidate.energy_weight > 0.0
        context = context_features(
            n_waiting=candidate.n_waiting,
            n_emitted=candidate.n_emitted,
            n_drafts=candidate.n_drafts,
            energy_weight=candidate.energy_weight,
            may_stop=may_stop,
            text_chance=candidate.text_chance(),
            guess_chance=candidate.guess_chance(),
        )
        probe = np.tanh(self._probe[index] @ candidate.hidden() + self._probe_bias[index])  # [P]
        seen = np.concatenate((probe, np.array(context, np.float32)))
        first = np.tanh(self._first @ seen + self._first_bias[index])  # [H]
        second = np.tanh(self._second @ first + self._second_bias)
        # The mask is part of the bias: a forbidden action scores minus infinity.
        bias = self._action_bias if may_stop else self._action_bias_without_stop
        scores: NDArray[np.float32] = self._action @ second + bias
        return scores

    def _prepare(self) -> None:
        """Puts the weights in the form that the hot path wants; one bias a check layer for its one-hot."""
        tensors = self._tensors
        n_checks, width, _ = tensors["probe.weight"].shape
        first = tensors["hidden1.weight"]
        probe, one_hot, context = first[:, :width], first[:, width:-N_CONTEXT], first[:, -N_CONTEXT:]
        assert one_hot.shape[1] == n_checks
        self._probe, self._probe_bias = tensors["probe.weight"], tensors["probe.bias"]
        self._first = np.concatenate((probe, context), axis=1)
        self._first_bias = one_hot.T + tensors["hidden1.bias"]
        self._second, self._second_bias = tensors["hidden2.weight"], tensors["hidden2.bias"]
        self._action = tensors["action.weight"]
        self._action_bias = tensors["action.bias"].copy()
        self._action_bias[[action not in self.allowed for action in ACTIONS]] = -math.inf
        self._action_bias_without_stop = self._action_bias.copy()
        self._action_bias_without_stop[ACTIONS.index(Action.STOP)] = -math.inf


def find_learned_policy(name: str, fingerprint: str, exits_fingerprint: str) -> LearnedPolicy | None:
    """The policy of a model: the user's own, else the shipped one where it fits, else None.

    Args:
        name: The model, as the user named it.
        fingerprint: Fingerprint of its weights.
        exits_fingerprint: Fingerprint of its exits.

    Raises:
        PolicyError: If the user's own policy does not fit, or cannot be read.
    """
    return POLICY.find(name, lambda path: load_policy(path, fingerprint, exits_fingerprint))


def load_policy(path: Path, fingerprint: str, exits_fingerprint: str) -> LearnedPolicy:
    """Reads a policy, in fp32.

    Raises:
        PolicyError: If it belongs to other weights or other exits, or cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            info = cattrs.structure(json.loads((file.metadata() or {})[_METADATA_KEY]), PolicyInfo)
            if (info.format, info.norm, len(info.slider_weights)) != (_FORMAT, _NORM, SLIDER_POINTS):
                raise PolicyError(f"The policy in {path} was written by another version of Green Code; {_RETRAIN}.")
            if info.fingerprint != fingerprint:
                raise PolicyError(f"The policy in {path} was trained for other weights than these; {_RETRAIN}.")
            if info.exits_fingerprint != exits_fingerprint:
                raise PolicyError(f"The policy in {path} was trained for other exits than this model has; {_RETRAIN}.")
            tensors = {name: file.get_tensor(name) for name in TENSORS}
            if len(tensors["action.bias"]) != len(ACTIONS):
                raise PolicyError(f"The policy in {path} was trained for other actions; {_RETRAIN}.")
            return LearnedPolicy(info, tensors)
    except (OSError, KeyError, ValueError, TypeError, SafetensorError, cattrs.BaseValidationError) as error:
        raise PolicyError(f"The policy in {path} cannot be read; {_RETRAIN}.") from error


def save_policy(policy: LearnedPolicy, path: Path) -> None:
    """Writes a policy in one step: the file is whole or as it was.

    Raises:
        PolicyError: If the disk refuses.
    """
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in policy.tensors.items()}
    try:
        with written_whole(path) as partial:
            save_file(tensors, partial, metadata={_METADATA_KEY: json.dumps(cattrs.unstructure(policy.info))})
    except (OSError, SafetensorError) as error:
        raise PolicyError(f"The policy could not be written to {path}.") from error
