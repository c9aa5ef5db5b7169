"""A real llama.cpp server, in a process of its own: `python -m tests.engine.remote.llama_cpp_server '{"model": FILE}'`.

It prints its address and serves until its input ends.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def llama_cpp_server(model: Path, *, api_key: str = "", n_ctx: int = 512) -> Iterator[str]:
    """Serves a GGUF file on this machine, with one thread; yields the address.

    Args:
        model: The file.
        api_key: The token that it wants; "" for none.
        n_ctx: Tokens that a prompt and its answer may have.
    """
    options = {"model": str(model), "api_key": api_key, "n_ctx": n_ctx}
    command = [sys.executable, "-m", "tests.engine.remote.llama_cpp_server", json.dumps(options)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = next((line.split()[1] for line in process.stdout if line.startswith("LISTENING ")), None)
            assert address is not None, "the server has ended"
            yield address
        finally:
            process.kill()


def serve(options: dict[str, object]) -> None:
    """Serves until the input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.n_ctx, params.n_parallel, params.port = options["n_ctx"], 1, 0
    params.n_batch = params.n_ubatch = 128  # it takes other files as far as they fit behind one batch
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [options["api_key"]] if options["api_key"] else []
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"LISTENING {server.listening_address}", flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
