"""What a model takes, by the sizes in its configuration: memory, disk and download. Imports no torch.

Told before anything is fetched, and refused with the reason where it is not there. Knows no time and no joules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from engine.errors import ModelError
from engine.model.families import FAMILIES
from engine.sentences import Sentence
from engine.types import ModelGeometry

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROCESS_BYTES = 150e6  # Python, the runner and its tables, measured with a tiny model
_PREPARING_BYTES = 450e6  # torch and transformers beside the weights
_CHECKED_BYTES = 4 * 4 * 48  # of a token of the vocabulary: logits that are compared, and what is taken in between
_CACHED_POSITIONS = 3 * 1024  # of the texts whose KV caches are kept
_CACHE_VALUE_BYTES = 2
_INT8_BYTES = 1 + 2 / 64  # of a weight, with its share of a scale for every 64
_FP32_BYTES, _FP16_BYTES = 4, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSizes:
    """The sizes of a model.

    Attributes:
        n_layers: Transformer layers.
        width: Numbers in a state.
        n_heads: Heads of queries.
        n_kv_heads: Heads of keys and values.
        head_dim: Width of one head.
        mlp_width: Inputs of the down projection.
        n_vocabulary: Tokens.
        is_tied: Whether the head is the embedding.
        is_gated: Whether the MLP has a gate.
        is_folded: Whether numbers are folded into embedding and head while it is prepared, each a copy for a while.
        runs_rounded: Whether a fast runner knows its blocks, so that a CPU holds it in int8; else in fp32.
    """

    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mlp_width: int
    n_vocabulary: int
    is_tied: bool = True
    is_gated: bool = True
    is_folded: bool = False
    runs_rounded: bool = True

    @property
    def layer_params(self) -> int:
        """Weights of a layer."""
        attention = 2 * (self.n_heads + self.n_kv_heads) * self.head_dim * self.width
        return attention + (3 if self.is_gated else 2) * self.width * self.mlp_width

    @property
    def head_params(self) -> int:
        """Weights of the head."""
        return self.n_vocabulary * self.width

    @property
    def n_params(self) -> int:
        """All weights."""
        return self.n_layers * self.layer_params + self.head_params * (1 if self.is_tied else 2)

    @property
    def geometry(self) -> ModelGeometry:
        """The sizes that cost depends on, as this CPU would hold the model."""
        bytes_per_param = _INT8_BYTES if self.runs_rounded else _FP32_BYTES
        kv_width = self.n_kv_heads * self.head_dim
        return ModelGeometry(
            n_layers=self.n_layers,
            layer_params=self.layer_params,
            kv_params=2 * kv_width * self.width,
            head_params=self.head_params,
            bytes_per_param=bytes_per_param,
        ).with_cache(key_width=kv_width, query_width=self.n_heads * self.head_dim, bytes_per_value=_CACHE_VALUE_BYTES)

    @property
    def token_bytes(self) -> float:
        """What one token at full depth reads of the weights."""
        return (self.n_layers * self.layer_params + self.head_params) * self.geometry.bytes_per_param

    @property
    def needs(self) -> Needs:
        """What the model takes of a machine."""
        cache = 2 * self.n_kv_heads * self.head_dim * self.n_layers * _CACHED_POSITIONS * _CACHE_VALUE_BYTES
        prepared = self.token_bytes + self.head_params * _FP16_BYTES if self.runs_rounded else 0
        download = self.n_params * _FP16_BYTES
        # Preparing holds embedding and head in fp32, and a layer with what is laid out of it, or the rounded head.
        ends = self.head_params * ((1 if self.is_tied else 2) + self.is_folded) * _FP32_BYTES
        checked = self.head_params * _INT8_BYTES + self.n_vocabulary * _CHECKED_BYTES
        preparing = ends + max(2 * self.layer_params * _FP32_BYTES, checked) + _PREPARING_BYTES
        running = self.token_bytes + cache + (_PROCESS_BYTES if self.runs_rounded else _PREPARING_BYTES)
        return Needs(
            download_bytes=int(download),
            disk_bytes=int(download + prepared),
            running_bytes=int(running),
            preparing_bytes=int(preparing if self.runs_rounded else running),
            teaching_bytes=int(self.n_params * _FP32_BYTES + _PREPARING_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a model takes of a machine.

    Attributes:
        download_bytes: What is fetched, in 16 bits a weight as nearly all are published.
        disk_bytes: What is kept: that, and what is prepared from it.
        running_bytes: Memory while it completes.
        preparing_bytes: Memory while it is prepared.
        teaching_bytes: Memory while its exits are taught on a CPU.
    """

    download_bytes: int
    disk_bytes: int
    running_bytes: int
    preparing_bytes: int
    teaching_bytes: int

    def in_words(self) -> str:
        """For people."""
        return (
            f"{gigabytes(self.download_bytes)} to download, {gigabytes(self.disk_bytes)} of disk, "
            f"{gigabytes(self.preparing_bytes)} of memory while it is prepared and {gigabytes(self.running_bytes)} "
            "when it runs"
        )

    def refuse_teaching(self, name: str) -> None:
        """Refuses to teach the exits of a model that this machine cannot hold in fp32.

        Raises:
            ModelError: If its memory does not suffice, with the figures.
        """
        if self.teaching_bytes > (has := psutil.virtual_memory().total):
            raise ModelError(
                f"The exits of {name} cannot be taught on this machine's CPU: that takes "
                f"{gigabytes(self.teaching_bytes)} of memory, and there are {gigabytes(has)} in all."
            )

    def why_not_here(self, *, free_disk_bytes: int, memory_bytes: int | None = None) -> str:
        """Why a machine has too little for it, to go on behind "because"; "" where it has enough.

        Args:
            free_disk_bytes: Where the model would be kept.
            memory_bytes: What the machine has in all; None asks it.
        """
        has = psutil.virtual_memory().total if memory_bytes is None else memory_bytes
        if self.preparing_bytes > has:
            needed = gigabytes(self.preparing_bytes)
            return Sentence(
                "preparing it takes {needed} of memory, and there are {has} in all", needed=needed, has=gigabytes(has)
            )
        if self.disk_bytes > free_disk_bytes:
            return Sentence(
                "it takes {kept} of disk, and {free} are free",
                kept=gigabytes(self.disk_bytes),
                free=gigabytes(free_disk_bytes),
            )
        return ""


