"""How fast a loaded model decodes: by depth, by green mode, beside llama.cpp, all taking turns within each round.

A ratio is taken within one round, and its median over the rounds: a machine that is slow for a while slows both sides.
Times are wall-clock; CPU seconds are of all threads of this process.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from engine.decoding.decoder import Decoder
from engine.decoding.prefill import prefill
from engine.decoding.stopping import StopCondition
from engine.decoding.work import WorkCounter
from engine.evaluation.neighbour import Lateness, lateness_beside
from engine.policy.base import ExitCandidate, OperatingPoint
from engine.policy.baselines import FullDepth
from engine.policy.operating_point import Plan, plan_for
from engine.types import DEFAULT_GREEN_MODE, NeverCancelled, ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.evaluation.llama_cpp import LlamaCpp
    from engine.model.early_exit import Listing
    from engine.model.loaded import LoadedModel
    from engine.policy.learned import LearnedPolicy

PROMPT_TOKENS, STEPS = 256, 24
GREEN_MODES = (0, DEFAULT_GREEN_MODE, 100)

_CANCELLATIONS = 100
_PIECES = 100  # of the neighbour's work: a second
_POLICY_CHECKS = 300
_STREAM_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity over the rounds, in seconds for each token or prompt."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSpeed:
    """What `measure_decoding` found; see `Measured` for the units.

    Attributes:
        prefill: By runner: ours on all cores, ours as it runs where energy has a weight, and each peer.
        step: By runner: one token at full depth.
        by_depth: By layers run: one token and the head over the tokens listed for it, as where energy has a weight.
        by_green_mode: By green mode: one emitted token of real suggestions, prompts apart; empty without a policy.
        policy_check_s: One decision of the learned policy; None without one.
        neighbour: By runner, None for nobody: how late a neighbour is beside its decoding at full depth, each round.
        cancel_s: From a cancellation to the decoder's return, sorted.
        weight_bytes: Read for one token at full depth.
        stream_bytes_per_s: What this machine reads from memory with the same threads.
    """

    prefill: dict[str, Measured]
    step: dict[str, Measured]
    by_depth: dict[int, Measured]
    by_green_mode: dict[int, Measured]
    policy_check_s: float | None
    neighbour: dict[str | None, list[Lateness]]
    cancel_s: list[float]
    weight_bytes: float
    stream_bytes_per_s: float


OURS, OURS_FRUGAL = "green-code", "green-code, frugal"


def measure_decoding(
    loaded: LoadedModel,
    learned: LearnedPolicy | None,
    texts: Sequence[str],
    peers: Sequence[LlamaCpp],
    *,
    rounds: int,
    progress: ProgressSink = no_progress,
) -> DecodeSpeed:
    """Times everything once a round.

    Args:
        loaded: The model.
        learned: Its policy, if it has one.
        texts: Source code up to a cursor; its last 256 tokens are the prompt. The first text, with some tokens of its
            own end to decode along, is prefilled and stepped through; all are completed at the green modes.
        peers: The same weights elsewhere.
        rounds: How often; one more before them warms up and is thrown away.
        progress: Is called for each round.
    """
    encoded = [loaded.tokenization.encode(text) for text in texts]
    prompts, ids = [ids[-PROMPT_TOKENS:] for ids in encoded], encoded[0][-(PROMPT_TOKENS + STEPS) :]
    assert len(ids) == PROMPT_TOKENS + STEPS, "the first text is too short"
    prompt: dict[str, Measured] = defaultdict(Measured)
    step: dict[str, Measured] = defaultdict(Measured)
    by_depth: dict[int, Measured] = defaultdict(Measured)
    by_green_mode: dict[int, Measured] = defaultdict(Measured)
    neighbour: dict[str | None, list[Lateness]] = defaultdict(list)
    ours = Stepper(loaded)
    for round_ in range(rounds + 1):
        progress("Rounds of decoding", round_, rounds + 1)
        if round_ == 1:
            for found in (prompt, step, by_depth, by_green_mode, neighbour):
                found.clear()
        runners: list[tuple[str, _Runner]] = [(OURS, ours), *((peer.name, peer) for peer in peers), (OURS_FRUGAL, ours)]
        neighbour[None].append(lateness_beside(None, pieces=_PIECES))
        for name, runner in runners:
            loaded.model.use_cores(all_cores=name == OURS)
            timed(prompt[name], 1, partial(runner.prefill, ids[:PROMPT_TOKENS]))
            timed(step[name], STEPS, partial(steps, runner.step, ids[PROMPT_TOKENS:]))
            neighbour[name].append(lateness_beside(partial(_decode_anew, runner, ids), pieces=_PIECES))
        for depth in (*loaded.model.exit_layers, loaded.model.n_layers):
            ours.prefill(ids[:PROMPT_TOKENS])
            timed(by_depth[depth], STEPS, partial(steps, partial(ours.step, depth=depth), ids[PROMPT_TOKENS:]))
        for mode in GREEN_MODES if learned is not None else ():
            _complete(loaded, learned, prompts, mode, by_green_mode[mode])
    geometry = loaded.model.geometry
    weights = geometry.n_layers * geometry.layer_params + geometry.head_params
    return DecodeSpeed(
        prefill=dict(prompt),
        step=dict(step),
        by_depth=dict(by_depth),
        by_green_mode=dict(by_green_mode),
        policy_check_s=None if learned is None else _policy_check_s(learned, loaded),
        neighbour=dict(neighbour),
        cancel_s=_cancellations(loaded, prompts[0]),
        weight_bytes=weights * geometry.bytes_per_param,
        stream_bytes_per_s=_stream_bytes_per_s(),
    )


class Ratio(NamedTuple):
    """The ratio of two quantities measured in the same rounds; JSON writes it as a list."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        """The median, with the range in brackets."""
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours as a multiple of theirs, round by round."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Ratio(median=statistics.median(ratios), least=min(ratios), greatest=max(ratios))


def line(by_depth: dict[int, Measured]) -> tuple[float, float, float]:
    """Least squares of a token's time over its depth: intercept and slope in seconds, and the correlation."""
    depths = np.array(sorted(by_depth), dtype=float)
    times = np.array([statistics.median(by_depth[int(depth)].wall_s) for depth in depths])
    slope, intercept = np.polyfit(depths, times, 1)
    return float(intercept), float(slope), float(np.corrcoef(depths, times)[0, 1])


