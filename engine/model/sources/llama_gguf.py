"""A GGUF file of a plain Llama: its weights as transformers has them, and the configuration and tokenizer it holds.

Plain is what the default model is: Llama's blocks, positions rotated alike however long the text, and SmolLM's
tokenizer. The file is kept as it is, a sixth of its weights in fp32. Knows nothing of where files come from or go.
GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from engine.sentences import Sentence
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GGUF_FILE = "model.gguf"
_OTHER_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")

_STEPS = 2
_NORMAL, _CONTROL = 1, 3  # types of tokens
_CONTROL_NAMES = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
_SIZES = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "rope.dimension_count",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
_ENDS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_LAYER = {
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


@dataclass(frozen=True, slots=True)
class LlamaGguf:
    """A GGUF file that `llama_gguf` has looked at.

    Attributes:
        path: Where it lies.
        fields: What it says of the model and its tokenizer.
        tensors: Its weights as they are stored, by the names of transformers.
    """

    path: Path
    fields: dict[str, Any]
    tensors: dict[str, gguf.ReaderTensor]

    def store(self, folder: Path, *, progress: ProgressSink = no_progress) -> None:
        """Copies the file into `folder`, beside the configuration and the tokenizer as transformers writes them.

        Args:
            folder: Where to write; created when missing.
            progress: Is called for each of the two steps.

        Raises:
            OSError: If `folder` cannot be written, such as on a full disk.
        """
        folder.mkdir(parents=True, exist_ok=True)
        progress(Sentence("Converting the tokenizer"), 0, _STEPS)
        _tokenizer(self.fields).save(str(folder / "tokenizer.json"))
        for name, settings in self._settings().items():
            (folder / name).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        if template := self.fields.get("tokenizer.chat_template"):
            (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        progress(Sentence("Copying the weights"), 1, _STEPS)
        shutil.copyfile(self.path, folder / GGUF_FILE)
        progress(Sentence("Model converted"), _STEPS, _STEPS)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight, by its name in transformers."""
        return tuple(int(size) for size in reversed(self.tensors[name].shape))

    def read(self, name: str, rows: slice = slice(None)) -> NDArray[np.float32]:
        """A weight in fp32 by its name in transformers, or some of its rows, in transformers' order."""
        tensor = self.tensors[name]
        heads = {"q_proj": "attention.head_count", "k_proj": "attention.head_count_kv"}
        stored: slice | NDArray[np.int64] = rows
        if (module := name.split(".")[-2]) in heads:
            stored = _halves(self.shape(name)[0], int(self.fields[f"llama.{heads[module]}"]))[rows]
        values: NDArray[np.float32] = gguf.dequantize(np.ascontiguousarray(tensor.data[stored]), tensor.tensor_type)
        return values.astype(np.float32, copy=False)

    def _settings(self) -> dict[str, dict[str, Any]]:
        """The files of settings, as transformers writes them."""
        ids = {
            short: int(self.fields[key])
            for long, short in _CONTROL_NAMES.items()
            if (key := f"tokenizer.ggml.{long}_token_id") in self.fields
        }
        controls = {f"{name}_token_id": idx for name, idx in ids.items()}
        tokens = self.fields["tokenizer.ggml.tokens"]
        config = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": "float32",
            **{name: self.fields[f"llama.{key}"] for name, key in _SIZES.items()},
            "vocab_size": len(tokens),
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "rope_parameters": {"rope_theta": self.fields["llama.rope.freq_base"], "rope_type": "default"},
            "tie_word_embeddings": "lm_head.weight" not in self.tensors,
            **controls,
        }
        named = {f"{name}_token": tokens[idx] for name, idx in ids.items()}
        return {
            "config.json": config,
            "generation_config.json": controls,
            "tokenizer_config.json": {"backend": "tokenizers", "tokenizer_class": "TokenizersBackend", **named},
        }


def kept_gguf(folder: Path) -> LlamaGguf | None:
    """The GGUF file that a folder has for its weights; None where it has them in another form, as of `llama_gguf`."""
    path = folder / GGUF_FILE
    is_beside = any(any(folder.glob(pattern)) for pattern in _OTHER_WEIGHTS)
    return None if is_beside or not path.is_file() else llama_gguf(path)


def llama_gguf(path: Path) -> LlamaGguf | None:
    """Looks at a GGUF file; None where it is not that of a plain Llama, or not whole: transformers has a look then."""
    try:
        reader = gguf.GGUFReader(str(path))
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, EOFError):
        return None
    if not _is_plain(fields):
        return None
    names = _names(int(fields["llama.block_count"]))
    tensors = {names.get(tensor.name, ""): tensor for tensor in reader.tensors}
    if tensors.keys() | {"lm_head.weight"} != set(names.values()):
        return None
    return LlamaGguf(path, fields, tensors)


def _is_plain(fields: dict[str, Any]) -> bool:
    needed = ("llama.rope.freq_base", "tokenizer.ggml.tokens", *(f"llama.{key}" for key in _SIZES.values()))
    return (
        fields.get("general.architecture") == "llama"
        and fields.get("tokenizer.ggml.model") == "gpt2"
        and fields.get("tokenizer.ggml.pre") == "smollm"
        and not fields.get("tokenizer.ggml.add_bos_token", False)
        and {*fields.get("tokenizer.ggml.token_type", ())} <= {_NORMAL, _CONTROL}
        and not any(name.startswith("llama.rope.scaling.") for name in fields)
        and all(name in fields for name in needed)
    )


def _names(n_layers: int) -> dict[str, str]:
    """The names of transformers by those of llama.cpp."""
    names = {f"{theirs}.weight": f"{ours}.weight" for theirs, ours in _ENDS.items()}
    for idx in range(n_layers):
        for theirs, ours in _LAYER.items():
            names[f"blk.{idx}.{theirs}.weight"] = f"model.layers.{idx}.{ours}.weight"
    return names


def _halves(n_rows: int, n_heads: int) -> NDArray[np.int64]:
    """Which stored row is where: from RoPE over neighbours, as llama.cpp has it, to RoPE over two halves."""
    rows: NDArray[np.int64] = np.arange(n_rows).reshape(n_heads, n_rows // n_heads // 2, 2).swapaxes(1, 2).reshape(-1)
    return rows


def _tokenizer(fields: dict[str, Any]) -> Tokenizer:
    """The tokenizer: words split as llama.cpp's LLAMA_VOCAB_PRE_TYPE_SMOLLM does, digits one by one, and merged."""
    tokens = fields["tokenizer.ggml.tokens"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: idx for idx, token in enumerate(tokens)},
            merges=[tuple(pair.split(" ", 1)) for pair in fields.get("tokenizer.ggml.merges", ())],
            continuing_subword_prefix="",
            end_of_word_suffix="",
        )
    )
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A:0", pair="$A:0 $B:1", special_tokens=[])
    kinds = fields.get("tokenizer.ggml.token_type", ())
    special = [token for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return tokenizer