def sizes_of(settings: Mapping[str, Any]) -> ModelSizes | None:
    """The sizes that config.json gives; None where it leaves some to defaults."""
    family = FAMILIES.get(str(settings.get("model_type")))
    try:
        heads, width = int(settings["num_attention_heads"]), int(settings["hidden_size"])
        return ModelSizes(
            n_layers=int(settings["num_hidden_layers"]),
            width=width,
            n_heads=heads,
            n_kv_heads=int(settings.get("num_key_value_heads") or heads),
            head_dim=int(settings.get("head_dim") or width // heads),
            mlp_width=int(settings["intermediate_size" if family is None else family.mlp_setting]),
            n_vocabulary=int(settings["vocab_size"]),
            is_tied=bool(settings.get("tie_word_embeddings", family is not None and family.name != "llama")),
            is_gated=family is None or family.is_gated,
            is_folded=family is not None and family.is_folded,
            runs_rounded=family is not None and bool(family.runtimes),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def refuse_too_large(name: str, settings: Mapping[str, Any], *, free_disk_bytes: int) -> None:
    """Refuses a model for which this machine has too little, as far as its configuration tells.

    Raises:
        ModelError: If memory or disk do not suffice, with the figures.
    """
    sizes = sizes_of(settings)
    if sizes is None:
        return
    if why := sizes.needs.why_not_here(free_disk_bytes=free_disk_bytes):
        raise ModelError(Sentence("The model {name} is too large for this machine: {why}.", name=name, why=why))


def gigabytes(n_bytes: float) -> str:
    """A size for people."""
    if n_bytes < 1e8:  # noqa: PLR2004 - readable
        return Sentence("{n:.0f} MB", n=n_bytes / 1e6)
    return Sentence("{n:.1f} GB", n=n_bytes / 1e9)