class _Runner(Protocol):
    """What `LlamaCpp` and our own model have in common."""

    def prefill(self, token_ids: Sequence[int]) -> None: ...

    def step(self, token_id: int) -> None: ...


class Stepper:
    """Our model, driven like a peer."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self._cache = loaded.model.new_cache()
        self._listing: Listing | None = None

    @torch.inference_mode()
    def prefill(self, token_ids: Sequence[int]) -> None:
        """Reads a prompt from an empty cache, and chooses the token behind it."""
        model = self._model
        self._cache.crop(0)
        self._listing = model.listing(token_ids)
        rows = prefill(model, self._cache, token_ids, position=0, far_depth=1.0, work=WorkCounter(), check=_go_on)
        model.choices(model.logits(model.exit_state(rows[:, -1:], model.n_layers), model.n_layers))  # waits for a GPU

    def back_to(self, n_positions: int) -> None:
        """Forgets the steps behind a prompt of so many tokens, which then need not be read again."""
        self._cache.crop(n_positions)

    @torch.inference_mode()
    def step(self, token_id: int, depth: int | None = None, *, whole_head: bool = False) -> None:
        """Up to `depth` and the head over a listing; at full depth and with the whole head where none is given."""
        model, listing = self._model, None if depth is None or whole_head else self._listing
        depth = depth or model.n_layers
        rows = model.embed([token_id], self._cache.lengths[0])
        for start, stop in model.segments:
            if stop <= depth:
                rows = model.run_layers(rows, start, stop, self._cache)
        logits = model.logits(model.exit_state(rows, depth), depth, listing)
        model.choices(logits, None if listing is None else listing.ids)


def _go_on() -> None:
    """Never cancels: the check of a decoding that runs to its end."""


def steps(step: Callable[[int], None], token_ids: Sequence[int]) -> None:
    """Takes a step with each token."""
    for token_id in token_ids:
        step(token_id)


def _decode_anew(runner: _Runner, token_ids: Sequence[int]) -> None:
    """Decodes behind a single token: steps without the prompt that real text has, and with no end to the cache."""
    runner.prefill(token_ids[:1])
    steps(runner.step, token_ids[1 : STEPS + 1])


def timed(into: Measured, count: int, work: Callable[[], object]) -> None:
    """Adds what a `count`-th part of `work` takes."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    into.wall_s.append((time.perf_counter() - wall_s) / count)
    into.cpu_s.append((time.process_time() - cpu_s) / count)


