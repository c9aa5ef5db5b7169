import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import torch

from engine.energy.cost_model import default_cost_model
from engine.model.loaded import LoadedModel
from engine.model.reference.eager import backbone_of
from engine.model.reference.trained_exits import TrainedExits
from engine.model.stored_exits import TrainedExitsInfo
from engine.policy.base import Action, ExitCandidate, OperatingPoint
from engine.text import TextDecoder
from engine.training.policy.closed_loop import play
from engine.training.policy.env import EpisodeKind
from engine.training.policy.recordings import Recording, TrainingPlace, record_one
from engine.training.policy.rewards import Prices, prices_of
from engine.training.policy.rollout import EnvParams, Rollout
from engine.types import ProjectDocument
from tests.engine.training.policy.fakes import CHECK_LAYERS, tiny_loaded
from tests.tiny_models import early_exit_model

# So that every unit counts, and none for as much as another.
PRICES = Prices(layer=0.1, row=0.01, head=0.4, head_row=0.003, check=0.0007, n_layers=6)
PARAMS = EnvParams(prices=PRICES, check_layers=CHECK_LAYERS, mean_chars=4.0)


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
        "doubted": n_states,
        "on_track": [True] * n_states,
        "chances": [1.0] * len(ids),
        "guess_chances": [0.0] * len(ids),
        "guesses_right": [False] * len(ids),
        "guesses_kept": [0] * len(ids),
        "n_drafts": [0] * n_states,
        "n_right_drafts": [0] * n_states,
        "chars": 4 * len(ids),
    }
    return Recording(**fields | changes)  # type: ignore[arg-type]  # the fields of a recording


def rollout(made: Recording, *, weight: float = 0.5, may_stop: bool = True) -> Rollout:
    return Rollout(made, PARAMS, energy_weight=weight, may_stop=may_stop, with_end_rules=True)


class RightExits:
    """Drives decoder and rollout alike: draws decisions, but exits only where that says what is recorded.

    Attributes:
        n_confirmed: Drafts that its exits confirmed.
    """

    name = "right-exits"

    def __init__(self, made: Recording, seed: int, actions: tuple[Action, ...]) -> None:
        self._made, self._random, self._actions = made, random.Random(seed), actions
        self.n_confirmed = 0

    def choose(self, row: int, check: int) -> Action:
        action = self._random.choice(self._actions)
        n_drafts = self._made.n_right_drafts[row + 1]
        right = self._made.ids[row + 1 : row + 2 + n_drafts]
        is_right = self._made.choices[row : row + 1 + n_drafts, check].tolist() == right
        if action is Action.EXIT and is_right:
            self.n_confirmed += n_drafts
        return Action.CONTINUE if action is Action.EXIT and not is_right else action

    def decide(self, candidate: ExitCandidate) -> Action:
        if candidate.exit_layer not in CHECK_LAYERS:
            return Action.CONTINUE
        candidate.hidden()
        return self.choose(candidate.n_emitted - 1, CHECK_LAYERS.index(candidate.exit_layer))


def tiny_recordings(*, with_project: bool) -> Iterator[tuple[TrainingPlace, Recording, str]]:
    """Two places, and their project, which says what the model alone would, of some tokens surely."""
    loaded = tiny_loaded()
    for seed in range(2):
        text = "".join(random.Random(seed).choice("abc(d):\n ") for _ in range(150))
        place, project = TrainingPlace(prefix="if x:\n" + text + "y", truth="ab"), ""
        made = record_one(TextDecoder(loaded), place, CHECK_LAYERS)
        assert made is not None
        if with_project:
            said = text[-20:] + "y" + "".join(map(chr, made.ids))
            place, project = replace(place, project=ProjectDocument(project="p")), said[:29] + "\n" + said[20:]
            made = record_one(text_decoder(loaded, project), place, CHECK_LAYERS)
            assert made is not None
        yield place, made, project


def text_decoder(loaded: LoadedModel, project: str) -> TextDecoder:
    texts = TextDecoder(loaded)
    texts.projects.text("p").replace("other", project)
    return texts


# At which energy weights which actions are drawn.
DRAWN = [
    (0.5, (Action.CONTINUE, Action.EXIT)),
    (0.5, (Action.EXIT,)),
    (0.5, (Action.CONTINUE, Action.CONTINUE, Action.EXIT, Action.VERIFY)),
    (0.5, (*[Action.EXIT] * 9, Action.STOP)),
    (0.0, (Action.CONTINUE, Action.EXIT)),
    (0.0, (Action.EXIT,)),
    (0.0, (Action.CONTINUE, Action.EXIT, Action.VERIFY)),
]


