"""A real vLLM server, of the Python that GREEN_CODE_VLLM names: the default model, made to know Qwen's control tokens.

These tokens are untrained: such a model shows how it is asked, not how well it fills in.
"""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from typing import TYPE_CHECKING

from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.evaluation.stacks import in_safetensors
from engine.evaluation.vllm_server import VllmServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "s3cret"  # noqa: S105 - of a server that ends with its test
N_POSITIONS = 512
_CONTROL = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"]


@contextlib.contextmanager
def serving(default_model: Path, folder: Path) -> Iterator[VllmServer]:
    """Serves on this machine in fp32; its model's chats have a penalty for what was said already.

    Args:
        default_model: The folder of the default model.
        folder: Where the changed model is written.
    """
    with in_safetensors(default_model) as readable:
        model = AutoModelForCausalLM.from_pretrained(readable, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(readable, local_files_only=True)
    tokenizer.add_special_tokens({"extra_special_tokens": _CONTROL})
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    chat = folder / "generation_config.json"
    chat.write_text(json.dumps({**json.loads(chat.read_text()), "repetition_penalty": 1.5}))
    options = ("--served-model-name", "coder", "coder-latest", "--max-model-len", str(N_POSITIONS), "--enforce-eager")
    server = VllmServer(
        os.environ["GREEN_CODE_VLLM"], folder, device="cpu", precision="fp32", threads=2, token=TOKEN, options=options
    )
    try:
        yield server
    finally:
        server.close()


def count(url: str, what: str) -> float:
    """A figure of the server's own counters, such as how many tokens it has written."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310 - a server of ours
        lines = answer.read().decode().splitlines()
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"vllm:{what}{{")]
    assert found
    return sum(found)
