#!/usr/bin/env bash
# transformers 5.23.0 and 5.24.0: a decoder layer's argument for the KV cache was renamed in a minor release, and the old
# release takes the new name without a word and leaves the cache empty.
#
# Called with one hidden state and an empty DynamicCache, LlamaDecoderLayer does the following (torch 2.13.0, CPython 3.11):
#   5.23.0  past_key_values=  fills the cache with 1 position, no warning
#   5.23.0  cache=            fills it with 0 positions, no warning: the name is lost among **kwargs
#   5.24.0  past_key_values=  fills it with 1 position, FutureWarning: removed in 5.40.0
#   5.24.0  cache=            fills it with 1 position, no warning
# Who calls layers must read the signature of `forward`. Exits non-zero when the output is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 5.23.0 5.24.0; do
  "$folder/venv/bin/pip" install -q torch==2.13.0 "transformers==$version"
  "$folder/venv/bin/python" - <<'PYTHON' | tee -a "$folder/found"
import warnings

import torch
import transformers
from transformers import DynamicCache, LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

config = LlamaConfig(hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1)
config._attn_implementation = "sdpa"
layer, rotary = LlamaDecoderLayer(config, 0).eval(), LlamaRotaryEmbedding(config)
hidden, positions = torch.ones(1, 1, 16), torch.zeros(1, 1, dtype=torch.long)
for name in ("past_key_values", "cache"):
    cache = DynamicCache()
    with warnings.catch_warnings(record=True) as told, torch.no_grad():
        warnings.simplefilter("always")
        embeddings = rotary(hidden, positions)
        layer(hidden, position_ids=positions, position_embeddings=embeddings, use_cache=True, **{name: cache})
    kinds = sorted({warning.category.__name__ for warning in told}) or ["no warning"]
    print(transformers.__version__, f"{name}=", cache.get_seq_length(), *kinds)
PYTHON
done
diff "$folder/found" - <<'EXPECTED'
5.23.0 past_key_values= 1 no warning
5.23.0 cache= 0 no warning
5.24.0 past_key_values= 1 FutureWarning
5.24.0 cache= 1 no warning
EXPECTED
