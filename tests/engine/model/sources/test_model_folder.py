"""Folders that are no model, or half of one, or of two: one sentence each, nothing loaded, nothing left behind."""

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from engine.config import EngineConfig
from engine.engine import load_engine
from engine.errors import EngineError, ModelCorruptError
from engine.model.families import FAMILIES
from engine.model.sources.model_folder import check_folder
from engine.types import CompletionRequest
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")

Change = Callable[[Path], object]


def write_model(folder: Path, family: str = "llama", **changes: object) -> Path:
    tiny_model(family, 0, **changes).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=LETTERS).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def says(**settings: object) -> Change:
    """config.json says something else."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return change


def without(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def no_tensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")


class Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return torch.os.system, ("touch ran",)  # type: ignore[attr-defined]


def pickled_code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"embed_tokens.weight": Runs()}))


def old_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))


def larger_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"] |= {f"word{number}": 95 + number for number in range(100)}
    path.write_text(json.dumps(tokenizer))


def only_gguf(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "tiny.gguf").write_bytes(b"GGUF")


BAD: dict[str, tuple[Change, str]] = {
    "no tokenizer": (without("tokenizer.json"), "lacks its tokenizer"),
    "no weights": (without("model.safetensors"), "lacks its weights"),
    "cut short": (cut_short, "lacks its last 100 bytes; fetch it again"),
    "nothing in it": (no_tensors, "lack 'embed_tokens.weight'"),
    "no weights at all": (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "is not a whole file"),
    "code in a pickle": (pickled_code, "would run 'posix.system' when it is read"),
    "old pickle": (old_pickle, "of a kind that cannot be checked"),
    "remote code": (says(auto_map={"AutoModelForCausalLM": "evil.Model"}), "brings code of its own"),
    "quantised": (says(quantization_config={"quant_method": "gptq"}), "is quantised already"),
    "another width": (says(hidden_size=64), "'embed_tokens.weight' in .* is 97 x 32, and 97 x 64 by config.json"),
    "another MLP": (says(intermediate_size=64), "'layers.0.mlp.gate_proj.weight' in .* is 48 x 32, and 64 x 32"),
    "another vocabulary": (says(vocab_size=98), "is 97 x 32, and 98 x 32"),
    "more layers": (says(num_hidden_layers=7), "lack 'layers.6.self_attn.q_proj.weight'"),
    "fewer layers": (says(num_hidden_layers=5), "are of 6 layers, and config.json says 5"),
    "a million layers": (says(num_hidden_layers=1_000_000), "1,000,000 layers, which no model has"),
    "less than nothing": (says(hidden_size=-32), "hidden_size = '-32', which is no size"),
    "text for a number": (says(num_attention_heads="four"), "num_attention_heads = 'four', which is no size"),
    "truth for a number": (says(vocab_size=True), "vocab_size = 'True', which is no size"),
    "a fraction": (says(intermediate_size=48.5), "intermediate_size = '48.5', which is no size"),
    "heads of no width": (says(num_attention_heads=5, num_key_value_heads=1, head_dim=None), "5 heads, which do not"),
    "heads of no keys": (says(num_key_value_heads=3), "4 heads for 3 of keys"),
    "no room": (says(max_position_embeddings=1), "room for 1 token"),
    "a GGUF file alone": (only_gguf, r"has no config.json; name its file .*tiny\.gguf itself"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("[" * 100_000), "does not describe a model"),
    "a larger tokenizer": (larger_tokenizer, r"has \d+ tokens, and the model knows 97"),
}


@pytest.mark.parametrize(("change", "told"), BAD.values(), ids=BAD)
def test_what_is_no_model_is_refused_in_a_sentence(folder: Path, change: Change, told: str, own_cache: Path) -> None:
    change(folder)

    with pytest.raises(EngineError) as refused:
        load_engine(EngineConfig(model=str(folder), device="cpu"))

    assert re.search(told, str(refused.value))
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    assert not (folder.parent / "ran").exists()
    assert [path for path in own_cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_folder_of_any_family_passes(tmp_path: Path, family: str) -> None:
    check_folder(write_model(tmp_path / family, family))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_of_any_family_with_another_mlp_is_refused(tmp_path: Path, family: str) -> None:
    folder = write_model(tmp_path / family, family)
    name = {"opt": "ffn_dim", "granitemoehybrid": "shared_intermediate_size"}.get(family, "intermediate_size")
    says(**{name: 64})(folder)

    with pytest.raises(ModelCorruptError, match="one of them is another model's"):
        check_folder(folder)


def test_pickled_tensors_are_read(folder: Path) -> None:
    torch.save(tiny_model("llama").state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    check_folder(folder)


def test_more_is_asked_for_than_the_model_has_positions(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "short", max_position_embeddings=20)
    engine = load_engine(EngineConfig(model=str(folder), device="cpu", precision="fp32"))

    completion = engine.complete(CompletionRequest(prefix="x = 1\n" * 100, max_new_tokens=48, green_mode=0))

    assert completion.prompt_tokens is not None
    assert completion.prompt_tokens + len(completion.tokens) <= 20
