"""Arms by name, and other builds as arms."""

import re
import sys

import pytest

from engine.errors import ConfigError
from engine.types import no_progress
from lsp_server.cli import bench
from lsp_server.replay.auto_close import PAIRS
from lsp_server.replay.replay import Stretch
from lsp_server.replay.server_arms import ARMS, Typing, build_named, replay_in_turns, settings_of

FAKE = [sys.executable, "-m", "tests.lsp_server.fake_server"]


def test_a_build_is_a_name_and_a_command() -> None:
    assert build_named("released='/opt/my python' -I -m server") == (
        "released",
        ["/opt/my python", "-I", "-m", "server"],
    )


@pytest.mark.parametrize("arm", ARMS)
def test_the_command_line_says_what_each_arm_is(arm: str) -> None:
    assert re.search(rf"(?<![\w-]){arm}(?=[,:; ])", bench.replay.__doc__ or "")


@pytest.mark.parametrize("text", ["released", "=python", "released=", "now=python", "peer=python", "two words=python"])
def test_what_names_no_build_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="write NAME=COMMAND"):
        build_named(text)


def test_an_arm_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no arm 'nwo'; choose from now, first"):
        settings_of("nwo")


async def test_builds_take_turns_with_arms() -> None:
    stretch = Stretch(file="a.py", language_id="python", before="a = 1\n", text="b\n", after="")
    builds = {"one": FAKE, "other": FAKE}
    turns = [
        turn
        async for turn in replay_in_turns(
            {"one": {}, "other": {}}, builds, None, [stretch], Typing(seeds=2, pairs=PAIRS), progress=no_progress
        )
    ]

    assert [[run.arm for run in turn] for turn in turns] == [["one", "other"], ["other", "one"]]
    assert all(run.typed_chars == len(stretch.text) for turn in turns for run in turn)
