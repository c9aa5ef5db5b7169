"""Two processes that `accelerate launch` starts train as one."""

import json
import subprocess
import sys
from pathlib import Path


def test_two_processes_end_with_the_same_exits(tmp_path: Path) -> None:
    launch = ["accelerate.commands.launch", "--use_fsdp", "--num_processes=2", "--main_process_port=0"]
    ours = ["-m", "tests.engine.training.sharded_run", str(tmp_path)]

    subprocess.run([sys.executable, "-m", *launch, *ours], check=True, capture_output=True, timeout=300)

    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert first["share"] == 0.5
    assert first["finite"]
    assert first["steps"] == [1, 2]
