"""ONNX graphs of a segment of layers and of the LM head, in ONNX Runtime's fused operators.

A segment reads hidden states [1, T, D] and the KV cache of its layers, and writes both; the cache's output buffers may
be its input buffers, so nothing is copied. Llama's blocks only: RMS norm, grouped-query attention with rotary positions
(GroupQueryAttention), gated SiLU; biases where the model has them, as Qwen2 does. Weights come from a transformers
model in fp32. Knows no sessions and no files.
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
from engine.model.prepared.weights import array, linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.model.prepared.quantization import InputStatistics
    from engine.types import Precision

_CONTRIB = "com.microsoft"
_OPSETS = (helper.make_opsetid("", 20), helper.make_opsetid(_CONTRIB, 1))
_IR_VERSION = 10  # what ONNX Runtime 1.23 reads
_INT8_ACTIVATIONS = 4  # MatMulNBits' accuracy level at which groups of activations are rounded to int8 as well
_HEAD_DIM_STEP = 16  # of GroupQueryAttention


def unsupported(config: Any) -> str | None:
    """Why a model of a family that ONNX Runtime runs cannot be written as these graphs; None where it can."""
    if config.hidden_act != "silu":
        return f"its activation is '{config.hidden_act}'"
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return "it attends through a sliding window"
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if head_dim % _HEAD_DIM_STEP:
        return f"its heads are {head_dim} wide"
    return None


def segment_graph(
    layers: Sequence[Any], start: int, precision: Precision, mlp_inputs: Sequence[InputStatistics] = ()
) -> onnx.ModelProto:
    """The graph of some of a model's layers.

    Args:
        layers: Layers of a transformers model.
        start: The index of the first of them in the model.
        precision: How weights are stored. With int4 only the gate and up projections take 4 bits: they are half of
            the weights, and the half that loses least by it.
        mlp_inputs: What each layer's MLP reads; for int4 only.
    """
    graph = _Graph(precision)
    attention = layers[0].self_attn
    n_heads, n_kv_heads = attention.config.num_attention_heads, attention.config.num_key_value_heads
    width, head_dim = attention.config.hidden_size, attention.head_dim
    hidden, update = HIDDEN, ""
    for offset, layer in enumerate(layers):
        hidden, normed = graph.add_and_norm(hidden, update, layer.input_layernorm)
        mixed = graph.attention(normed, layer.self_attn, start + offset, n_heads, n_kv_heads)
        hidden, normed = graph.add_and_norm(hidden, mixed, layer.post_attention_layernorm)
        update = graph.gated_mlp(normed, layer.mlp, mlp_inputs[offset] if precision == "int4" else None)
    graph.node("Add", [hidden, update], output=OUTPUT)
    cache_shape = [1, n_kv_heads, "capacity", head_dim]
    indices = range(start, start + len(layers))
    inputs = [
        _tensor(HIDDEN, [1, "T", width]),
        _tensor(LAST_POSITION, [1], onnx.TensorProto.INT32),
        _tensor(TOTAL, [], onnx.TensorProto.INT32),
        _tensor(COS, ["positions", head_dim // 2]),
        _tensor(SIN, ["positions", head_dim // 2]),
        *(_tensor(name, cache_shape) for idx in indices for name in past_names(idx)),
    ]
    outputs = [
        _tensor(OUTPUT, [1, "T", width]),
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

    `weight` and `bias` are `Weights.propagation`; the norm before them has this `epsilon`.
    """
    graph = _Graph(precision)
    ones = graph.weight(np.ones(weight.shape[1], np.float32))
    normed = graph.node("SimplifiedLayerNormalization", [HIDDEN, ones], axis=-1, epsilon=epsilon)
    graph.linear(normed, weight, bias, output=OUTPUT)
    return graph.model([_tensor(HIDDEN, [1, "T", weight.shape[1]])], [_tensor(OUTPUT, [1, "T", len(weight)])])


class _Graph:
    """Nodes and weights, in the order in which they were added."""

    def __init__(self, precision: Precision) -> None:
        self._is_exact = precision == "fp32"
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

    def add_and_norm(self, hidden: str, update: str, norm: Any) -> tuple[str, str]:
        """The residual stream after an update, if any, and its RMS norm."""
        weight, epsilon = self.weight(array(norm.weight)), norm.variance_epsilon
        if not update:
            return hidden, self.node("SimplifiedLayerNormalization", [hidden, weight], axis=-1, epsilon=epsilon)
        normed, total = self._fresh(), self._fresh()
        self._add(
            "SkipSimplifiedLayerNormalization",
            [hidden, update, weight],
            [normed, "", "", total],
            domain=_CONTRIB,
            epsilon=epsilon,
        )
        return total, normed

    def attention(self, normed: str, attention: Any, layer_idx: int, n_heads: int, n_kv_heads: int) -> str:
        """Grouped-query attention over the cache, with queries, keys and values in one product.

        A row of zeros stands behind the real ones. Its kernel for a single row rounds otherwise than the one for
        several, and int8 activations blow that up to other tokens; so a row would depend on how many run beside it, and
        lossless text would not be full depth's. With the row of zeros it does not, to the last bit.
        """
        weight, bias = linear(attention.q_proj, attention.k_proj, attention.v_proj)
        packed = self.linear(normed, weight, bias)
        zeros = self.weight(np.zeros((1, 1, len(weight)), np.float32))
        packed, mixed = self.node("Concat", [packed, zeros], axis=1), self._fresh()
        self._add(
            "GroupQueryAttention",
            [packed, "", "", *past_names(layer_idx), LAST_POSITION, TOTAL, COS, SIN],
            [mixed, *present_names(layer_idx)],
            domain=_CONTRIB,
            num_heads=n_heads,
            kv_num_heads=n_kv_heads,
            scale=attention.scaling,
            do_rotary=1,
        )
        first, last, rows = (self.weight(np.array([value], np.int64)) for value in (0, -1, 1))
        return self._module(self.node("Slice", [mixed, first, last, rows]), attention.o_proj)

    def gated_mlp(self, normed: str, mlp: Any, statistics: InputStatistics | None) -> str:
        """down(silu(gate(x)) * up(x)), with gate and up in one product."""
        gate, up = self._fresh(), self._fresh()
        both = self.linear(normed, *linear(mlp.gate_proj, mlp.up_proj), statistics=statistics)
        self._add("Split", [both], [gate, up], axis=-1, num_outputs=2)
        silu = self.node("QuickGelu", [gate], domain=_CONTRIB, alpha=1.0)  # x * sigmoid(1.0 x)
        return self._module(self.node("Mul", [silu, up]), mlp.down_proj)

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(self._nodes, "segment", inputs, outputs, self._weights)
        return helper.make_model(graph, opset_imports=_OPSETS, ir_version=_IR_VERSION)

    def _module(self, inputs: str, module: Any) -> str:
        return self.linear(inputs, *linear(module))

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
