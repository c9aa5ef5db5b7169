#!/usr/bin/env bash
# peft 0.21.2, torch 2.13.0: under autocast every LoRA layer copies its input to float32, which autocast then copies back.
#
# peft keeps the small factors of a bfloat16 model in float32, and so turns each layer's input into float32 before it
# multiplies. Autocast, which trainers switch on by their `bf16` option, makes bfloat16 of it again. The two copies cancel
# bit for bit, and are as large as all states; to cast the factors alone would do.
#   4 layers, input [4, 512, 576]     8 copies of 1,179,648 numbers in place of 0; outputs and gradients the same, bit for bit
# `cast_input_dtype_enabled = False` on each layer leaves them out; no option of `LoraConfig` does.
# Exits non-zero when the copies are gone, or when the results differ.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 peft==0.21.2 transformers==5.24.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import dataclasses
import sys

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch.utils._python_dispatch import TorchDispatchMode

SHAPE = (4, 512, 576)


class Copies(TorchDispatchMode):
    """Counts the changes of type of tensors as large as the states."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten._to_copy.default and args[0].numel() == 4 * 512 * 576:
            self.count += args[0].dtype != result.dtype
        return result


def run(*, casts):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(*(torch.nn.Linear(576, 576, bias=False) for _ in range(4))).to(torch.bfloat16)
    model = get_peft_model(layers, LoraConfig(r=8, lora_alpha=8, target_modules=["0", "1", "2", "3"]))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = casts
    states = torch.randn(SHAPE, dtype=torch.bfloat16)
    with Copies() as copies, torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(states)
    out.float().square().mean().backward()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kinds = {str(parameter.dtype) for parameter in learned}
    return copies.count, out.detach(), [parameter.grad for parameter in learned], kinds


as_it_comes, without = run(casts=True), run(casts=False)
same = torch.equal(as_it_comes[1], without[1]) and all(map(torch.equal, as_it_comes[2], without[2]))
options = [field.name for field in dataclasses.fields(LoraConfig) if "cast" in field.name]
print(f"factors in {as_it_comes[3]}; options of LoraConfig about casts: {options}")
print(f"copies of the states in 4 layers: {as_it_comes[0]} as it comes, {without[0]} without; the same bits: {same}")
sys.exit(not (as_it_comes[0] > without[0] == 0 and same))
PYTHON
