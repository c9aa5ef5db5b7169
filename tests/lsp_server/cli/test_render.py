"""What a completion is said to have cost and saved."""

from dataclasses import replace

import pytest
from rich.console import Console

from engine.types import Completion
from lsp_server.cli.render import between, show_completion
from tests.fakes import fake_completion

COMPLETION = fake_completion()  # 2 J spent, 5 J at full depth, 1 to 6 J of the 3 J saved


@pytest.mark.parametrize(
    ("completion", "told"),
    [
        (COMPLETION, "2.00 J measured · 60 % saved, 3 J (1 to 6 J), against full depth with KV cache (modelled)"),
        (
            replace(COMPLETION, energy=replace(COMPLETION.energy, range_j=(0.5, 2.0))),
            "2.00 J measured (0.5 to 2 J) · 60 % saved",
        ),
        (
            replace(COMPLETION, baseline_energy_j=1.6, saved_range_j=(-1.2, 0.1)),
            "25 % more, 0.4 J (-0.1 to 1.2 J), against full depth with KV cache (modelled)",
        ),
        (
            replace(COMPLETION, baseline_energy_j=None, saved_range_j=None),
            "saving against full depth with KV cache unknown",
        ),
    ],
    ids=["saved", "with other programs' work", "more", "unknown"],
)
def test_what_was_saved_stands_beside_between_which_joules_that_may_be(completion: Completion, told: str) -> None:
    console = Console(width=200)
    with console.capture() as captured:
        show_completion(console, "return ", completion)

    assert told in captured.get()


@pytest.mark.parametrize(
    ("low_j", "high_j", "told"),
    [(0.72, 10.7, "0.72 to 11 J"), (2.22, 333.0, "2.2 to 330 J"), (222.0, 3330.0, "0.22 to 3.3 kJ")],
)
def test_a_range_has_two_digits_and_one_unit(low_j: float, high_j: float, told: str) -> None:
    assert between(low_j, high_j) == told
    assert between(None, high_j) == ""
