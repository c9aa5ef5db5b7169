from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.config import DEFAULT_MODEL, EngineConfig, data_dir
from engine.errors import ModelCorruptError, PolicyError
from engine.model.early_exit import EarlyExitModel
from engine.model.loading import load_model
from engine.model.reference.trained_exits import (
    UNTRAINED,
    Shortcuts,
    ShortcutsInfo,
    find_shortcuts,
    load_shortcuts,
    model_fingerprint,
    save_shortcuts,
)
from engine.model.trained_exit_files import own_shortcuts_path
from tests.tiny_models import tiny_model

D = 32
INFO = ShortcutsInfo(
    model="tiny",
    fingerprint="0123456789abcdef",
    exit_layers=(3,),
    corpus_sha256="c" * 64,
    train_tokens=1000,
    created="2026-01-31",
    agreement=(0.5,),
)


@pytest.fixture
def shortcuts() -> Shortcuts:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(D, D, generator=generator).half().float(), torch.randn(D, generator=generator)
    return Shortcuts(INFO, {3: (weight, bias.half().float())})


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_shortcuts_come_back_as_they_were_saved(shortcuts: Shortcuts, tmp_path: Path) -> None:
    save_shortcuts(shortcuts, tmp_path / "new" / "shortcuts.safetensors")

    loaded = load_shortcuts(tmp_path / "new" / "shortcuts.safetensors", INFO.fingerprint)

    assert loaded.info == INFO
    torch.testing.assert_close(loaded.maps[3], shortcuts.maps[3], rtol=0, atol=0)


def test_shortcuts_of_other_weights_are_refused(shortcuts: Shortcuts, tmp_path: Path) -> None:
    save_shortcuts(shortcuts, tmp_path / "shortcuts.safetensors")

    with pytest.raises(PolicyError, match="trained for other weights"):
        load_shortcuts(tmp_path / "shortcuts.safetensors", "another")


def test_shortcuts_of_another_format_are_refused(shortcuts: Shortcuts, tmp_path: Path) -> None:
    save_shortcuts(Shortcuts(replace(INFO, format=99), shortcuts.maps), tmp_path / "shortcuts.safetensors")

    with pytest.raises(PolicyError, match="another version"):
        load_shortcuts(tmp_path / "shortcuts.safetensors", INFO.fingerprint)


def test_a_damaged_file_is_told_in_one_sentence(shortcuts: Shortcuts, tmp_path: Path) -> None:
    path = tmp_path / "shortcuts.safetensors"
    save_shortcuts(shortcuts, path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ModelCorruptError, match="cannot be read"):
        load_shortcuts(path, INFO.fingerprint)


def test_the_head_reads_an_exit_through_its_shortcut(shortcuts: Shortcuts) -> None:
    model = tiny_model("llama")
    with_map = EarlyExitModel.from_transformers(model, (3, 4), shortcuts)
    without = EarlyExitModel.from_transformers(model, (3, 4))
    state = torch.randn(1, 2, D, generator=torch.Generator().manual_seed(1))
    weight, bias = shortcuts.maps[3]

    torch.testing.assert_close(with_map.logits(state, 3), without.logits(state @ weight.T + bias, 3))


@pytest.mark.parametrize("layer", [4, 6])
def test_full_depth_and_exits_without_a_shortcut_are_read_as_they_are(shortcuts: Shortcuts, layer: int) -> None:
    model = tiny_model("llama")
    state = torch.randn(1, 2, D, generator=torch.Generator().manual_seed(1))

    with_map = EarlyExitModel.from_transformers(model, (3, 4), shortcuts)
    without = EarlyExitModel.from_transformers(model, (3, 4))

    assert torch.equal(with_map.logits(state, layer), without.logits(state, layer))


def test_the_fingerprint_is_the_same_in_the_precision_of_a_gpu() -> None:
    assert model_fingerprint(tiny_model("llama")) == model_fingerprint(tiny_model("llama").to(torch.bfloat16))


def test_other_weights_have_another_fingerprint() -> None:
    assert model_fingerprint(tiny_model("llama", seed=0)) != model_fingerprint(tiny_model("llama", seed=1))


def test_a_model_that_nobody_trained_exits_for_has_none() -> None:
    assert find_shortcuts("org/model", INFO.fingerprint) is None


def test_exits_trained_on_this_machine_are_found_by_the_models_name(shortcuts: Shortcuts) -> None:
    save_shortcuts(shortcuts, own_shortcuts_path("org/model"))

    found = find_shortcuts("org/model", INFO.fingerprint)

    assert found is not None
    assert found.info == INFO


def test_the_shortlist_is_stored_and_part_of_what_the_exits_are(shortcuts: Shortcuts, tmp_path: Path) -> None:
    listed = Shortcuts(shortcuts.info, shortcuts.maps, shortlist=torch.tensor([2, 5, 70_000]))
    save_shortcuts(listed, tmp_path / "shortcuts.safetensors")

    loaded = load_shortcuts(tmp_path / "shortcuts.safetensors", INFO.fingerprint)

    assert loaded.shortlist is not None
    assert loaded.shortlist.tolist() == [2, 5, 70_000]
    assert loaded.fingerprint == listed.fingerprint != shortcuts.fingerprint


@pytest.mark.parametrize("name", ["org/model", "/home/someone/model", "../../model", ".."])
def test_a_name_never_leads_out_of_the_data_folder(name: str) -> None:
    assert own_shortcuts_path(name).parent.parent == data_dir() / "exits"


def test_exits_trained_for_weights_that_have_changed_are_not_used_silently(shortcuts: Shortcuts) -> None:
    save_shortcuts(shortcuts, own_shortcuts_path("org/model"))

    with pytest.raises(PolicyError, match="green-code train exits"):
        find_shortcuts("org/model", "another")


def test_shipped_exits_that_do_not_fit_are_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    assert find_shortcuts(DEFAULT_MODEL, "another") is None
    assert "do not fit" in caplog.text


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
    default_model_path: Path, shortcuts: Shortcuts
) -> None:
    save_shortcuts(shortcuts, own_shortcuts_path(DEFAULT_MODEL))
    config = EngineConfig(device="cpu")

    with pytest.raises(PolicyError, match="other weights"):
        load_model(DEFAULT_MODEL, default_model_path, config)
    untrained = load_model(DEFAULT_MODEL, default_model_path, config, with_shortcuts=False)
    assert untrained.model.exits_fingerprint == UNTRAINED
