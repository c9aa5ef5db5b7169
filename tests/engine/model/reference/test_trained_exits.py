from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.config import DEFAULT_MODEL, EngineConfig, data_dir
from engine.errors import ModelCorruptError, PolicyError
from engine.model.loading import load_model
from engine.model.reference.trained_exits import (
    TrainedExits,
    find_trained_exits,
    load_trained_exits,
    model_fingerprint,
    save_trained_exits,
)
from engine.model.stored_exits import UNTRAINED, TrainedExitsInfo
from engine.model.trained_exit_files import TRAINED_EXITS
from tests.tiny_models import early_exit_model, tiny_model

pytestmark = pytest.mark.usefixtures("own_data")

D = 32
INFO = TrainedExitsInfo(
    model="tiny",
    fingerprint="0123456789abcdef",
    exit_layers=(3,),
    corpus_sha256="c" * 64,
    train_tokens=1000,
    created="2026-01-31",
    agreement=(0.5,),
)


@pytest.fixture
def trained_exits() -> TrainedExits:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(D, D, generator=generator).half().float(), torch.randn(D, generator=generator)
    return TrainedExits(INFO, {3: (weight, bias.half().float())})


def test_trained_exits_come_back_as_they_were_saved(trained_exits: TrainedExits, tmp_path: Path) -> None:
    save_trained_exits(trained_exits, tmp_path / "new" / "trained_exits.safetensors")

    loaded = load_trained_exits(tmp_path / "new" / "trained_exits.safetensors", INFO.fingerprint)

    assert loaded.info == INFO
    torch.testing.assert_close(loaded.maps[3], trained_exits.maps[3], rtol=0, atol=0)


def test_trained_exits_of_other_weights_are_refused(trained_exits: TrainedExits, tmp_path: Path) -> None:
    save_trained_exits(trained_exits, tmp_path / "trained_exits.safetensors")

    with pytest.raises(PolicyError, match="trained for other weights"):
        load_trained_exits(tmp_path / "trained_exits.safetensors", "another")


def test_trained_exits_of_another_format_are_refused(trained_exits: TrainedExits, tmp_path: Path) -> None:
    save_trained_exits(
        TrainedExits(replace(INFO, format=99), trained_exits.maps), tmp_path / "trained_exits.safetensors"
    )

    with pytest.raises(PolicyError, match="another version"):
        load_trained_exits(tmp_path / "trained_exits.safetensors", INFO.fingerprint)


def test_a_damaged_file_is_told_in_one_sentence(trained_exits: TrainedExits, tmp_path: Path) -> None:
    path = tmp_path / "trained_exits.safetensors"
    save_trained_exits(trained_exits, path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ModelCorruptError, match="cannot be read"):
        load_trained_exits(path, INFO.fingerprint)


def test_the_head_reads_an_exit_through_its_map(trained_exits: TrainedExits) -> None:
    model = tiny_model("llama")
    with_map = early_exit_model(model, (3, 4), trained_exits)
    without = early_exit_model(model, (3, 4))
    state = torch.randn(1, 2, D, generator=torch.Generator().manual_seed(1))
    weight, bias = trained_exits.maps[3]

    torch.testing.assert_close(with_map.logits(state, 3), without.logits(state @ weight.T + bias, 3))


@pytest.mark.parametrize("layer", [4, 6])
def test_full_depth_and_exits_without_a_map_are_read_as_they_are(trained_exits: TrainedExits, layer: int) -> None:
    model = tiny_model("llama")
    state = torch.randn(1, 2, D, generator=torch.Generator().manual_seed(1))

    with_map = early_exit_model(model, (3, 4), trained_exits)
    without = early_exit_model(model, (3, 4))

    assert torch.equal(with_map.logits(state, layer), without.logits(state, layer))


def test_the_fingerprint_is_the_same_in_the_precision_of_a_gpu() -> None:
    assert model_fingerprint(tiny_model("llama")) == model_fingerprint(tiny_model("llama").to(torch.bfloat16))


