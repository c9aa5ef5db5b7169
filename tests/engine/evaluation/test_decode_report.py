"""What `green-code bench decode` says of measurements."""

import io
import json

import pytest
from rich.console import Console

from engine.evaluation.decode_bench import read_prompts, text_sha256
from engine.evaluation.decode_report import ColdStart, DecodeReport, decode_report, json_line, sentences
from engine.evaluation.decode_speed import OURS, OURS_FRUGAL, DecodeSpeed, Measured
from engine.evaluation.neighbour import Lateness
from lsp_server.cli.render import decode_table

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


ALONE = DecodeSpeed(
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


def report(speed: DecodeSpeed = SPEED) -> DecodeReport:
    return decode_report(
        model="smollm2-135m",
        device="CPU, 2 threads, int8",
        text_sha256="a" * 64,
        speed=speed,
        cold_start=ColdStart(ready_s=1.5, resident_bytes=400e6),
    )


def test_the_prompts_are_the_text_that_earlier_figures_are_on() -> None:
    prompts = read_prompts()

    assert len(prompts) == 8
    assert text_sha256(prompts) == "d427aaecfb04f7433bb2f1caa22f3a7b27f113c9df19e64a4710da2a137c28f7"


def test_ratios_to_the_peer_are_those_of_its_best_setting() -> None:
    peer = report().peer

    assert peer is not None
    assert peer.fastest == PEER
    assert peer.decode == (0.8, 0.8, 0.8)
    assert peer.prefill == (0.5, 0.5, 0.5)
    assert peer.cpu[30] == (0.3, 0.3, 0.3)
    assert peer.cpu_one_thread[30] == (0.5, 0.5, 0.5)


def test_the_line_has_every_number_and_null_for_what_is_unknown() -> None:
    numbers = json.loads(json_line(report()))

    assert numbers["resident_mb"] == 400.0
    assert numbers["cancel_p99_ms"] == pytest.approx(9.8)
    assert numbers["by_depth_ms"]["30"] == pytest.approx(13.5)  # the median of two rounds
    assert numbers["peer"]["decode"] == [0.8, 0.8, 0.8]
    assert numbers["neighbour_late_ms"]["alone"]["p95"] == pytest.approx(0.2)
    assert json.loads(json_line(report(ALONE)))["peer"] is None


def test_everything_measured_is_printed_in_words() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(decode_table(report()))
    for sentence in sentences(report()):
        console.print(sentence)

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
    said = list(sentences(report(ALONE)))

    assert not any("Against" in sentence for sentence in said)
    assert "No policy was trained for this model, so nothing is said of green modes" in said
