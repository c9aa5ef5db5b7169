"""Writes a tiny seeded Llama as a real GGUF file: byte-level vocabulary, weights laid out as llama.cpp wants them."""

from pathlib import Path

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedModel

from engine.model.reference.gguf import convert_gguf
from engine.model.sources.llama_gguf import llama_gguf
from tests.tiny_models import tiny_model

_BYTES = sorted(ByteLevel.alphabet())
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_PAIRS = ["de", "in", "12"]  # "12" must never be used where digits are split
TOKENS = [*_SPECIAL, *_BYTES, *_PAIRS]
_LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def tiny_llama(hidden_size: int = 32) -> PreTrainedModel:
    """The model that `write_tiny_gguf` writes; widths are multiples of a quantisation block."""
    return tiny_model(
        "llama", vocab_size=len(TOKENS), num_hidden_layers=2, intermediate_size=64, hidden_size=hidden_size
    )


def write_tiny_gguf(
    path: Path,
    *,
    pre_tokenizer: str = "smollm",
    architecture: str = "llama",
    quantisation: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    infilling: bool = False,
    hidden_size: int = 32,
) -> None:
    """Writes `tiny_llama()` to `path`; matrices are quantised, norms stay float32.

    Args:
        path: The file.
        pre_tokenizer: How it splits words.
        architecture: Its family.
        quantisation: Of the matrices.
        infilling: Whether three of its tokens, which no text has, stand for what is around a cursor.
        hidden_size: Its width; its heads are a quarter as wide.
    """
    model = tiny_llama(hidden_size)
    writer = gguf.GGUFWriter(path, architecture)
    _add_sizes(writer, model)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.CONTROL] * len(_SPECIAL) + [gguf.TokenType.NORMAL] * (256 + len(_PAIRS)))
    writer.add_token_merges([" ".join(pair) for pair in _PAIRS])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)  # noqa: FBT003  # gguf's own signature
    for n, part in enumerate(("pre", "suf", "mid") if infilling else ()):
        writer.add_uint32(f"tokenizer.ggml.fim_{part}_token_id", len(_SPECIAL) + len(_BYTES) - 1 - n)
    for name, weights in _tensors(model).items():
        kind = quantisation if weights.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_sizes(writer: gguf.GGUFWriter, model: PreTrainedModel) -> None:
    config = model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _tensors(model: PreTrainedModel) -> dict[str, np.ndarray]:
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    tensors = {
        "token_embd.weight": weights["model.embed_tokens.weight"],
        "output_norm.weight": weights["model.norm.weight"],
        "output.weight": weights["lm_head.weight"],
    }
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    for layer in range(model.config.num_hidden_layers):
        for ours, theirs in _LAYER_TENSORS.items():
            tensor = weights[f"model.layers.{layer}.{theirs}.weight"]
            tensors[f"blk.{layer}.{ours}.weight"] = _interleaved(tensor, heads[ours]) if ours in heads else tensor
    return tensors


def _interleaved(weights: np.ndarray, n_heads: int) -> np.ndarray:
    """From RoPE over two halves to RoPE over neighbours, as llama.cpp's converter does for Llama."""
    rows, width = weights.shape
    halves = weights.reshape(n_heads, 2, rows // n_heads // 2, width)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, width))


def store_both_ways(folder: Path) -> None:
    """Stores a tiny model in `folder`: in "torch" as transformers converts it, in "numpy" as we keep it."""
    write_tiny_gguf(folder / "tiny.gguf")
    convert_gguf(folder / "tiny.gguf", folder / "torch")
    plain = llama_gguf(folder / "tiny.gguf")
    assert plain is not None
    plain.store(folder / "numpy")
