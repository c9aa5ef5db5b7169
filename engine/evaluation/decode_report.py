"""`DecodeReport`: what `green-code bench decode` says, as one JSON line and in sentences. It measures nothing."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from engine.evaluation.decode_speed import OURS, OURS_FRUGAL, line, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.evaluation.decode_speed import DecodeSpeed, Ratio

ALONE = "alone"
"""The name of nobody, among those beside whom a neighbour works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """One start of a process.

    Attributes:
        ready_s: From the process' start to a loaded engine, in seconds.
        resident_bytes: Resident memory after a completion.
    """

    ready_s: float
    resident_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerTimes:
    """One runner at full depth, in milliseconds: a prompt of 256 tokens, and a token."""

    prefill_ms: float
    decode_ms: float
    decode_cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTimes:
    """One emitted token of real suggestions, in milliseconds."""

    decode_ms: float
    decode_cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """How late a neighbour's work ends, in milliseconds: quantiles."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstPeer:
    """Our times as multiples of llama.cpp's.

    Attributes:
        fastest: Its setting with the fastest token, which all but `cpu_one_thread` compare with.
        decode: Time of a token at full depth.
        prefill: Time of a prompt.
        cpu: CPU seconds of a token, by green mode.
        cpu_one_thread: The same, against its setting with the fewest CPU seconds.
    """

    fastest: str
    decode: Ratio
    prefill: Ratio
    cpu: Mapping[int, Ratio]
    cpu_one_thread: Mapping[int, Ratio]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeReport:
    """Medians over the rounds.

    Attributes:
        note: What people should know of this run; "" for nothing.
        date: Day of the measurement, UTC.
        machine: The processor.
        device: Where the model runs, for people.
        model: Its name.
        text_sha256: Names the text of the prompts; figures on other text do not compare.
        runners: Times by runner: ours on all cores, ours as it runs where energy counts, and each peer.
        by_depth_ms: A token with the head over the shortlist, by layers run.
        intercept_share: The share of a token at full depth that no layer takes.
        whole_head_ms: What the head over the whole vocabulary takes more than that over the shortlist.
        layer_ms: Time of one layer.
        depth_correlation: Correlation of time and depth.
        by_green_mode: Times by green mode; empty without a policy.
        neighbour_late_ms: How late a neighbour's work ends, by runner, and `ALONE`.
        policy_check_ms: One decision of the policy; None without one.
        cancel_p99_ms: Time until cancelled work has ended; None where nothing could be cancelled.
        cold_start_s: Time from a process' start to ready.
        resident_mb: Memory after a completion.
        weight_mb: Weights read for a token at full depth.
        stream_gb_per_s: The bandwidth of memory.
        peer: Our times against llama.cpp's; None where llama.cpp was not measured.
    """

    note: str
    date: str
    machine: str
    device: str
    model: str
    text_sha256: str
    runners: Mapping[str, RunnerTimes]
    by_depth_ms: Mapping[int, float]
    intercept_share: float
    whole_head_ms: float
    layer_ms: float
    depth_correlation: float
    by_green_mode: Mapping[int, TokenTimes]
    neighbour_late_ms: Mapping[str, Late]
    policy_check_ms: float | None
    cancel_p99_ms: float | None
    cold_start_s: float
    resident_mb: float
    weight_mb: float
    stream_gb_per_s: float
    peer: AgainstPeer | None


def decode_report(
    *, model: str, device: str, text_sha256: str, speed: DecodeSpeed, cold_start: ColdStart, note: str = ""
) -> DecodeReport:
    """Sums up what was measured.

    Args:
        model: Its name.
        device: Where it ran, for people.
        text_sha256: Names the text of the prompts.
        speed: The times.
        cold_start: A start of the engine.
        note: What people should know of this run.
    """
    intercept_s, slope_s, correlation = line(speed.by_depth)
    deepest = max(speed.by_depth)
    return DecodeReport(
        note=note,
        date=datetime.now(timezone.utc).date().isoformat(),
        machine=platform.processor() or platform.machine(),
        device=device,
        model=model,
        text_sha256=text_sha256,
        runners={
            name: RunnerTimes(
                prefill_ms=_ms(speed.prefill[name].wall_s),
                decode_ms=_ms(step.wall_s),
                decode_cpu_ms=_ms(step.cpu_s),
            )
            for name, step in speed.step.items()
        },
        by_depth_ms={depth: _ms(times.wall_s) for depth, times in speed.by_depth.items()},
        intercept_share=intercept_s / (intercept_s + slope_s * deepest),
        whole_head_ms=_ms(speed.step[OURS_FRUGAL].wall_s) - _ms(speed.by_depth[deepest].wall_s),
        layer_ms=1e3 * slope_s,
        depth_correlation=correlation,
        by_green_mode={
            mode: TokenTimes(decode_ms=_ms(times.wall_s), decode_cpu_ms=_ms(times.cpu_s))
            for mode, times in speed.by_green_mode.items()
        },
        neighbour_late_ms={
            name or ALONE: Late(
                p50=_ms([late.p50_s for late in found]),
                p95=_ms([late.p95_s for late in found]),
                p99=_ms([late.p99_s for late in found]),
            )
            for name, found in speed.neighbour.items()
        },
        policy_check_ms=None if speed.policy_check_s is None else 1e3 * speed.policy_check_s,
        cancel_p99_ms=1e3 * speed.cancel_s[int(0.99 * (len(speed.cancel_s) - 1))] if speed.cancel_s else None,
        cold_start_s=cold_start.ready_s,
        resident_mb=cold_start.resident_bytes / 1e6,
        weight_mb=speed.weight_bytes / 1e6,
        stream_gb_per_s=speed.stream_bytes_per_s / 1e9,
        peer=_against_peer(speed),
    )


def json_line(report: DecodeReport) -> str:
    """Every number on one line; unknown is null."""
    return json.dumps(asdict(report))


def sentences(report: DecodeReport) -> Iterator[str]:
    """What a table of the runners, green modes and depths does not say."""
    if report.note:
        yield report.note
    if not report.by_green_mode:
        yield "No policy was trained for this model, so nothing is said of green modes"
    if report.peer is not None:
        yield from _peer_sentences(report.peer)
    yield (
        f"A token is {report.layer_ms:.2f} ms a layer (r {report.depth_correlation:.3f}); embedding, head over the "
        f"shortlist and choice are {report.intercept_share:.0%} of full depth; the whole head, which lossless text "
        f"takes, {report.whole_head_ms:.1f} ms more"
    )
    if report.policy_check_ms is not None:
        yield f"A decision of the policy takes {report.policy_check_ms:.3f} ms"
    late = ", ".join(
        f"{name if name == ALONE else f'beside {name}'} {times.p95:.1f}"
        for name, times in report.neighbour_late_ms.items()
    )
    yield f"A process that works 2 ms every 10 ms, as an editor's UI does, ends its work late by (p95, ms): {late}"
    if report.cancel_p99_ms is not None:
        yield f"Cancelled work ends within {report.cancel_p99_ms:.1f} ms (p99)"
    yield f"From a process' start to ready {report.cold_start_s:.1f} s; {report.resident_mb:.0f} MB resident"
    floor_ms = report.weight_mb / report.stream_gb_per_s
    yield (
        f"A token at full depth reads {report.weight_mb:.0f} MB of weights; memory gives "
        f"{report.stream_gb_per_s:.1f} GB/s, hence {floor_ms:.1f} ms at best"
    )


def _against_peer(speed: DecodeSpeed) -> AgainstPeer | None:
    peers = [name for name in speed.step if name not in {OURS, OURS_FRUGAL}]
    if not peers:
        return None
    fastest = min(peers, key=lambda name: statistics.median(speed.step[name].wall_s))
    frugal = min(peers, key=lambda name: statistics.median(speed.step[name].cpu_s))
    modes = speed.by_green_mode
    return AgainstPeer(
        fastest=fastest,
        decode=ratio(speed.step[OURS].wall_s, speed.step[fastest].wall_s),
        prefill=ratio(speed.prefill[OURS].wall_s, speed.prefill[fastest].wall_s),
        cpu={mode: ratio(times.cpu_s, speed.step[fastest].cpu_s) for mode, times in modes.items()},
        cpu_one_thread={mode: ratio(times.cpu_s, speed.step[frugal].cpu_s) for mode, times in modes.items()},
    )


def _peer_sentences(peer: AgainstPeer) -> Iterator[str]:
    yield f"Against {peer.fastest}, medians over rounds (least to greatest):"
    yield f"  full-depth decode {peer.decode}, prefill {peer.prefill}"
    for mode, cpu in peer.cpu.items():
        yield (
            f"  CPU seconds a token at green mode {mode}: {cpu}; "
            f"against its most frugal setting {peer.cpu_one_thread[mode]}"
        )


def _ms(seconds: Sequence[float]) -> float:
    return 1e3 * statistics.median(seconds) if seconds else float("nan")
