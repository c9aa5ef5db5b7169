#!/usr/bin/env bash
# torch 2.13.0: the first `torch.compile` in a process warns that torch.jit is deprecated, and advises `torch.compile`.
#
# The compiler imports `torch.utils.mkldnn`, whose classes are still scripted. Where warnings are errors, as in many test
# suites, nothing can be compiled, and the advice is what was just done. Nobody's own code is named as the place.
#   python -W error::DeprecationWarning    DeprecationWarning: `torch.jit.script_method` is deprecated. Please switch to
#                                          `torch.compile` or `torch.export`., raised from torch/utils/mkldnn.py
#   as it comes                            the same function compiles and gives 9
# Exits non-zero when the compiler no longer warns of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy
cat >"$folder/compiles.py" <<'PYTHON'
import torch

print(int(torch.compile(lambda row: (2 * row + 1).sum(), dynamic=False)(torch.ones(3))))
PYTHON
"$folder/venv/bin/python" "$folder/compiles.py"
if "$folder/venv/bin/python" -W error::DeprecationWarning "$folder/compiles.py" >"$folder/said" 2>&1; then
  echo "compiles where warnings are errors, too"
  exit 1
fi
grep -o "torch/utils/mkldnn.py" "$folder/said" | head -1
grep "Please switch to .torch.compile" "$folder/said" | tail -1
