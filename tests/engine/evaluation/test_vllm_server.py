"""vLLM's server as a stack, by a program that is started and answers as vLLM 0.32.0 does, and computes in a child."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import psutil
import pytest

from engine.errors import ConfigError
from engine.evaluation.vllm_server import VllmServer

if TYPE_CHECKING:
    from pathlib import Path

    from engine.evaluation.vllm_server import VllmPrecision

pytestmark = pytest.mark.timeout(60)

TOKEN = "s3cret"  # noqa: S105 - of no server
PROGRAM = textwrap.dedent(
    """\
    #!{python}
    import json, os, subprocess, sys, time
    from http.server import BaseHTTPRequestHandler, HTTPServer

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.say({{"version": "0.32.0"}})

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with open({asked!r}, "a") as file:
                token, threads = self.headers["Authorization"], os.environ["OMP_NUM_THREADS"]
                file.write(json.dumps([asked, token, threads, sys.argv[1:]]))
            until = time.process_time() + 0.1
            while time.process_time() < until:
                pass
            self.say({{"usage": {{"completion_tokens": len(asked["prompt"]) * asked["max_tokens"]}}}})

        def say(self, answer):
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
    """
)


def program(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(text.format(python=sys.executable, asked=str(folder / "asked")))
    path.chmod(0o700)
    return str(path)


def started(folder: Path, text: str = PROGRAM, precision: VllmPrecision = "bf16") -> VllmServer:
    return VllmServer(
        program(folder, text), folder / "model", device="cpu", precision=precision, threads=1, token=TOKEN
    )


def test_requests_are_run_as_they_are_asked_for_and_all_processes_are_counted(tmp_path: Path) -> None:
    server = started(tmp_path)
    before_s = server.cpu_s()

    server.run([5, 6, 7], 4)
    one_s = server.cpu_s() - before_s
    version = server.version()
    server.batch_of(2)([5, 6, 7], 4)
    server.close()

    asked = (tmp_path / "asked").read_text()
    assert asked.startswith('[{"prompt": [[5, 6, 7]], "max_tokens": 4, "min_tokens": 4, "ignore_eos": true, ')
    assert '{"prompt": [[5, 6, 7], [5, 6, 7]], "max_tokens": 4,' in asked
    assert '"Bearer s3cret", "1", ["-m", "vllm.entrypoints.openai.api_server", "--model",' in asked
    assert '"--dtype", "bfloat16"' in asked
    assert 0.05 <= one_s < 5
    assert version == "0.32.0"


def test_all_its_processes_end(tmp_path: Path) -> None:
    server = started(tmp_path)
    first = psutil.Process(server.process.pid)
    processes = [first, *first.children(recursive=True)]

    server.close()

    assert len(processes) == 2
    gone, alive = psutil.wait_procs(processes, timeout=10)
    assert (len(gone), alive) == (2, [])


def test_one_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^vLLM ended before it served: No module named 'vllm'$"):
        started(tmp_path, "#!/bin/sh\necho one >&2; echo \"No module named 'vllm'\" >&2; exit 1\n")


def test_a_python_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nobody cannot be run as a Python that has vLLM \(No such file"):
        VllmServer(str(tmp_path / "nobody"), tmp_path, device="cpu", precision="fp32", threads=1)