def _complete(
    loaded: LoadedModel, learned: LearnedPolicy | None, prompts: Sequence[Sequence[int]], mode: int, into: Measured
) -> None:
    """Decodes behind every prompt, which the cache holds but for its last token."""
    wall_s = cpu_s = 0.0
    n_tokens = 0
    stop = StopCondition(max_new_tokens=STEPS, end_ids=loaded.tokenization.end_ids)
    plan = plan_for(mode, None, (*loaded.model.exit_layers, loaded.model.n_layers), learned)
    loaded.model.use_cores(all_cores=plan.all_cores)
    for prompt in prompts:
        decoder = Decoder(loaded.model)
        _decode(decoder, prompt, plan, replace(stop, max_new_tokens=1))
        started_wall_s, started_cpu_s = time.perf_counter(), time.process_time()
        n_tokens += _decode(decoder, prompt, plan, stop)
        wall_s += time.perf_counter() - started_wall_s
        cpu_s += time.process_time() - started_cpu_s
    if n_tokens:
        into.wall_s.append(wall_s / n_tokens)
        into.cpu_s.append(cpu_s / n_tokens)


def _decode(decoder: Decoder, prompt: Sequence[int], plan: Plan, stop: StopCondition) -> int:
    """How many tokens were decoded."""
    tokens = decoder.generate(prompt, policy=plan.policy, point=plan.point, stop=stop, cancellation=NeverCancelled())
    return sum(1 for _ in tokens)


def _policy_check_s(learned: LearnedPolicy, loaded: LoadedModel) -> float:
    """The median seconds of one decision of the policy, on a state that no text has."""
    width, layer = loaded.model.embed([0], 0).shape[-1], learned.info.check_layers[-1]
    state, times = np.random.default_rng(0).standard_normal(width, np.float32), []
    with torch.inference_mode():
        for _ in range(_POLICY_CHECKS):
            started_s = time.perf_counter()
            learned.decide(
                ExitCandidate(
                    hidden=lambda: state,
                    exit_index=loaded.model.exit_layers.index(layer),
                    exit_layer=layer,
                    n_waiting=1,
                    n_emitted=4,
                    n_drafts=1,
                    energy_weight=0.5,
                    text_chance=lambda: 0.5,
                    guess_chance=lambda: 0.5,
                    probability=lambda: 1.0,
                    tokens=list,
                )
            )
            times.append(time.perf_counter() - started_s)
    return statistics.median(times)


class _Cancellation:
    """Set at a moment of the caller's choice, and remembers it."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self.cancelled_s = 0.0

    def cancel(self) -> None:
        self.cancelled_s = time.perf_counter()
        self.is_cancelled = True


def _cancellations(loaded: LoadedModel, prompt_ids: Sequence[int]) -> list[float]:
    """Cancels at moments spread evenly over prefill and decoding; returns the seconds until all work has ended."""
    stop = StopCondition(max_new_tokens=STEPS)
    point = OperatingPoint(energy_weight=0.0, lossless=True)

    def decode(cancellation: _Cancellation) -> float:
        decoder = Decoder(loaded.model)
        started_s = time.perf_counter()
        for _ in decoder.generate(prompt_ids, policy=FullDepth(), point=point, stop=stop, cancellation=cancellation):
            pass
        return time.perf_counter() - started_s

    whole_s = decode(_Cancellation())
    waited_s = []
    for number in range(_CANCELLATIONS):
        cancellation = _Cancellation()
        timer = threading.Timer(whole_s * number / _CANCELLATIONS, cancellation.cancel)
        timer.start()
        decode(cancellation)
        ended_s = time.perf_counter()
        timer.cancel()
        if cancellation.is_cancelled:
            waited_s.append(max(0.0, ended_s - cancellation.cancelled_s))
    return sorted(waited_s)


def _stream_bytes_per_s() -> float:
    block = torch.ones(_STREAM_BYTES // 4)
    threads = torch.get_num_threads()
    torch.set_num_threads(torch.get_num_interop_threads())
    best_s = float("inf")
    for _ in range(5):
        started_s = time.perf_counter()
        block.sum()
        best_s = min(best_s, time.perf_counter() - started_s)
    torch.set_num_threads(threads)
    return _STREAM_BYTES / best_s
