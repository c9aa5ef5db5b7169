#!/usr/bin/env bash
# llama-cpp-python 0.3.36: at temperature 0 the library takes the most likely token, and the server does not.
#
# The server says of `temperature`: "At the extreme, a temperature of 0 will always pick the most likely next token". Yet its
# `repeat_penalty` is 1.1 unless the request says otherwise, and works at temperature 0 too. Release 0.2.83 changed the default
# of Llama to 1.0 "to match llama.cpp defaults"; the server's is 1.1 still. A tiny random Llama writes on after "abc" at
# temperature 0 (gguf 0.19.0, numpy 2.4.6, CPython 3.11):
#   library   by default              fgololololololol
#   library   repeat_penalty = 1.1    fgoliolololololo
#   server    by default              fgoliolololololo
#   server    repeat_penalty = 1.0    fgololololololol
# Who wants greedy decoding of this server must send `repeat_penalty: 1.0`; in code much repeats rightly. pip builds llama.cpp
# from source here, which took three to five minutes on two busy cores. Exits non-zero when server and library agree by
# default, or when the server no longer describes temperature 0 so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
CMAKE_ARGS=-DLLAVA_BUILD=OFF "$folder/venv/bin/pip" install -q "llama-cpp-python[server]==0.3.36" fastapi==0.165.0 \
  gguf==0.19.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/model.gguf" <<'PYTHON'
import json
import socket
import subprocess
import sys
import time
import urllib.request

import gguf
import llama_cpp
import numpy as np
from llama_cpp.server.types import CreateCompletionRequest

model = sys.argv[1]
WIDTH = 32
TOKENS = ["<unk>", "<s>", "</s>", *"abcdefghijklmnop", "ab"]
random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape, dtype=np.float32)


writer = gguf.GGUFWriter(model, "llama")
writer.add_context_length(256)
writer.add_block_count(1)
writer.add_embedding_length(WIDTH)
writer.add_feed_forward_length(WIDTH)
writer.add_head_count(2)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list(TOKENS)
writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(TOKENS) - 3))
writer.add_token_merges(["a b"])
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
writer.add_tensor("token_embd.weight", normal(len(TOKENS), WIDTH))
head = normal(len(TOKENS), WIDTH)
head[:3] = 0  # so that control tokens, which are not shown, are never the most likely
writer.add_tensor("output.weight", head)
for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
    writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
    writer.add_tensor(f"blk.0.{name}.weight", normal(WIDTH, WIDTH) * 0.1)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

FIELDS = {"prompt": "abc", "max_tokens": 16, "temperature": 0}
library = llama_cpp.Llama(model, n_ctx=128, verbose=False)
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
serve = [sys.executable, "-m", "llama_cpp.server", "--model", model, "--n_ctx", "128", "--host", "127.0.0.1"]
server = subprocess.Popen([*serve, "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def of_library(**fields):
    return library.create_completion(**FIELDS, **fields)["choices"][0]["text"]


def of_server(**fields):
    body = json.dumps({**FIELDS, **fields}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", body, {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request))["choices"][0]["text"]


try:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models")
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)
    greedy, penalized = of_library(), of_library(repeat_penalty=1.1)
    by_default, asked = of_server(), of_server(repeat_penalty=1.0)
finally:
    server.terminate()
    server.wait()
fields = CreateCompletionRequest.model_fields
described = "temperature of 0 will always pick the most likely next token" in fields["temperature"].description
print(llama_cpp.__version__, fields["repeat_penalty"].default, "described as greedy" if described else "")
print(f"library {greedy}, at 1.1 {penalized}; server {by_default}, at 1.0 {asked}")
sys.exit(not (described and greedy == asked != by_default == penalized))
PYTHON
