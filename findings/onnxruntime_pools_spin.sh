#!/usr/bin/env bash
# onnxruntime 1.32.0: each session has a pool of threads of its own, and a pool goes on spinning for tens of milliseconds
# after `run` has returned. Sessions that take turns on two cores pay for each other's spinning.
#
# One multiplication [8, 1024] x [1024, 1024] a session, two threads each, on two cores (numpy 2.4.6, CPython 3.11). CPU time
# of the process; the machine was busy, so take them as orders of magnitude:
#   within 0.5 s after one run, while nothing runs    1 session  50 ms     2 sessions 107 ms    no spinning 0.1 ms
#   a run, ten sessions by turns                      spinning  5.7 ms     no spinning 0.6 ms
#   a run, one session                                spinning  0.8 ms     no spinning 0.3 ms
# `session.intra_op.allow_spinning` = "0" turns it off; `session.intra_op.spin_duration_us` shortens it. Exits non-zero when
# idle sessions cost less than 5 ms or ten sessions by turns less than twice the CPU time of those that may not spin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import os
import statistics
import sys
import time

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
rows = random.standard_normal((8, 1024), dtype=np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "product",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 1024])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 1024])],
    [numpy_helper.from_array(random.standard_normal((1024, 1024), dtype=np.float32), "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()


def opened(count, spinning):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")  # "1" is the default
    return [onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for _ in range(count)]


def idle_ms(sessions):
    for session in sessions:
        session.run(None, {"x": rows})
    before = time.process_time()
    time.sleep(0.5)
    return (time.process_time() - before) * 1000


def run_ms(sessions, runs=300):
    before = time.process_time()
    for index in range(runs):
        sessions[index % len(sessions)].run(None, {"x": rows})
    return (time.process_time() - before) * 1000 / runs


print(onnxruntime.__version__)
found = {}
for spinning in (True, False):
    for count in (1, 2, 10):
        sessions = opened(count, spinning)
        found[spinning, count] = [statistics.median(of(sessions) for _ in range(3)) for of in (idle_ms, run_ms)]
        idle, run = found[spinning, count]
        print(f"spinning {spinning!s:5}  sessions {count:2}  idle {idle:6.1f} CPU ms  a run {run:5.2f} CPU ms")
        del sessions
sys.exit(not (found[True, 1][0] > 5 > found[False, 10][0] and found[True, 10][1] > 2 * found[False, 10][1]))
PYTHON
