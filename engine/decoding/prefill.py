"""Prefill: a prompt through all layers, in chunks, which several threads take side by side where the runner lets them.

Chunk by chunk and segment by segment is a staircase: as soon as one chunk has left a segment, the next may enter it. So
two threads, each alone in its segment, share a prompt without ever waiting within a product of matrices, which is what
threads inside the runner would do. Far chunks may leave at an exit: what the deepest layers would still make of their
keys and values matters little to what is written many tokens behind them. No sampling, no policy, no text.
"""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.config import COMPUTING_THREADS
from engine.decoding.work import further_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.decoding.work import PhaseCounter, WorkCounter
    from engine.model.early_exit import EarlyExitModel
    from engine.model.layer_runner import Array, KVCache

CHUNK = 64
"""Most tokens; large enough for full speed."""

_SEGMENT_WORK = 1_400_000_000  # products of a chunk in a segment: so much is cancelled within 20 ms on two cores
_LEAST_SHARE = 32  # tokens; to share fewer between threads costs more than it gains


@dataclass(slots=True)
class _Chunk:
    rows: Array  # [1, T, D]
    position: int  # of the first
    n_layers: int  # that it runs
    n_segments: int = 0  # that it has been through


def prefill(
    model: EarlyExitModel,
    cache: KVCache,
    token_ids: Sequence[int],
    *,
    position: int,
    far_depth: float,
    work: WorkCounter,
    check: Callable[[], None],
    between: Callable[[], None] = lambda: None,
) -> Array:
    """Runs tokens and gives the hidden states behind the last chunk of them, which runs at full depth, [1, T, D].

    Args:
        model: Its runner says how many threads may share the work.
        cache: Filled up to `position` in every layer.
        token_ids: At least one.
        position: Position of the first of them.
        far_depth: Share of the layers behind which the chunks before the last one leave, at the next exit.
        work: Charged with what has run, also where `check` ends it, and with what was left out.
        check: Called before each segment; may raise, and nothing runs any more when that leaves here.
        between: Called behind `check`, while nothing runs; may run other prompts over other caches.
    """
    waiting = deque(_chunks(model, token_ids, position, _exit_behind(far_depth, model)))
    under_way: list[_Chunk] = []

    def step(chunk: _Chunk) -> None:
        chunk.rows = model.run_layers(chunk.rows, *model.segments[chunk.n_segments], cache)
        if model.segments[chunk.n_segments][1] == chunk.n_layers < model.n_layers:
            model.propagate(chunk.rows, chunk.n_layers, cache)

    with ExitStack() as stack:
        threads = None
        if len(waiting) > 1:
            threads = stack.enter_context(ThreadPoolExecutor(model.callers, thread_name_prefix=COMPUTING_THREADS))
        while True:
            if waiting and len(under_way) < model.callers and all(chunk.n_segments for chunk in under_way):
                under_way.append(waiting.popleft())
            check()
            between()
            if threads is None or len(under_way) == 1:
                step(under_way[0])
            else:
                list(threads.map(step, under_way))
            for chunk in under_way:
                _charge(work.prefill, chunk, model)
                chunk.n_segments += 1
            if model.segments[under_way[0].n_segments - 1][1] == under_way[0].n_layers:
                done = under_way.pop(0)
                _charge_exit(work, done, model)
                if not (waiting or under_way):
                    return done.rows


def _chunks(model: EarlyExitModel, token_ids: Sequence[int], position: int, far_layers: int) -> Iterator[_Chunk]:
    start = 0
    for n_tokens in _shares(len(token_ids), model):
        rows = model.embed(token_ids[start : start + n_tokens], position + start)
        start += n_tokens
        is_last = start == len(token_ids)
        yield _Chunk(rows, position + start - n_tokens, model.n_layers if is_last else far_layers)


def _exit_behind(share: float, model: EarlyExitModel) -> int:
    """The first exit behind a share of the layers; all layers where none is."""
    return next((layer for layer in model.exit_layers if layer >= share * model.n_layers), model.n_layers)


def _shares(n_tokens: int, model: EarlyExitModel) -> list[int]:
    """Even chunks, none too large to be cancelled soon, and one for each caller where that is worth it."""
    n_layers = max(stop - start for start, stop in model.segments)
    chunk = max(_LEAST_SHARE, min(CHUNK, _SEGMENT_WORK // (n_layers * model.geometry.layer_params)))
    n_chunks = max(-(-n_tokens // chunk), min(model.callers, n_tokens // _LEAST_SHARE), 1)
    least, n_larger = divmod(n_tokens, n_chunks)
    return [least + 1] * n_larger + [least] * (n_chunks - n_larger)


def _charge(counter: PhaseCounter, chunk: _Chunk, model: EarlyExitModel) -> None:
    """Counts the segment that a chunk has just been through; its tokens once it has been through all."""
    (start, stop), n_tokens = model.segments[chunk.n_segments], chunk.rows.shape[1]
    # Rounded down at each border, so that the shares add up to the chunk's tokens.
    counter.prefill_tokens += n_tokens * stop // model.n_layers - n_tokens * start // model.n_layers
    _charge_passes(counter, stop - start, chunk)


def _charge_exit(work: WorkCounter, chunk: _Chunk, model: EarlyExitModel) -> None:
    """Counts the keys and values that a chunk left behind at an exit, and what the layers would have taken instead."""
    if chunk.n_layers == model.n_layers:
        return
    n_tokens, n_skipped = chunk.rows.shape[1], model.n_layers - chunk.n_layers
    share = model.geometry.kv_params / model.geometry.layer_params
    n_projected = math.ceil(n_tokens * n_skipped * share / model.n_layers)
    work.prefill.prefill_tokens += n_projected
    work.prefill.propagated_layers += n_skipped
    left_out = work.left_out  # a difference from `prefill`, and only ever added to it: parts of it may be negative
    left_out.prefill_tokens += n_tokens - n_tokens * chunk.n_layers // model.n_layers - n_projected
    left_out.propagated_layers -= n_skipped
    _charge_passes(left_out, n_skipped, chunk)


def _charge_passes(counter: PhaseCounter, n_layers: int, chunk: _Chunk) -> None:
    """Counts a chunk's passes over layers. Its further positions are prefill_tokens; what they attend to is not."""
    n_tokens = chunk.rows.shape[1]
    counter.layers(passes=n_layers, context=chunk.position + n_tokens)
    counter.context_tokens += n_layers * further_context(n_tokens - 1, chunk.position)
