#!/usr/bin/env bash
# transformers 5.24.0: assisted decoding yields the tokens of greedy decoding, but not under `guidance_scale`: there it yields
# others, and no warning says so.
#
# Five small Llama models of random weights in float64, 20 tokens each, `do_sample=False` (torch 2.13.0, CPython 3.11). As by
# hand are, of five, what `generate` yields with guidance_scale=1.5, and without guidance:
#                             guidance_scale=1.5   without
#   greedy                    5                    5
#   prompt_lookup_num_tokens  0                    5
#   assistant_model           0                    5
# By hand: one pass over the whole text and one over it from the prompt's last token on, for each token, without a cache.
# `UnbatchedClassifierFreeGuidanceLogitsProcessor` runs the model over a text of its own, to which each call adds one token.
# Assisted decoding calls it for each candidate, also for those it then rejects, and they stay in that text; an assistant
# is handed the same object for its own drafts. (Of the latter a warning says only that "a custom logits processor" was passed.)
# With guidance decode token by token. We found no report of it. Exits non-zero when another number is as by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0 numpy
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/found"
import torch
from transformers import LlamaConfig, LlamaForCausalLM

N_MODELS, N_NEW = 5, 20
PROMPT = torch.arange(4, 12).repeat(2)[None]


def random_model(seed, n_layers):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=24,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        initializer_range=0.15,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).double().eval()


@torch.no_grad()
def by_hand(model, scale):
    whole, own = PROMPT, PROMPT[:, -1:]
    for _ in range(N_NEW):
        given, alone = (model(ids, use_cache=False).logits[:, -1].log_softmax(-1) for ids in (whole, own))
        token = (alone + scale * (given - alone)).argmax(-1, keepdim=True)
        whole, own = torch.cat([whole, token], 1), torch.cat([own, token], 1)
    return whole


torch.set_num_threads(1)
n_same = {}
for seed in range(N_MODELS):
    model, assistant = random_model(seed, 2), random_model(seed + 100, 1)
    ways = {"greedy": {}, "prompt lookup": {"prompt_lookup_num_tokens": 4}, "assistant": {"assistant_model": assistant}}
    for scale in (1.5, 1.0):
        expected = by_hand(model, scale)
        for way, options in ways.items():
            found = model.generate(PROMPT, do_sample=False, max_new_tokens=N_NEW, guidance_scale=scale, **options)
            n_same[way, scale] = n_same.get((way, scale), 0) + torch.equal(found, expected)
for (way, scale), n in n_same.items():
    print(f"guidance_scale={scale}, {way}: {n} of {N_MODELS} as by hand")
PYTHON
diff "$folder/found" - <<'EXPECTED'
guidance_scale=1.5, greedy: 5 of 5 as by hand
guidance_scale=1.5, prompt lookup: 0 of 5 as by hand
guidance_scale=1.5, assistant: 0 of 5 as by hand
guidance_scale=1.0, greedy: 5 of 5 as by hand
guidance_scale=1.0, prompt lookup: 5 of 5 as by hand
guidance_scale=1.0, assistant: 5 of 5 as by hand
EXPECTED
