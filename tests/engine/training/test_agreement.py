import pytest
import torch

from engine.model.reference.trained_exits import TrainedExits
from engine.model.stored_exits import TrainedExitsInfo
from engine.training.agreement import judge, quality_table
from engine.training.states import Block
from tests.engine.training.fakes import LetterTokenization, code, tiny_loaded


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    return [Block(package=name, token_ids=LetterTokenization().encode(code(name))[:200]) for name in ("a", "b", "c")]


def test_the_last_layer_agrees_with_itself(blocks: list[Block]) -> None:
    ((*_, last),) = judge(tiny_loaded().model, blocks, [None])

    assert last.exit_layer == 6
    assert (last.agreement.value, last.agreement.low, last.agreement.high) == (1.0, 1.0, 1.0)


def test_agreement_is_that_of_choosing_token_by_token(blocks: list[Block]) -> None:
    model = tiny_loaded().model
    ids = blocks[0].token_ids
    with torch.inference_mode():
        middle = model.run_layers(model.embed(ids, 0), 0, 3, cache := model.new_cache())
        deep = model.run_layers(middle, 3, 6, cache)
        early, late = (model.logits(model.exit_state(h, 6), 6)[0, 1:-1].argmax(-1) for h in (middle, deep))

    ((quality, _),) = judge(model, blocks[:1], [None])

    assert quality.agreement.value == pytest.approx(float((early == late).double().mean()))
    assert 0 < quality.agreement.value < 1


def test_a_map_that_changes_nothing_changes_no_figure(blocks: list[Block]) -> None:
    info = TrainedExitsInfo(
        model="", fingerprint="", exit_layers=(3,), corpus_sha256="", train_tokens=1, created="", agreement=()
    )
    identity = TrainedExits(info, {3: (torch.eye(32), torch.zeros(32))})

    before, after = judge(tiny_loaded().model, blocks, [None, identity])

    assert before == after


def test_the_interval_holds_the_mean(blocks: list[Block]) -> None:
    ((quality, _),) = judge(tiny_loaded().model, blocks, [None])

    assert quality.agreement.low <= quality.agreement.value <= quality.agreement.high


def test_the_table_has_a_row_for_every_layer_judged(blocks: list[Block]) -> None:
    (qualities,) = judge(tiny_loaded().model, blocks, [None])

    assert [row.split("|")[1].strip() for row in quality_table(qualities, qualities).splitlines()[2:]] == ["3", "6"]
