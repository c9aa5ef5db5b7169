#!/usr/bin/env bash
# onnxruntime 1.32.0, CPU: the first of several rows differs in its last bits from the same row alone, by operator.
#
# A row is computed alone and as the first of 2, 3, 8 and 64 (numpy 2.4.6, CPython 3.11, x86-64 with AVX2):
#   GroupQueryAttention                 the first of 2 to 64 is the same in every bit; alone it differs by 3e-7
#   MatMulNBits, 8 bits                 likewise, by 2e-5
#   MatMulNBits, accuracy_level 4       the same in every bit, alone too
#   MatMul                              the same in every bit, alone too
# Who compares a decoder that runs one token at a time with one that runs several must not expect equal bits, and gets them
# with a second row that nobody reads. Exits non-zero when attention's first row no longer differs alone, or differs among
# several. On other CPUs other kernels run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
WIDTH, HEAD, HEADS, KV_HEADS, PAST, GROUP = 576, 64, 9, 3, 256, 32
COUNTS = (1, 2, 3, 8, 64)


def normal(*shape):
    return random.standard_normal(shape, dtype=np.float32)


def session(node, inputs, initializers=()):
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
    declared = [helper.make_tensor_value_info(name, kinds[np.dtype(kind)], shape) for name, kind, shape in inputs]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = helper.make_graph([node], "one", declared, outputs, list(initializers))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def attention():
    node = helper.make_node(
        "GroupQueryAttention",
        ["q", "k", "v", "past_k", "past_v", "last", "total"],
        ["y", "present_k", "present_v"],
        domain="com.microsoft",
        num_heads=HEADS,
        kv_num_heads=KV_HEADS,
    )
    f, i, kv = np.float32, np.int32, KV_HEADS * HEAD
    inputs = [("q", f, [1, "n", WIDTH]), ("k", f, [1, "n", kv]), ("v", f, [1, "n", kv])]
    inputs += [(name, f, [1, KV_HEADS, "past", HEAD]) for name in ("past_k", "past_v")]
    run = session(node, [*inputs, ("last", i, [1]), ("total", i, [1])])
    q, k, v = normal(1, 64, WIDTH), normal(1, 64, kv), normal(1, 64, kv)
    past = {name: normal(1, KV_HEADS, PAST, HEAD) for name in ("past_k", "past_v")}
    for n in COUNTS:
        rows = {"q": q[:, :n], "k": k[:, :n], "v": v[:, :n]}
        sizes = {"last": np.array([PAST + n - 1], i), "total": np.array([PAST + n], i)}
        yield run.run(["y"], {**rows, **past, **sizes})[0][0, 0]


def product(operator, weights, **attributes):
    names = [f"w{index}" for index in range(len(weights))]
    domain = "com.microsoft" if attributes else ""
    node = helper.make_node(operator, ["x", *names], ["y"], domain=domain, **attributes)
    tensors = [numpy_helper.from_array(array, name) for array, name in zip(weights, names)]
    run = session(node, [("x", np.float32, ["n", WIDTH])], tensors)
    x = normal(64, WIDTH)
    for n in COUNTS:
        yield run.run(None, {"x": x[:n]})[0][0]


packed = [random.integers(0, 256, (WIDTH, WIDTH // GROUP, GROUP), dtype=np.uint8), normal(WIDTH * WIDTH // GROUP) * 0.01]
bits = {"K": WIDTH, "N": WIDTH, "bits": 8, "block_size": GROUP}
print(onnxruntime.__version__)
differences = {}
for name, rows in {
    "GroupQueryAttention": attention(),
    "MatMulNBits": product("MatMulNBits", packed, **bits),
    "MatMulNBits, accuracy_level 4": product("MatMulNBits", packed, **bits, accuracy_level=4),
    "MatMul": product("MatMul", [normal(WIDTH, WIDTH)]),
}.items():
    alone, *first_of = rows
    differences[name] = [float(abs(row - first_of[0]).max()) for row in (alone, *first_of)]
    print(f"{name:30}", *(f"{n}: {difference:.0e} " for n, difference in zip(COUNTS, differences[name])))
alone, *several = differences["GroupQueryAttention"]
sys.exit(not (alone > 0 and not any(several)))
PYTHON
