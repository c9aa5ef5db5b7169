"""A short run of `kills`."""

import pytest

from tests.engine.service.kills import LONGEST_S, kill


@pytest.mark.timeout(180)
def test_whatever_is_killed_every_question_ends_and_nothing_is_left() -> None:
    seen = kill(8)

    assert seen.engines_killed
    assert seen.longest_s < LONGEST_S
