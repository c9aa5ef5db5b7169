"""ONNX graphs of a segment of layers and of the LM head, in ONNX Runtime's fused operators.

A segment reads hidden states [1, T, D] and the KV cache of its layers, and writes both; the cache's output buffers may
be its input buffers, so nothing is copied. Llama's blocks only: RMS norm, grouped-query attention with rotary positions
(GroupQueryAttention), an MLP with a gate or without; biases and norms of heads where the model has them. Knows no
sessions and no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from engine.model.prepared.layout import (
    COS,
    HIDDEN,
    LAST_POSITION,
    OUTPUT,
    SIN,
    TOTAL,
    past_names,
    present_names,
)
from engine.model.prepared.quantization import quantize_4, quantize_8

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from engine.model.prepared.quantization import InputStatistics
    from engine.model.prepared.weights import Blocks, LayerWeights, Norms, Products
    from engine.types import Precision

_CONTRIB = "com.microsoft"
_OPSETS = (helper.make_opsetid("", 20), helper.make_opsetid(_CONTRIB, 1))
_IR_VERSION = 10  # what ONNX Runtime 1.23 reads
_INT8_ACTIVATIONS = 4  # MatMulNBits' accuracy level at which groups of activations are rounded to int8 as well
_HEAD_DIM_STEP = 16  # of GroupQueryAttention
_ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "silu": ("QuickGelu", {"domain": _CONTRIB, "alpha": 1.0}),  # x * sigmoid(1.0 x)
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
}


def unsupported(blocks: Blocks, windows: Sequence[int | None]) -> str | None:
    """Why a model of a family that ONNX Runtime runs cannot be written as these graphs; None where it can."""
    if blocks.activation not in _ACTIVATIONS:
        return f"its activation is '{blocks.activation}'"
    if any(windows):
        return "it attends through a sliding window"
    if blocks.head_dim % _HEAD_DIM_STEP:
        return f"its heads are {blocks.head_dim} wide"
    return None


def segment_graph(
    layers: Iterable[LayerWeights], blocks: Blocks, epsilon: float, segment: tuple[int, int], precision: Precision
) -> onnx.ModelProto:
    """The graph of some of a model's layers.

    Args:
        layers: Those of the segment, in order.
        blocks: What all layers of the model have in common.
        epsilon: What their norms add to the mean square.
        segment: The number of the first layer, and of the one behind the last.
        precision: How weights are stored. With int4 only the gate and up projections take 4 bits: they are half of
            the weights, and the half that loses least by it.
    """
    graph = _Graph(precision, epsilon)
    indices = range(*segment)
    hidden, update = HIDDEN, ""
    for idx, layer in zip(indices, layers, strict=True):
        products, norms = layer.products, layer.norms
        hidden, normed = graph.add_and_norm(hidden, update, norms.attention)
        mixed = graph.attention(normed, products, norms, blocks, idx)
        hidden, normed = graph.add_and_norm(hidden, mixed, norms.mlp)
        update = graph.mlp(normed, products, blocks, layer.statistics)
    graph.node("Add", [hidden, update], output=OUTPUT)
    cache_shape: list[int | str] = [1, blocks.n_kv_heads, "capacity", blocks.head_dim]
    inputs = [
        _tensor(HIDDEN, [1, "T", blocks.width]),
        _tensor(LAST_POSITION, [1], onnx.TensorProto.INT32),
        _tensor(TOTAL, [], onnx.TensorProto.INT32),
        _tensor(COS, ["positions", blocks.head_dim // 2]),
        _tensor(SIN, ["positions", blocks.head_dim // 2]),
        *(_tensor(name, cache_shape) for idx in indices for name in past_names(idx)),
    ]
    outputs = [
        _tensor(OUTPUT, [1, "T", blocks.width]),
        *(_tensor(name, cache_shape) for idx in indices for name in present_names(idx)),
    ]
    return graph.model(inputs, outputs)


def head_graph(weight: NDArray[np.float32], bias: NDArray[np.float32] | None, precision: Precision) -> onnx.ModelProto:
    """The LM head: normed states [1, T, D] to logits [1, T, V].

    An exit's map is the same product with another weight, [D, D].
    """
    graph = _Graph(precision)
    graph.linear(HIDDEN, weight, bias, output=OUTPUT)
    return graph.model([_tensor(HIDDEN, [1, "T", weight.shape[1]])], [_tensor(OUTPUT, [1, "T", weight.shape[0]])])


def propagation_graph(
    weight: NDArray[np.float32], bias: NDArray[np.float32] | None, epsilon: float, precision: Precision
) -> onnx.ModelProto:
    """Keys and values of all layers for one hidden state, not rotated: [1, T, D] to [1, T, L * 2 * H_kv * D_head].

    `weight` and `bias` are `LayerWeights.propagation` of all layers, one behind the other; the norm before them has
    this `epsilon`.
    """
    graph = _Graph(precision, epsilon)
    _, normed = graph.add_and_norm(HIDDEN, "", np.ones(weight.shape[1], np.float32))
    graph.linear(normed, weight, bias, output=OUTPUT)
    return graph.model([_tensor(HIDDEN, [1, "T", weight.shape[1]])], [_tensor(OUTPUT, [1, "T", len(weight)])])


class _Graph:
    """Nodes and weights, in the order in which they were added."""

    def __init__(self, precision: Precision, epsilon: float = 0.0) -> None:
        self._is_exact, self._epsilon = precision == "fp32", epsilon
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._n_values = 0

    def node(self, op: str, inputs: Sequence[str], *, output: str | None = None, **attributes: Any) -> str:
        """Adds an operator with one output and names that output."""
        return self._add(op, inputs, [output or self._fresh()], **attributes)[0]

    def linear(
        self,
        inputs: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None,
        *,
        statistics: InputStatistics | None = None,
        output: str | None = None,
    ) -> str:
        """A product with a weight [N, K]: [1, T, K] to [1, T, N]; in 4 bits where its inputs are known."""
        if self._is_exact:
            product = self.node("MatMul", [inputs, self.weight(weight.T)], output=output if bias is None else None)
            return product if bias is None else self.node("Add", [product, self.weight(bias)], output=output)
        if statistics is None:
            quantized = quantize_8(weight)
        else:
            quantized, shift = quantize_4(weight, statistics)
            bias = shift if bias is None else bias + shift
        zero_points = "" if quantized.zero_points is None else self.weight(quantized.zero_points.reshape(-1))
        operands = [inputs, self.weight(quantized.values), self.weight(quantized.scales.reshape(-1)), zero_points]
        if bias is not None:
            operands += ["", self.weight(bias)]
        return self.node(
            "MatMulNBits",
            operands,
            output=output,
            domain=_CONTRIB,
            N=weight.shape[0],
            K=weight.shape[1],
            bits=quantized.bits,
            block_size=quantized.group,
            accuracy_level=_INT8_ACTIVATIONS,
        )

    def add_and_norm(self, hidden: str, update: str, norm: NDArray[np.float32]) -> tuple[str, str]:
        """The residual stream after an update, if any, and its RMS norm."""
        if not update:
            return hidden, self._norm(hidden, norm)
        normed, total = self._fresh(), self._fresh()
        self._add(
            "SkipSimplifiedLayerNormalization",
            [hidden, update, self.weight(norm)],
            [normed, "", "", total],
            domain=_CONTRIB,
            epsilon=self._epsilon,
        )
        return total, normed

    def attention(self, normed: str, products: Products, norms: Norms, blocks: Blocks, layer_idx: int) -> str:
        """Grouped-query attention over the cache, with queries, keys and values in one product.

        A row of zeros stands behind the real ones. Its kernel for a single row rounds otherwise than the one for
        several, and int8 activations blow that up to other tokens; so a row would depend on how many run beside it, and
        lossless text would not be full depth's. With the row of zeros it does not, to the last bit.
        """
        packed = self.linear(normed, *products.qkv)
        if norms.query is not None and norms.key is not None:
            packed = self._with_normed_heads(packed, norms.query, norms.key, blocks)
        zeros = self.weight(np.zeros((1, 1, len(products.qkv[0])), np.float32))
        packed, mixed = self.node("Concat", [packed, zeros], axis=1), self._fresh()
        self._add(
            "GroupQueryAttention",
            [packed, "", "", *past_names(layer_idx), LAST_POSITION, TOTAL, COS, SIN],
            [mixed, *present_names(layer_idx)],
            domain=_CONTRIB,
            num_heads=blocks.n_heads,
            kv_num_heads=blocks.n_kv_heads,
            scale=blocks.attention_scale,
            do_rotary=1,
        )
        first, last, rows = (self.weight(np.array([value], np.int64)) for value in (0, -1, 1))
        return self.linear(self.node("Slice", [mixed, first, last, rows]), *products.output)

    def mlp(self, normed: str, products: Products, blocks: Blocks, statistics: InputStatistics | None) -> str:
        """down(act(gate(x)) * up(x)), with gate and up in one product; or down(act(up(x)))."""
        op, attributes = _ACTIVATIONS[blocks.activation]
        both = self.linear(normed, *products.up, statistics=statistics)
        if not blocks.is_gated:
            return self.linear(self.node(op, [both], **attributes), *products.down)
        gate, up = self._fresh(), self._fresh()
        self._add("Split", [both], [gate, up], axis=-1, num_outputs=2)
        active = self.node(op, [gate], **attributes)
        return self.linear(self.node("Mul", [active, up]), *products.down)

    def _with_normed_heads(
        self, packed: str, query_norm: NDArray[np.float32], key_norm: NDArray[np.float32], blocks: Blocks
    ) -> str:
        """Queries, keys and values, with an RMS norm of each head of the first two."""
        widths = [heads * blocks.head_dim for heads in (blocks.n_heads, blocks.n_kv_heads, blocks.n_kv_heads)]
        queries, keys, values = self._fresh(), self._fresh(), self._fresh()
        self._add("Split", [packed, self.weight(np.array(widths, np.int64))], [queries, keys, values], axis=-1)
        parts = []
        for part, norm, width in ((queries, query_norm, widths[0]), (keys, key_norm, widths[1])):
            heads = self.node(
                "Reshape", [part, self.weight(np.array([1, -1, width // len(norm), len(norm)], np.int64))]
            )
            flat = self.weight(np.array([1, -1, width], np.int64))
            parts.append(self.node("Reshape", [self._norm(heads, norm), flat]))
        return self.node("Concat", [*parts, values], axis=-1)

    def _norm(self, inputs: str, norm: NDArray[np.float32]) -> str:
        return self.node("SimplifiedLayerNormalization", [inputs, self.weight(norm)], axis=-1, epsilon=self._epsilon)

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(self._nodes, "segment", inputs, outputs, self._weights)
        return helper.make_model(graph, opset_imports=_OPSETS, ir_version=_IR_VERSION)

    def _add(self, op: str, inputs: Sequence[str], outputs: list[str], **attributes: Any) -> list[str]:
        self._nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs

    def weight(self, array: NDArray[Any]) -> str:
        """Adds a constant and names it."""
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _fresh(self) -> str:
        self._n_values += 1
        return f"value_{self._n_values}"


def _tensor(name: str, shape: Sequence[int | str], kind: int = onnx.TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
