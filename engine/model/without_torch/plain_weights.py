"""The folder of a plain Llama: its settings, tokenizer and weights, where all are as those of the default model.

Plain are Llama's blocks without biases, positions rotated alike however long the text, weights in safetensors under
transformers' names or in a GGUF file, and a tokenizer that tokenizer.json says whole. Computes nothing; imports no
torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cattrs
import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from engine.model.sources.llama_gguf import kept_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

EMBEDDING, HEAD, FINAL_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"

_WHOLE_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
_DTYPES = ("F32", "F16")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSettings:
    """What config.json says; see transformers' `LlamaConfig`."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The weights of such a model by their names, and their shapes."""
        width, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        yield EMBEDDING, (self.vocab_size, width)
        yield FINAL_NORM, (width,)
        if not self.tie_word_embeddings:
            yield HEAD, (self.vocab_size, width)
        for idx in range(self.num_hidden_layers):
            layer = f"model.layers.{idx}"
            for name in ("input_layernorm", "post_attention_layernorm"):
                yield f"{layer}.{name}.weight", (width,)
            for name, shape in (
                ("self_attn.q_proj", (queries, width)),
                ("self_attn.k_proj", (keys, width)),
                ("self_attn.v_proj", (keys, width)),
                ("self_attn.o_proj", (width, queries)),
                ("mlp.gate_proj", (inner, width)),
                ("mlp.up_proj", (inner, width)),
                ("mlp.down_proj", (width, inner)),
            ):
                yield f"{layer}.{name}.weight", shape


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredWeight:
    """A weight in a file: its shape, whether it is stored in a way that numpy knows, and what reads rows of it."""

    shape: tuple[int, ...]
    is_readable: bool
    read: Callable[[slice], NDArray[np.float32]]


class PlainFiles:
    """What is in the folder.

    Attributes:
        settings: The sizes.
        raw_settings: All that config.json says.
        tokenizer: The tokenizer.
        eos_ids: Tokens that end a text.
        names: The weights, by transformers' names.
    """

    def __init__(self, folder: Path, raw_settings: Mapping[str, Any], settings: PlainSettings) -> None:
        self.settings, self.raw_settings = settings, raw_settings
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.eos_ids = _eos_ids(folder, raw_settings)
        self._weights = dict(_stored_weights(folder))
        self.names = frozenset(self._weights)

    @property
    def are_plain(self) -> bool:
        """Whether the weights are those of the settings, and the tokenizer has no token that the model lacks."""
        expected = dict(self.settings.shapes())
        return (
            self.tokenizer.get_vocab_size(with_added_tokens=True) <= self.settings.vocab_size
            and {name: weight.shape for name, weight in self._weights.items()} == expected
            and all(weight.is_readable for weight in self._weights.values())
        )

    def read(self, name: str, rows: slice = slice(None)) -> NDArray[np.float32]:
        """A weight in fp32, or some of its rows."""
        return self._weights[name].read(rows)


def plain_files(folder: Path) -> PlainFiles | None:
    """Looks at a folder; None where it is no plain Llama's, or cannot be read: transformers has a look then."""
    try:
        raw = json.loads((folder / "config.json").read_bytes())
        tokenizer = json.loads((folder / "tokenizer_config.json").read_bytes())
        if not (_has_plain_blocks(raw) and _is_whole(tokenizer)):
            return None
        rope = raw["rope_parameters"]
        head_dim = raw.get("head_dim") or raw["hidden_size"] // raw["num_attention_heads"]
        settings = cattrs.structure({**raw, "head_dim": head_dim, "rope_theta": rope["rope_theta"]}, PlainSettings)
        files = PlainFiles(folder, raw, settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError, cattrs.BaseValidationError):
        return None
    except Exception as error:  # the tokenizers library has no kind of its own
        if type(error) is not Exception:
            raise
        return None
    return files if files.are_plain else None


def _stored_weights(folder: Path) -> Iterator[tuple[str, _StoredWeight]]:
    if (stored := kept_gguf(folder)) is not None:
        for name in stored.tensors:
            yield name, _StoredWeight(shape=stored.shape(name), is_readable=True, read=partial(stored.read, name))
    for path in sorted(folder.glob("model*.safetensors")):
        file = safe_open(path, framework="numpy")
        names: list[str] = file.keys()  # type: ignore[no-untyped-call]
        for name in names:
            found: Any = file.get_slice(name)  # type: ignore[no-untyped-call]
            yield (
                name,
                _StoredWeight(
                    shape=tuple(found.get_shape()),
                    is_readable=found.get_dtype() in _DTYPES,
                    read=partial(_rows, found),
                ),
            )


def _rows(found: Any, rows: slice) -> NDArray[np.float32]:
    start, stop, _ = rows.indices(found.get_shape()[0])
    values: NDArray[np.float32] = found[start:stop].astype(np.float32, copy=False)
    return values


def _has_plain_blocks(raw: Mapping[str, Any]) -> bool:
    return (
        raw["model_type"] == "llama"
        and raw["hidden_act"] == "silu"
        and raw["rope_parameters"]["rope_type"] == "default"
        and not (raw.get("attention_bias") or raw.get("mlp_bias") or raw.get("quantization_config"))
    )


def _is_whole(tokenizer: Mapping[str, Any]) -> bool:
    """Whether transformers would take tokenizer.json as it stands."""
    return tokenizer["tokenizer_class"] in _WHOLE_TOKENIZERS and not (
        tokenizer.get("add_bos_token") or tokenizer.get("add_eos_token") or tokenizer.get("add_prefix_space")
    )


def _eos_ids(folder: Path, raw: Mapping[str, Any]) -> Sequence[int]:
    """As transformers finds them: what is said of generating goes before what is said of the model."""
    path = folder / "generation_config.json"
    generation = json.loads(path.read_bytes()) if path.is_file() else {}
    ids = generation.get("eos_token_id", raw.get("eos_token_id"))
    return [] if ids is None else [int(idx) for idx in (ids if isinstance(ids, list) else [ids])]
