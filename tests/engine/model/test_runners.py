"""ONNX Runtime against the reference, at exact precision and rounded, over every way the decoder drives it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.errors import UnsupportedModelError
from engine.model.early_exit import EarlyExitModel
from engine.model.families import FAMILIES
from engine.model.prepared.layout import find_prepared, prepared_name
from engine.model.reference.eager import backbone_of
from engine.model.sources import model_cache
from engine.policy.base import Action, OperatingPoint
from engine.policy.baselines import FullDepth
from engine.types import NeverCancelled, Phase, Precision
from tests.engine.decoding.fakes import RandomPolicy
from tests.engine.model.fast_models import IDS, logits, prepare_as, prepared, ragged, small_model, with_exits
from tests.tiny_models import early_exit_model, tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")


ON_ONNX = [family.name for family in FAMILIES.values() if "onnx" in family.runtimes]


@pytest.fixture(params=ON_ONNX)
def reference(request: pytest.FixtureRequest) -> EarlyExitModel:
    return small_model(request.param)


@pytest.mark.parametrize("propagated", [False, True])
def test_it_computes_what_the_reference_computes(reference: EarlyExitModel, *, propagated: bool) -> None:
    fast = prepared(reference, "fp32")

    for ours, theirs in zip(ragged(fast, propagated=propagated), ragged(reference, propagated=propagated), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


ROTATIONS: list[tuple[str, dict[str, Any]]] = [
    ("llama", {"rope_type": "linear", "factor": 4.0}),  # as DeepSeek-Coder's
    (
        "llama",  # Llama 3.2's
        {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        | {"original_max_position_embeddings": 32},
    ),
    ("qwen2", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}),
]


@pytest.mark.parametrize(("family", "rotation"), ROTATIONS)
def test_scaled_positions_are_those_of_the_reference(family: str, rotation: dict[str, Any]) -> None:
    scaled = small_model(family, rope_parameters={"rope_theta": 10_000.0, **rotation})
    fast = prepared(scaled, "fp32")

    assert not torch.allclose(logits(scaled, 0, 40, scaled.new_cache()), plain_logits(family), atol=1e-2)
    for ours, theirs in zip(ragged(fast, propagated=True), ragged(scaled, propagated=True), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def plain_logits(family: str) -> torch.Tensor:
    plain = small_model(family)
    return logits(plain, 0, 40, plain.new_cache())


def test_positions_that_are_scaled_by_the_texts_length_fit_no_table() -> None:
    model = small_model("llama", rope_parameters={"rope_theta": 10_000.0, "rope_type": "dynamic", "factor": 2.0})

    with pytest.raises(UnsupportedModelError, match=r"because its positions are rotated by the text's length"):
        prepare_as("tiny-int8-1", model, "int8", native=False)


def test_a_model_that_knows_no_positions_is_not_rotated() -> None:
    reference = small_model("granitemoehybrid", position_embedding_type=None)
    fast = prepared(reference, "fp32")

    for ours, theirs in zip(ragged(fast, propagated=True), ragged(reference, propagated=True), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_lossless_text_is_full_depths_in_the_same_runner_whatever_the_exits(
    reference: EarlyExitModel, precision: Precision
) -> None:
    fast = prepared(reference, precision)
    point = OperatingPoint(energy_weight=0.0, lossless=True)
    texts, decoders = [], []
    for policy in (FullDepth(), RandomPolicy(1, (Action.CONTINUE, Action.EXIT, Action.VERIFY))):
        decoders.append(Decoder(fast))
        tokens = decoders[-1].generate(
            IDS[:12],
            policy=policy,
            point=point,
            stop=StopCondition(max_new_tokens=24),
            cancellation=NeverCancelled(),
        )
        texts.append([token.token_id for token in tokens])

    assert decoders[1].work.by_phase()[Phase.VERIFICATION].layer_tokens > 0
    assert texts[1] == texts[0]


def test_a_cache_grows_past_its_first_room_without_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.model.prepared.prepared_runner.CAPACITY_STEP", 8)
    reference = small_model("llama")
    fast = prepared(reference, "fp32")
    ours, theirs = fast.new_cache(), reference.new_cache()

    for start in range(0, 36, 6):
        torch.testing.assert_close(
            logits(fast, start, start + 6, ours), logits(reference, start, start + 6, theirs), rtol=1e-3, atol=1e-3
        )


def test_a_row_is_the_same_to_the_last_bit_whatever_runs_beside_it(reference: EarlyExitModel) -> None:
    fast = prepared(reference, "int8")
    alone, together, split = fast.new_cache(), fast.new_cache(), fast.new_cache()
    for cache in (alone, together, split):
        logits(fast, 0, 20, cache)

    singles = torch.cat([logits(fast, place, place + 1, alone) for place in range(20, 30)], dim=1)

    assert torch.equal(logits(fast, 20, 30, together), singles)
    assert torch.equal(torch.cat([logits(fast, 20, 23, split), logits(fast, 23, 30, split)], dim=1), singles)


def test_two_texts_do_not_share_a_cache(reference: EarlyExitModel) -> None:
    fast = prepared(reference, "int8")
    first, second = fast.new_cache(), fast.new_cache()
    logits(fast, 0, 8, first)
    logits(fast, 20, 30, second)

    alone = fast.new_cache()
    logits(fast, 0, 8, alone)

    torch.testing.assert_close(logits(fast, 8, 9, first), logits(fast, 8, 9, alone), rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_rounded_weights_stay_near(reference: EarlyExitModel, precision: Precision) -> None:
    fast = prepared(reference, precision)
    expected = logits(reference, 0, 40, reference.new_cache())

    actual = logits(fast, 0, 40, fast.new_cache())

    error = (actual - expected).abs().median() / expected.abs().median()
    assert 0 < error < 0.1  # rounded, and not by much


@pytest.mark.parametrize("tied", [False, True])
def test_a_listing_has_the_logits_of_the_whole_head_for_the_shortlist_and_the_text(*, tied: bool) -> None:
    shortlist, text, ids = [3, 8, 60], [8, 41, 2, 41], [3, 8, 60, 2, 41]
    reference = small_model("qwen2")
    if tied:
        backbone = backbone_of(reference.runner)
        backbone.lm_head.weight = backbone.model.embed_tokens.weight
    listed = with_exits(reference, shortlist=torch.tensor(shortlist))

    for model in (listed, prepared(listed, "fp32")):
        state = model.exit_state(model.embed(IDS, 0), 2)
        listing = model.listing(text)
        assert listing is not None
        exact, near = model.logits(state, 2), model.logits(state, 2, listing)

        assert listing.ids.tolist() == ids
        np.testing.assert_allclose(near, exact[..., ids], rtol=1e-3, atol=1e-3)
        assert model.choices(near, listing.ids) == [ids[best] for best in exact[0][:, ids].argmax(-1).tolist()]
        assert model.shortlist_share == 3 / 97


def test_a_text_of_listed_tokens_adds_none() -> None:
    listed = with_exits(small_model("llama"), shortlist=torch.tensor([3, 8, 60]))

    for model in (listed, prepared(listed, "fp32")):
        listing = model.listing([60, 3])
        assert listing is not None
        assert listing.ids.tolist() == [3, 8, 60]
        assert model.logits(model.exit_state(model.embed(IDS, 0), 6), 6, listing).shape == (1, len(IDS), 3)


def test_the_head_reads_an_exit_through_its_map_and_full_depth_as_it_is() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(64, 64, generator=generator) / 8, torch.randn(64, generator=generator)
    mapped = with_exits(small_model("llama"), maps={2: (weight, bias)})
    fast = prepared(mapped, "fp32")
    state = fast.exit_state(fast.embed(IDS, 0), 2)

    assert np.array_equal(fast.logits(state, 4), fast.logits(state, 6))  # no map there
    at_exit, by_hand = fast.logits(state, 2), fast.logits(state @ weight.numpy().T + bias.numpy(), 6)
    np.testing.assert_allclose(at_exit, by_hand, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(at_exit, mapped.logits(torch.from_numpy(state), 2), rtol=1e-3, atol=1e-3)


def test_probabilities_are_those_of_the_choices() -> None:
    reference = small_model("llama")
    for model in (reference, prepared(reference, "fp32")):
        logits = model.logits(model.exit_state(model.embed(IDS, 0), 6), 6)

        expected = torch.from_numpy(model.to_numpy(logits))[0].softmax(-1).amax(-1)
        torch.testing.assert_close(torch.tensor(model.probabilities(logits)), expected)


def test_a_prepared_model_is_named_by_what_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"one")
    names = [prepared_name("org/tiny", tmp_path, None, None, precision, native=False) for precision in ("int8", "fp32")]
    names.append(prepared_name("org/tiny", tmp_path, None, (2,), "int8", native=False))
    (tmp_path / "model.safetensors").write_bytes(b"other")
    names.append(prepared_name("org/tiny", tmp_path, None, None, "int8", native=False))

    assert len(set(names)) == 4
    assert all(name.startswith("org--tiny-") for name in names)


def test_equal_exits_name_a_prepared_model_alike_wherever_they_lie(tmp_path: Path) -> None:
    exits = [tmp_path / name / "trained_exits.safetensors" for name in ("one", "another", "other")]
    for path, content in zip(exits, (b"the same", b"the same", b"the others"), strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    os.utime(exits[1], (1, 1))

    one, another, other = (prepared_name("tiny", tmp_path, path, None, "int8", native=False) for path in exits)

    assert one == another
    assert one != other


def test_a_newly_prepared_model_takes_the_place_of_an_outdated_one(reference: EarlyExitModel) -> None:
    for name in ("tiny-int8-1", "tiny-int8-2"):
        prepare_as(name, reference, "int8", native=False)

    assert model_cache.names(kind="prepared") == ["tiny-int8-2"]


def test_a_damaged_prepared_model_counts_as_missing(reference: EarlyExitModel) -> None:
    prepare_as("tiny-int8-1", reference, "int8", native=False)
    (model_cache.folder_of("tiny-int8-1", kind="prepared") / "head.weights").write_bytes(b"")

    assert find_prepared("tiny-int8-1") is None


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {*ON_ONNX}))
def test_other_blocks_are_refused_in_the_users_words(family: str) -> None:
    model = early_exit_model(tiny_model(family))

    with pytest.raises(UnsupportedModelError, match=r"cannot run in int8, because .*choose the precision 'fp32'"):
        prepare_as("tiny-int8-1", model, "int8", native=False)