def test_every_action_is_accounted_for() -> None:
    assert {action for _, actions in DRAWN for action in actions} == set(Action)


@pytest.mark.parametrize(("weight", "actions"), DRAWN)
@pytest.mark.parametrize("with_shortlist", [False, True])
@pytest.mark.parametrize("with_project", [False, True])
def test_a_replay_accounts_for_energy_as_the_decoder_does(
    weight: float, actions: tuple[Action, ...], *, with_shortlist: bool, with_project: bool
) -> None:
    recorded = list(tiny_recordings(with_project=with_project))
    loaded = with_words_of(made for _, made, _ in recorded) if with_shortlist else tiny_loaded()
    cost = default_cost_model(loaded.model.geometry, "cpu")
    assert (loaded.model.shortlist_share < 1) == with_shortlist
    params = EnvParams(
        prices=prices_of(cost, loaded.model.shortlist_share),
        check_layers=CHECK_LAYERS,
        mean_chars=1.0,
        zero_chance=0.9,
        text_chance=0.0,
    )
    point = OperatingPoint(energy_weight=weight, lossless=weight == 0.0, zero_chance=0.9, whole_head=weight == 0.0)
    may_stop = Action.STOP in actions
    kind = EpisodeKind(energy_weight=weight, may_stop=may_stop, with_end_rules=False)
    n_confirmed = n_drafts = n_stopped = n_at_zero = 0
    for place, made, project in recorded:
        for seed in range(3):
            texts = text_decoder(loaded, project)
            outcome = play(texts, place, RightExits(made, seed, actions), kind=kind, cost=cost, point=point)
            drive, replayed = (
                RightExits(made, seed, actions),
                Rollout(made, params, energy_weight=weight, may_stop=may_stop, with_end_rules=False),
            )
            while not replayed.is_over:
                n_drafts += replayed.n_drafts
                replayed.act(drive.choose(replayed.row, replayed.check))

            assert replayed.energy == pytest.approx(outcome.energy)
            assert replayed.n_emitted == outcome.n_tokens
            assert replayed.stopped == outcome.stopped
            n_confirmed += drive.n_confirmed
            n_stopped += outcome.stopped
            n_at_zero += outcome.exit_layers.count(0)
    assert (n_at_zero > 0) == (with_project and weight > 0.0)
    assert n_drafts > 0
    assert (n_stopped > 0) == may_stop
    assert n_confirmed > 0 or {Action.VERIFY, Action.STOP} & {*actions}  # which leave few exits with drafts


def with_words_of(recorded: Iterable[Recording]) -> LoadedModel:
    """The tiny model with a shortlist of what it read and said: its text stays the same, and costs less."""
    loaded = tiny_loaded()
    said = sorted({token_id for made in recorded for token_id in (*made.prompt_ids, *made.ids)})
    info = TrainedExitsInfo(
        model="tiny",
        fingerprint=loaded.model.fingerprint,
        exit_layers=(),
        corpus_sha256="",
        train_tokens=1,
        created="2026-01-31",
        agreement=(),
    )
    trained_exits = TrainedExits(info, {}, shortlist=torch.tensor(said))
    model = early_exit_model(backbone_of(loaded.model.runner), loaded.model.exit_layers, trained_exits)
    return replace(loaded, model=model)


def test_an_exit_evaluates_its_head_once_for_all_drafts_and_emits_those_it_confirms() -> None:
    made = recording([[False, True, True, True]] * 6, n_drafts=[0, 4] + [0] * 6, n_right_drafts=[0, 2] + [0] * 6)
    played = rollout(made)
    played.act(Action.CONTINUE)
    before = played.energy

    played.act(Action.EXIT)

    assert played.n_emitted == 1 + 2 + 1
    head = PRICES.head + 4 * PRICES.head_row
    next_pass = CHECK_LAYERS[0] * PRICES.layer + PRICES.check
    assert played.energy - before == pytest.approx(head + next_pass)
    assert played.n_waiting == 3


def test_an_exit_that_loses_a_right_draft_loses_the_text() -> None:
    rows = [[True] * 4] * 2 + [[False] * 4] * 4
    played = rollout(recording(rows, n_drafts=[0, 3] + [0] * 6, n_right_drafts=[0, 3] + [0] * 6))

    played.act(Action.EXIT)

    assert played.is_over
    assert played.kept_chars == 4 * 3
