import pytest
import torch
from torch.nn import functional

from engine.training.distillation import distil
from engine.training.states import BlockStates, block_states
from tests.engine.training.fakes import LetterTokenization, code, tiny_loaded


@pytest.fixture(scope="module")
def states() -> list[BlockStates]:
    model = tiny_loaded().model
    return [block_states(model, LetterTokenization().encode(code(f"name{n}"))[:500]) for n in range(6)]


def divergence(states: list[BlockStates], affine: tuple[torch.Tensor, torch.Tensor]) -> float:
    """KL from the last layer to the exit, over the whole vocabulary."""
    model = tiny_loaded().model
    with torch.inference_mode():
        last = torch.cat([block.last for block in states])
        mapped = functional.linear(torch.cat([block.exits[0] for block in states]), *affine)
        target, choice = (model.logits(s.unsqueeze(0), 6)[0].log_softmax(-1) for s in (last, mapped))
        return float(functional.kl_div(choice, target, log_target=True, reduction="batchmean"))


def test_a_distilled_exit_is_closer_to_the_last_layers_choice_of_words(states: list[BlockStates]) -> None:
    identity = (torch.eye(32), torch.zeros(32))

    distilled = distil(tiny_loaded().model, states, {3: identity}, epochs=20)

    assert divergence(states, distilled[3]) < 0.9 * divergence(states, identity)


def test_no_epoch_changes_nothing(states: list[BlockStates]) -> None:
    identity = (torch.eye(32), torch.zeros(32))

    distilled = distil(tiny_loaded().model, states, {3: identity}, epochs=0)

    assert torch.equal(distilled[3][0], identity[0])


def test_the_maps_that_were_given_are_left_alone(states: list[BlockStates]) -> None:
    weight = torch.eye(32)

    distil(tiny_loaded().model, states, {3: (weight, torch.zeros(32))}, epochs=1)

    assert torch.equal(weight, torch.eye(32))
