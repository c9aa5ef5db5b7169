"""Tiny seeded models of every supported family: real transformers code, random weights, milliseconds."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers

from engine.model.early_exit import EarlyExitModel
from engine.model.families import FAMILIES
from engine.model.reference.eager import TorchRunner
from engine.model.reference.trained_exits import TrainedExits, model_fingerprint
from engine.model.stored_exits import UNTRAINED

_SHARED = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
# The initialiser's weights are so small that every token comes out alike; these factors make texts of many tokens.
_SPREAD = 10.0
_SPREAD_OF = {"opt": 2.0}


# Granite's multipliers, none of them one.
_MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.25,
    "logits_scaling": 4.0,
}


def _head_dim(changes: Mapping[str, Any]) -> int:
    """Another width of heads than the model's width gives."""
    return 32 if changes.get("hidden_size", 32) > 64 else 16


def _shared_width(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Where the MLP's width is that of experts shared by all tokens."""
    names = {"intermediate_size": "shared_intermediate_size"}
    return {names.get(name, name): value for name, value in changes.items()}


def tiny_model(family: str, seed: int = 0, **changes: object) -> transformers.PreTrainedModel:
    """A six-layer model of `family` whose exits disagree with its last layer often, but not always.

    What a family's configuration has beyond Llama's gets a value that changes the text: at 1 or None, which are often
    the defaults, a wrong adapter would pass.
    """
    torch.manual_seed(seed)
    grouped = {"intermediate_size": 48, "num_key_value_heads": 2}
    configs = {
        "llama": lambda: transformers.LlamaConfig(**_SHARED | grouped | changes),
        "qwen2": lambda: transformers.Qwen2Config(**_SHARED | grouped | changes),
        "qwen3": lambda: transformers.Qwen3Config(**_SHARED | grouped | {"head_dim": _head_dim(changes)} | changes),
        "granite": lambda: transformers.GraniteConfig(**_SHARED | grouped | _MULTIPLIERS | changes),
        "granitemoehybrid": lambda: transformers.GraniteMoeHybridConfig(
            **_SHARED
            | grouped
            | _MULTIPLIERS
            | {"shared_intermediate_size": 48, "num_local_experts": 0, "position_embedding_type": "rope"}
            | {"layer_types": ["full_attention"] * 6, "mamba_n_heads": 4}
            | _shared_width(changes)
        ),
        "starcoder2": lambda: transformers.Starcoder2Config(**_SHARED | grouped | changes),
        "gemma3_text": lambda: transformers.Gemma3TextConfig(
            **_SHARED | grouped | {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8} | changes
        ),
        "opt": lambda: transformers.OPTConfig(**_SHARED | {"ffn_dim": 48, "word_embed_proj_dim": 16} | changes),
    }
    assert set(configs) == set(FAMILIES), "each family of `engine.model.families` needs a tiny model here"
    model = transformers.AutoModelForCausalLM.from_config(configs[family](), dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed_positions" not in name:
                parameter.mul_(_SPREAD_OF.get(family, _SPREAD))
    return model.eval()


def early_exit_model(
    backbone: transformers.PreTrainedModel,
    exit_layers: Sequence[int] | None = None,
    trained_exits: TrainedExits | None = None,
) -> EarlyExitModel:
    """A transformers model on the reference runner."""
    return EarlyExitModel(
        TorchRunner(backbone, trained_exits),
        exit_layers,
        fingerprint=model_fingerprint(backbone),
        exits_fingerprint=UNTRAINED if trained_exits is None else trained_exits.fingerprint,
    )


def greedy(model: transformers.PreTrainedModel, prompt_ids: list[int], max_new_tokens: int) -> list[int]:
    """What transformers' own generate says."""
    output = model.generate(
        torch.tensor([prompt_ids]),
        attention_mask=torch.ones(1, len(prompt_ids), dtype=torch.long),
        max_new_tokens=max_new_tokens,
        do_sample=False,
    )
    return [int(token_id) for token_id in output[0, len(prompt_ids) :]]
