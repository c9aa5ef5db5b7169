"""What `green-code bench decode` says of measurements; the measuring itself is tests/engine/evaluation's."""

import io
import json

import pytest
from rich.console import Console

from engine.config import EngineConfig
from engine.evaluation.decode_speed import OURS, OURS_FRUGAL, DecodeSpeed, Measured
from engine.evaluation.neighbour import Lateness
from lsp_server.cli.bench_decode import _before_cursor, _facts, _notes, _table

PEER = "llama.cpp Q8_0, 2 threads"
FRUGAL = "llama.cpp Q8_0, 1 thread"


def times(wall_ms: float, cpu_ms: float = 0.0) -> Measured:
    """Two rounds, the second on a machine half as fast."""
    return Measured(wall_s=[wall_ms / 1e3, wall_ms / 500], cpu_s=[cpu_ms / 1e3, cpu_ms / 500])


def late(p95_ms: float) -> Lateness:
    return Lateness(p50_s=p95_ms / 4e3, p95_s=p95_ms / 1e3, p99_s=p95_ms / 500)


SPEED = DecodeSpeed(
    prefill={OURS: times(200), PEER: times(400), FRUGAL: times(800), OURS_FRUGAL: times(300)},
    step={OURS: times(8, 16), PEER: times(10, 20), FRUGAL: times(12, 12), OURS_FRUGAL: times(10, 10)},
    by_depth={3: times(1.7), 6: times(2.4), 30: times(9.0)},
    by_green_mode={0: times(5, 9), 30: times(4, 6)},
    policy_check_s=2e-5,
    neighbour={None: [late(0.1), late(0.3)], OURS: [late(0.5), late(0.7)]},
    cancel_s=[n / 1e4 for n in range(100)],
    weight_bytes=143e6,
    stream_bytes_per_s=20e9,
)


def test_the_cursor_stands_behind_the_line_in_the_middle_of_a_module() -> None:
    assert _before_cursor("a = 1\nb = 2\nc = 3\nd = 4\n") == "a = 1\nb = 2\nc = 3"


def test_ratios_to_the_peer_are_those_of_its_best_setting() -> None:
    facts = _facts(EngineConfig(), "CPU, 2 threads, int8", SPEED, (1.5, 400e6))

    assert facts["peer"]["fastest"] == PEER
    assert facts["peer"]["decode"] == (0.8, 0.8, 0.8)
    assert facts["peer"]["prefill"] == (0.5, 0.5, 0.5)
    assert facts["peer"]["cpu"][30] == (0.3, 0.3, 0.3)
    assert facts["peer"]["cpu_one_thread"][30] == (0.5, 0.5, 0.5)
    assert facts["cancel_p99_ms"] == pytest.approx(9.8)
    assert json.loads(json.dumps(facts))["resident_mb"] == 400.0


def test_everything_measured_is_printed_in_words() -> None:
    facts = _facts(EngineConfig(), "CPU, 2 threads, int8", SPEED, (1.5, 400e6))
    console = Console(file=io.StringIO(), width=200)
    console.print(_table(facts))
    for note in _notes(facts):
        console.print(note)

    text = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    for words in (
        "green-code, full depth",
        "exit after layer 30",
        "full-depth decode 0.80 (0.80 to 0.80), prefill 0.50",
        "at green mode 30: 0.30 (0.30 to 0.30); against its most frugal setting 0.50",
        "ready 1.5 s; 400 MB resident",
        "7.2 ms at best",
        "the whole head, which lossless text takes, 1.5 ms more",
        "late by (p95, ms): alone 0.2, beside green-code 0.6",
    ):
        assert words in text


def test_without_a_peer_and_a_policy_nothing_is_said_of_them() -> None:
    alone = DecodeSpeed(
        prefill={OURS: times(200), OURS_FRUGAL: times(300)},
        step={OURS: times(8), OURS_FRUGAL: times(10)},
        by_depth=SPEED.by_depth,
        by_green_mode={},
        policy_check_s=None,
        neighbour={None: [late(0.1)]},
        cancel_s=[],
        weight_bytes=1.0,
        stream_bytes_per_s=1.0,
    )

    facts = _facts(EngineConfig(), "CPU", alone, (1.5, 400e6))

    assert "peer" not in facts
    assert not any("Against" in note for note in _notes(facts))
    assert "No policy was trained for this model, so nothing is said of green modes" in _notes(facts)
