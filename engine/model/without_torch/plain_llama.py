"""A plain Llama as it is before it is prepared, in numpy: its weights one layer at a time, and what they compute.

What plain is says `engine.model.without_torch.plain_weights`. Only what the preparation needs is here; nobody decodes
with it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from engine.model.early_exit import checked_exits
from engine.model.fingerprints import FINGERPRINT_ROWS, weights_fingerprint
from engine.model.prepared.native import packing
from engine.model.prepared.weights import Blocks, LayerWeights, Norms, Products, Weights
from engine.model.stored_exits import UNTRAINED, find_exits
from engine.model.without_torch.plain_weights import EMBEDDING, FINAL_NORM, HEAD
from engine.types import ModelGeometry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from engine.model.prepared.checked_tokens import CheckedTokens
    from engine.model.without_torch.plain_weights import PlainFiles
    from engine.types import Precision, PreparedRuntime

    Cache = list[tuple[NDArray[np.float32], NDArray[np.float32]] | None]
    """Keys and values of each layer, each [H_kv, T, D_head]."""

_FP32_BYTES = 4


class PlainLlama:
    """See `Original`, and `CheckedRunner`.

    Attributes:
        end_ids: Tokens that end a text.
        exit_layers: Layers after which a token may leave, ascending, without the last.
        fingerprint: Names its weights.
        blocks: What its layers have in common.
    """

    family = "llama"

    def __init__(
        self, name: str, files: PlainFiles, exit_layers: Sequence[int] | None, *, with_trained_exits: bool
    ) -> None:
        """Takes a folder over.

        Args:
            name: The model, as the user named it.
            files: What is in its folder.
            exit_layers: Where it is cut; None for the default.
            with_trained_exits: False leaves trained exits out.

        Raises:
            ConfigError: If an exit lies outside the model.
            ModelCorruptError: If the trained exits cannot be read.
            PolicyError: If the user's own trained exits belong to other weights.
        """
        settings = files.settings
        self._files, self._settings = files, settings
        self.end_ids = tuple(files.eos_ids)
        self.exit_layers = checked_exits(exit_layers, settings.num_hidden_layers)
        self.fingerprint = weights_fingerprint(
            files.raw_settings, files.names, lambda name: files.read(name, slice(FINGERPRINT_ROWS))
        )
        self._exits = find_exits(name, self.fingerprint) if with_trained_exits else None
        self.blocks = Blocks(
            width=settings.hidden_size,
            n_heads=settings.num_attention_heads,
            n_kv_heads=settings.num_key_value_heads,
            head_dim=settings.head_dim,
            mlp_width=settings.intermediate_size,
            activation="silu",
            is_gated=True,
            attention_scale=settings.head_dim**-0.5,
        )
        self._final_norm = self._read(FINAL_NORM)
        self._layer: tuple[int, LayerWeights] | None = None

    @property
    def exits_fingerprint(self) -> str:
        """See `Original.exits_fingerprint`."""
        return UNTRAINED if self._exits is None else self._exits.fingerprint

    @property
    def geometry(self) -> ModelGeometry:
        """See `Original.geometry`."""
        shapes = {name: int(np.prod(shape)) for name, shape in self._settings.shapes()}
        keys = self.blocks.n_kv_heads * self.blocks.head_dim
        geometry = ModelGeometry(
            n_layers=self._settings.num_hidden_layers,
            layer_params=sum(n for name, n in shapes.items() if name.startswith("model.layers.0.")),
            kv_params=2 * keys * self.blocks.width,
            head_params=shapes[EMBEDDING],
            bytes_per_param=float(_FP32_BYTES),
        )
        queries = self.blocks.n_heads * self.blocks.head_dim
        return geometry.with_cache(key_width=keys, query_width=queries, bytes_per_value=_FP32_BYTES)

    @property
    def max_positions(self) -> int:
        """See `Original.max_positions`."""
        return self._settings.max_position_embeddings

    @property
    def n_vocabulary(self) -> int:
        """See `CheckedRunner.n_vocabulary`."""
        return self._settings.vocab_size

    @property
    def shortlist(self) -> NDArray[np.int64] | None:
        """See `Original.shortlist`."""
        return None if self._exits is None else self._exits.shortlist

    @property
    def computed(self) -> PlainLlama:
        """See `Original.computed`."""
        return self

    def why_not(self, runtime: PreparedRuntime) -> str | None:
        """See `Original.why_not`."""
        if runtime == "native":
            return packing.unsupported(self._settings, self.blocks)
        from engine.model.prepared.onnx_graph import unsupported  # whose library takes longer to import than all here

        return unsupported(self.blocks, [None] * self._settings.num_hidden_layers)

    def weights(self, precision: Precision, sample: CheckedTokens, progress: Callable[[int], None]) -> Weights:
        """See `Original.weights`; what int4 rounds by is not known here."""
        assert precision != "int4"
        n_layers = self._settings.num_hidden_layers

        def layers() -> Iterator[LayerWeights]:
            for idx in range(n_layers):
                progress(idx)
                sample.run_layer(idx)
                yield self._taken_out(idx)

        listed = self.shortlist
        return Weights(
            blocks=self.blocks,
            n_layers=n_layers,
            layers=layers(),
            rotaries=[0] * n_layers,
            windows=[0] * n_layers,
            final_norm=self._final_norm,
            final_norm_bias=None,
            embedding=lambda: self._embedding,
            embedding_scale=1.0,
            norm_epsilon=self._settings.rms_norm_eps,
            head=lambda: (self._head, None),
            shortlist=None if listed is None else (self._head[listed], None),
            exit_maps={} if self._exits is None else self._exits.maps,
        )

    def rotary_table(self, layer_idx: int, n_positions: int) -> NDArray[np.float32]:
        """See `Original.rotary_table`; one for all layers (RoPE, arXiv 2104.09864)."""
        return self._rotary(np.arange(n_positions))

    def let_go(self) -> None:
        """See `Original.let_go`."""
        self._layer = None

    def new_cache(self) -> Cache:
        """See `CheckedRunner.new_cache`."""
        return [None] * self._settings.num_hidden_layers

    def embed(self, token_ids: Sequence[int], position: int) -> NDArray[np.float32]:
        """See `CheckedRunner.embed`."""
        rows: NDArray[np.float32] = self._embedding[np.array(token_ids)]
        return rows[None]

    def run_layers(self, hidden: NDArray[np.float32], start: int, stop: int, cache: Cache) -> NDArray[np.float32]:
        """See `CheckedRunner.run_layers`."""
        rows: NDArray[np.float32] = hidden[0]
        for idx in range(start, stop):
            layer = self._taken_out(idx)
            rows = rows + self._attended(self._normed(rows, layer.norms.attention), layer.products, cache, idx)
            gate_and_up = self._normed(rows, layer.norms.mlp) @ layer.products.up[0].T
            gate, up = np.split(gate_and_up, 2, axis=-1)
            rows = rows + (gate / (1 + np.exp(-gate)) * up) @ layer.products.down[0].T
        return rows[None]

    def final_norm(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `CheckedRunner.final_norm`."""
        return self._normed(hidden, self._final_norm)

    def head(self, normed: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `CheckedRunner.head`."""
        logits: NDArray[np.float32] = normed @ self._head.T
        return logits

    def to_numpy(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `CheckedRunner.to_numpy`."""
        return array

    def _attended(self, normed: NDArray[np.float32], products: Products, cache: Cache, idx: int) -> NDArray[np.float32]:
        """What attention adds to rows [T, D]."""
        blocks, length = self.blocks, len(normed)
        heads = (normed @ products.qkv[0].T).reshape(length, -1, blocks.head_dim).swapaxes(0, 1)
        queries, keys, values = np.split(heads, [blocks.n_heads, blocks.n_heads + blocks.n_kv_heads])
        before = cache[idx]
        position = 0 if before is None else before[0].shape[1]
        cos, sin = self._rotary(np.arange(position, position + length))
        queries, keys = _rotated(queries, cos, sin), _rotated(keys, cos, sin)
        if before is not None:
            keys, values = (np.concatenate(pair, axis=1) for pair in zip(before, (keys, values), strict=True))
        cache[idx] = keys, values
        shared = blocks.n_heads // blocks.n_kv_heads
        scores = queries @ keys.repeat(shared, axis=0).swapaxes(1, 2) * np.float32(blocks.attention_scale)
        scores[:, np.arange(keys.shape[1]) > np.arange(position, position + length)[:, None]] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = weights / weights.sum(axis=-1, keepdims=True) @ values.repeat(shared, axis=0)
        added: NDArray[np.float32] = mixed.swapaxes(0, 1).reshape(length, -1) @ products.output[0].T
        return added

    def _normed(self, rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
        mean_square = np.square(rows).mean(axis=-1, keepdims=True)
        normed: NDArray[np.float32] = weight * (rows / np.sqrt(mean_square + np.float32(self._settings.rms_norm_eps)))
        return normed

    def _rotary(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cos and sin, [2, T, D_head / 2]."""
        width = self.blocks.head_dim
        # Rounded where transformers rounds: what differs here is thousands of times as much at the end of a long text.
        powers = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
        frequencies = 1 / (self._settings.rope_theta ** powers.astype(np.float64)).astype(np.float32)
        angles = positions[:, None].astype(np.float32) * frequencies
        return np.array([np.cos(angles), np.sin(angles)])

    def _taken_out(self, idx: int) -> LayerWeights:
        """A layer, which is kept until another one is asked for."""
        if self._layer is None or self._layer[0] != idx:
            self._layer = None
            self._layer = idx, self._read_layer(f"model.layers.{idx}")
        return self._layer[1]

    def _read_layer(self, layer: str) -> LayerWeights:
        queries, keys, values, output, gate, up, down = (
            self._read(f"{layer}.{name}_proj.weight")
            for name in (*(f"self_attn.{part}" for part in "qkvo"), "mlp.gate", "mlp.up", "mlp.down")
        )
        norms = Norms(
            attention=self._read(f"{layer}.input_layernorm.weight"),
            mlp=self._read(f"{layer}.post_attention_layernorm.weight"),
        )
        keys_and_values = np.concatenate([keys, values])
        return LayerWeights(
            products=Products(
                qkv=(np.concatenate([queries, keys_and_values]), None),
                output=(output, None),
                up=(np.concatenate([gate, up]), None),
                down=(down, None),
            ),
            norms=norms,
            propagation=(keys_and_values * norms.attention, np.zeros(len(keys_and_values), np.float32)),
            statistics=None,
        )

    @cached_property
    def _embedding(self) -> NDArray[np.float32]:
        return self._read(EMBEDDING)

    @cached_property
    def _head(self) -> NDArray[np.float32]:
        return self._embedding if self._settings.tie_word_embeddings else self._read(HEAD)

    def _read(self, name: str) -> NDArray[np.float32]:
        """A weight with its update, where the exits were trained together with it."""
        weight = self._files.read(name)
        factors = None if self._exits is None else self._exits.updates.get(name)
        return weight if factors is None else weight + factors[0] @ factors[1]


def _rotated(heads: NDArray[np.float32], cos: NDArray[np.float32], sin: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heads [H, T, D_head], whose halves are rotated against one another."""
    first, second = np.split(heads, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
