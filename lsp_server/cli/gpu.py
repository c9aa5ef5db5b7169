"""What ten minutes on a GPU are spent on: commands of this program, the most valuable first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from lsp_server.cli.timed_stages import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.config import DeviceChoice

MINUTES = 10.0
_RESERVE_S = 10.0  # for putting weights together
_CHECKOUT = Path(__file__).parents[2]
_POWER_W = "20"  # on a CPU, where it is tried out and a counter may be missing


def stages(model: str, device: DeviceChoice, folder: Path, minutes: float) -> list[Stage]:
    """The stages, whose boxes fill so many minutes.

    Args:
        model: The model, by name or folder.
        device: "cuda"; anything else is for trying it out, in small sizes.
        folder: Where they write.
        minutes: What there is in all.
    """
    own = (sys.executable, "-m", "lsp_server")
    chosen = ("--model", model, "--device", device)
    is_trial = device != "cuda"
    share = (60 * minutes - _RESERVE_S) / 590  # the boxes below are of ten minutes
    joint_minutes = 105 * share / 60
    marked = ("not gpu", "tests/engine/model/reference/test_graphs.py") if is_trial else ("gpu", "tests")
    tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={_CHECKOUT}", "-m", marked[0])
    rounds, bins, new_tokens = ("2", "1", "16") if is_trial else ("3", "3", "128")
    joint_tokens, joint_blocks = ("4000", "2") if is_trial else ("8000000", "16")
    places, steps, closed_loop_steps = ("8", "2000", "64") if is_trial else ("200", "60000", "512")
    calibration = ("--power-w", _POWER_W) if is_trial else ()
    all_of_them = [
        Stage(
            name="tests",
            question="Are exits, CUDA graphs and NVML right on this GPU?",
            command=(sys.executable, *tests, str(_CHECKOUT / marked[1])),
            box_s=100 * share,
        ),
        Stage(
            name="doctor",
            question="Which device and which counters were found?",
            command=(*own, "doctor", *chosen),
            box_s=20 * share,
        ),
        Stage(
            name="decode",
            question="How many ms does a token take by depth and by green mode, recorded and replayed as CUDA graphs?",
            command=(*own, "bench", "decode", *chosen, "--rounds", rounds, "--output", str(folder / "decode.jsonl")),
            box_s=50 * share,
        ),
        Stage(
            name="calibrate",
            question="How many joules does it take by depth, and how far is the model of them off the counter?",
            command=(*own, "calibrate", *chosen, *calibration, "--html", str(folder / "calibration.html")),
            box_s=70 * share,
        ),
        Stage(
            name="stacks",
            question="What does a request take beside transformers' generate, cached and compiled, and vLLM?",
            command=(
                *own,
                *("reproduce", "energy-considerations", *chosen, "--rounds", "2", "--most-bins", bins),
                *("--most-prompt-tokens", "256", "--most-new-tokens", new_tokens, "--output", str(folder / "stacks")),
            ),
            box_s=110 * share,
        ),
        Stage(
            name="exits",
            question="How good do exits become by a joint training of as much text as the minutes allow?",
            command=(
                *own,
                *("train", "exits", *chosen, "--joint-tokens", joint_tokens),
                *("--joint-blocks", joint_blocks, "--joint-minutes", f"{joint_minutes:.3f}"),
            ),
            box_s=150 * share,
        ),
        Stage(
            name="policy",
            question="How good a policy do these exits get?",
            command=(
                *own,
                *("train", "policy", *chosen, "--places", places, "--steps", steps),
                *("--closed-loop-steps", closed_loop_steps),
            ),
            box_s=90 * share,
        ),
    ]
    return all_of_them if (_CHECKOUT / "tests").is_dir() else all_of_them[1:]


def only(those: Sequence[Stage], names: Sequence[str]) -> list[Stage]:
    """Those of these names; all where none is given.

    Raises:
        ConfigError: If there is no such stage.
    """
    known = {stage.name: stage for stage in those}
    for name in names:
        if name not in known:
            raise ConfigError(f"There is no stage '{name}'; there are {', '.join(known)}.")
    return [known[name] for name in names] if names else list(those)
