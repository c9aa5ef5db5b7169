"""Two processes that `accelerate launch` starts train as one."""

import json
import socket
import subprocess
import sys
from pathlib import Path


def test_two_processes_end_with_the_same_exits(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    launch = ["accelerate.commands.launch", "--use_fsdp", "--num_processes=2", f"--main_process_port={port}"]
    ours = ["-m", "tests.engine.training.sharded_run", str(tmp_path)]

    started = subprocess.Popen([sys.executable, "-m", *launch, *ours])
    try:
        started.wait(timeout=200)
    finally:
        started.terminate()  # which ends the two as well

    assert started.returncode == 0
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert first["share"] == 0.5
    assert first["finite"]
    assert first["kept"]
    assert first["steps"] == [1, 2, 1, 2]
