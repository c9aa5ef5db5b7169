#!/usr/bin/env bash
# transformers 5.24.0: the model of `transformers serve` never reads the `suffix` of /v1/completions; the server appends it.
#
# The documentation of the Serve CLI says of v1/completions: "It also supports `suffix` for fill-in-the-middle text insertion",
# and so does the docstring of CompletionHandler. A tiny random Llama, whose tokenizer has the three FIM tokens, answers to
# "def f(n):\n    " at temperature 0, streamed or not (torch 2.13.0, fastapi 0.165.0, CPython 3.11):
#   no suffix                  14 prompt tokens   "mBYN(lgr"
#   suffix "SUFFIX"            14 prompt tokens   "mBYN(lgrSUFFIX"
#   suffix "\n    return n"    14 prompt tokens   "mBYN(lgr\n    return n"
# Who puts the answer at a cursor has the text behind it twice. To fill in the middle, write the FIM tokens of the model into
# `prompt`, and send no suffix. Exits non-zero when the suffix is read, or no longer appended.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 "transformers[serving]==5.24.0" fastapi==0.165.0 openai==3.57.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder/model" <<'PYTHON'
import json
import socket
import string
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

model = sys.argv[1]
FIM = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]
vocabulary = {token: index for index, token in enumerate([*string.ascii_letters, *"() \n:", *FIM])}
letters = Tokenizer(models.BPE(vocabulary, []))
letters.decoder = decoders.Fuse()
PreTrainedTokenizerFast(tokenizer_object=letters, additional_special_tokens=FIM).save_pretrained(model)
torch.manual_seed(2)
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}
ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
LlamaForCausalLM(LlamaConfig(vocab_size=len(vocabulary), **sizes, **ends)).save_pretrained(model)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
serve = [Path(sys.executable).with_name("transformers"), "serve", model, "--device", "cpu", "--host", "127.0.0.1"]
server = subprocess.Popen([*serve, "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def answer(**fields):
    body = {"prompt": "def f(n):\n    ", "max_tokens": 8, "temperature": 0, **fields}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    lines = urllib.request.urlopen(request).read().decode().splitlines()
    parts = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    text = "".join(part["choices"][0]["text"] for part in parts)
    print(fields, parts[-1]["usage"]["prompt_tokens"], "prompt tokens", repr(text))
    return text, parts[-1]["usage"]["prompt_tokens"]


try:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)
    print(transformers.__version__)
    text, n_tokens = answer()
    appended = [
        answer(suffix=suffix, stream=stream) == (text + suffix, n_tokens)
        for suffix in ("SUFFIX", "\n    return n")
        for stream in (False, True)
    ]
finally:
    server.terminate()
    server.wait()
sys.exit(not all(appended))
PYTHON
