import random
from collections.abc import Iterator

import pytest
import torch

from engine.decoding.decoder import Decoder
from engine.energy.cost_model import default_cost_model
from engine.policy.base import Action, ExitCandidate
from engine.training.policy.closed_loop import play
from engine.training.policy.env import EpisodeKind
from engine.training.policy.recordings import Place, Recording, record_one
from engine.training.policy.replay import Replay, Setting
from engine.training.policy.rewards import Prices, prices_of
from tests.engine.training.policy.fakes import CHECK_LAYERS, tiny_loaded

# So that every unit counts, and none for as much as another.
PRICES = Prices(layer=0.1, row=0.01, head=0.4, head_row=0.003, check=0.0007, n_layers=6)
SETTING = Setting(prices=PRICES, check_layers=CHECK_LAYERS, mean_chars=4.0)


def recording(right: list[list[bool]], **changes: object) -> Recording:
    """Rows of which exits choose the recorded token."""
    ids = list(range(10, 11 + len(right)))
    n_states = len(ids) + 1
    choices = [[token_id if agrees else 0 for agrees in row] for token_id, row in zip(ids[1:], right, strict=True)]
    fields: dict[str, object] = {
        "states": torch.zeros(len(right), len(CHECK_LAYERS), 3, dtype=torch.float16),
        "choices": torch.tensor(choices),
        "prompt_ids": [],
        "ids": ids,
        "kept_ruled": [4 * n for n in range(n_states)],
        "kept_free": [4 * n for n in range(n_states)],
        "end": len(ids),
        "on_track": [True] * n_states,
        "n_drafts": [0] * n_states,
        "n_right_drafts": [0] * n_states,
        "chars": 4 * len(ids),
    }
    return Recording(**fields | changes)  # type: ignore[arg-type]  # the fields of a recording


def replay(made: Recording, *, weight: float = 0.5, may_stop: bool = True) -> Replay:
    return Replay(made, SETTING, energy_weight=weight, may_stop=may_stop, with_end_rules=True)


class RightExits:
    """Drives decoder and replay alike: draws decisions, but exits only where that chooses the recorded token."""

    name = "right-exits"

    def __init__(self, made: Recording, seed: int, actions: tuple[Action, ...]) -> None:
        self._made, self._random, self._actions = made, random.Random(seed), actions

    def choose(self, row: int, check: int) -> Action:
        if row == len(self._made.choices):  # where the last token was drafted, the decoder asks once too often
            return Action.STOP
        action = self._random.choice(self._actions)
        is_right = int(self._made.choices[row, check]) == self._made.ids[row + 1]
        return Action.CONTINUE if action is Action.EXIT and not is_right else action

    def decide(self, candidate: ExitCandidate) -> Action:
        if candidate.exit_layer not in CHECK_LAYERS:
            return Action.CONTINUE
        candidate.hidden()
        return self.choose(candidate.n_emitted - 1, CHECK_LAYERS.index(candidate.exit_layer))


def tiny_recordings() -> Iterator[tuple[Place, Recording]]:
    loaded = tiny_loaded()
    for seed in range(2):
        text = "".join(random.Random(seed).choice("abc(d):\n ") for _ in range(150))
        place = Place(prefix="if x:\n" + text + "y", truth="ab")
        made = record_one(loaded, Decoder(loaded.model), place, CHECK_LAYERS)
        assert made is not None
        yield place, made


@pytest.mark.parametrize(
    ("weight", "actions"),
    [
        (0.5, (Action.CONTINUE, Action.EXIT)),
        (0.5, (Action.EXIT,)),
        (0.5, (Action.CONTINUE, Action.CONTINUE, Action.EXIT, Action.VERIFY)),
        (0.0, (Action.CONTINUE, Action.EXIT)),
        (0.0, (Action.EXIT,)),
        (0.0, (Action.CONTINUE, Action.EXIT, Action.VERIFY)),
    ],
)
def test_a_replay_accounts_for_energy_as_the_decoder_does(weight: float, actions: tuple[Action, ...]) -> None:
    loaded = tiny_loaded()
    cost = default_cost_model(loaded.model.geometry, "cpu")
    setting = Setting(prices=prices_of(cost), check_layers=CHECK_LAYERS, mean_chars=1.0)
    kind = EpisodeKind(energy_weight=weight, may_stop=False, with_end_rules=False)
    n_drafts = 0
    for place, made in tiny_recordings():
        for seed in range(3):
            outcome = play(loaded, Decoder(loaded.model), place, RightExits(made, seed, actions), kind=kind, cost=cost)
            drive, replayed = (
                RightExits(made, seed, actions),
                Replay(made, setting, energy_weight=weight, may_stop=False, with_end_rules=False),
            )
            while not replayed.is_over:
                n_drafts += replayed.n_drafts
                replayed.act(drive.choose(replayed.row, replayed.check))

            assert replayed.energy == pytest.approx(outcome.energy, abs=1.5 * setting.prices.check)
            assert replayed.n_emitted == outcome.n_tokens
    assert n_drafts > 0
