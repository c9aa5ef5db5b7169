"""A short run of `editor_kills`: once behind each step."""

import sys

import pytest

from tests.lsp_server.dying_editor import STEPS
from tests.lsp_server.editor_kills import N_OTHERS, kill


@pytest.mark.skipif(sys.platform == "win32", reason="its deadlines are those of signals")
@pytest.mark.timeout(180)
def test_whenever_an_editor_is_killed_its_server_goes_and_nothing_is_left_or_lost() -> None:
    seen = kill(len(STEPS))

    assert (seen.left, seen.lost) == ([], set())
    assert seen.answered > N_OTHERS