def test_other_weights_have_another_fingerprint() -> None:
    assert model_fingerprint(tiny_model("llama", seed=0)) != model_fingerprint(tiny_model("llama", seed=1))


def test_a_model_that_nobody_trained_exits_for_has_none() -> None:
    assert find_trained_exits("org/model", INFO.fingerprint) is None


def test_exits_trained_on_this_machine_are_found_by_the_models_name(trained_exits: TrainedExits) -> None:
    save_trained_exits(trained_exits, TRAINED_EXITS.own_path("org/model"))

    found = find_trained_exits("org/model", INFO.fingerprint)

    assert found is not None
    assert found.info == INFO


def test_exits_of_an_earlier_release_are_found_until_new_ones_are_trained(trained_exits: TrainedExits) -> None:
    former = data_dir() / "exits" / "org--model" / "shortcuts.safetensors"
    save_trained_exits(trained_exits, former)

    assert TRAINED_EXITS.path("org/model") == former
    assert find_trained_exits("org/model", INFO.fingerprint) is not None
    with pytest.raises(PolicyError, match=r"shortcuts\.safetensors were trained for other weights"):
        find_trained_exits("org/model", "another")

    save_trained_exits(trained_exits, TRAINED_EXITS.own_path("org/model"))
    assert TRAINED_EXITS.path("org/model") == TRAINED_EXITS.own_path("org/model")


def test_the_shortlist_is_stored_and_part_of_what_the_exits_are(trained_exits: TrainedExits, tmp_path: Path) -> None:
    listed = TrainedExits(trained_exits.info, trained_exits.maps, shortlist=torch.tensor([2, 5, 70_000]))
    save_trained_exits(listed, tmp_path / "trained_exits.safetensors")

    loaded = load_trained_exits(tmp_path / "trained_exits.safetensors", INFO.fingerprint)

    assert loaded.shortlist is not None
    assert loaded.shortlist.tolist() == [2, 5, 70_000]
    assert loaded.fingerprint == listed.fingerprint != trained_exits.fingerprint


@pytest.mark.parametrize("name", ["org/model", "/home/someone/model", "../../model", ".."])
def test_a_name_never_leads_out_of_the_data_folder(name: str) -> None:
    assert TRAINED_EXITS.own_path(name).parent.parent == data_dir() / "exits"


def test_exits_trained_for_weights_that_have_changed_are_not_used_silently(trained_exits: TrainedExits) -> None:
    save_trained_exits(trained_exits, TRAINED_EXITS.own_path("org/model"))

    with pytest.raises(PolicyError, match="green-code train exits"):
        find_trained_exits("org/model", "another")


def test_shipped_exits_that_do_not_fit_are_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    assert find_trained_exits(DEFAULT_MODEL, "another") is None
    assert f"shipped for {DEFAULT_MODEL} is not used" in caplog.text


@pytest.mark.model
def test_the_default_model_loads_with_its_shipped_exits(default_model_path: Path) -> None:
    loaded = load_model(DEFAULT_MODEL, default_model_path, EngineConfig(device="cpu"))

    states = loaded.model.exit_state(loaded.model.embed([5, 6], 0), loaded.model.n_layers)
    raw = loaded.model.logits(states, loaded.model.n_layers)
    assert loaded.model.exits_fingerprint != UNTRAINED
    for layer in loaded.model.exit_layers:
        assert not np.array_equal(loaded.model.logits(states, layer), raw)  # each is read through a map of its own


@pytest.mark.model
def test_new_exits_can_be_trained_where_the_old_ones_no_longer_fit(
    default_model_path: Path, trained_exits: TrainedExits
) -> None:
    save_trained_exits(trained_exits, TRAINED_EXITS.own_path(DEFAULT_MODEL))
    config = EngineConfig(device="cpu")

    with pytest.raises(PolicyError, match="other weights"):
        load_model(DEFAULT_MODEL, default_model_path, config)
    untrained = load_model(DEFAULT_MODEL, default_model_path, config, with_trained_exits=False)
    assert untrained.model.exits_fingerprint == UNTRAINED
