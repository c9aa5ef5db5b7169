"""The runner for GPUs: the reference's layers over buffers that never move, recorded and replayed as CUDA graphs.

Launching the kernels of a layer takes a GPU's host longer than the GPU takes for one row. So a part of the model (a
segment of layers, or the propagation into those from an exit on) is recorded once for a number of rows, and then costs
one launch: its rows are copied into a buffer, the position of the first one is filled into another, and everything
else, the mask included, follows from these on the device. Rows are padded to a few counts, to have few recordings; what
padding writes stands behind the text, where the next row overwrites it and no mask reaches.

The host waits for the device in two places alone, and a decision asks for one of them: `to_numpy`, when the policy
looks at the current row's state, and the `tolist` in `EarlyExitModel.choices`, when a head's choice is read. Token ids
are sent from pinned memory, and lengths are plain numbers on the host.

More rows than decoding has, such as those of a prompt, run as in the reference, over the same buffers. So does
everything once a recording fails. It knows no exits and no policy.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from engine.model.reference.eager import TorchRunner, visible
from engine.model.reference.static_cache import KVBuffers, StaticKVCache, WritesAt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.layer_runner import KVCache
    from engine.model.reference.trained_exits import TrainedExits

    Replay = Callable[[], torch.Tensor]

logger = logging.getLogger(__name__)

# The current row, 8 drafts and 8 waiting rows are the most that an operating point asks for.
_ROW_COUNTS = (1, 2, 4, 8, 16, 24)
# Of what a recording computes, as a share of its size. Rounding stays below it; a wrong mask or position does not.
_TOLERANCE, _TOLERANCE_BF16 = 1e-3, 5e-2


class Recorder(Protocol):
    """Records what a computation does on the device. All its recordings replay one at a time."""

    def __call__(self, computation: Replay) -> Replay:
        """Runs `computation`, which reads and writes at fixed addresses only, and gives what repeats it.

        Raises:
            RuntimeError: If it cannot be recorded.
        """
        ...


class CudaGraphs:
    """See `Recorder`; with one pool of memory for what lies between the inputs and outputs of all recordings.

    And with one stream of its own: the end of a graph clears what cuBLAS keeps for the stream that it was recorded on,
    which other runners' graphs would go on using (PyTorch's issue 193402), and cuBLAS keeps tens of MB for each stream.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, computation: Replay) -> Replay:
        """See `Recorder.__call__`."""
        here = torch.cuda.current_stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):  # libraries set themselves up on first use, which cannot be recorded
            computation()
        here.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # Only this thread's calls count: a meter's thread may ask the driver for something at any time. A recording
        # that fails leaves its stream in place of this one, which the outer context brings back.
        with (
            torch.cuda.stream(here),
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            output = computation()

        def replay() -> torch.Tensor:
            graph.replay()
            return output

        return replay


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Layers start to stop - 1 for so many rows: run, or their keys and values only."""

    start: int
    stop: int
    n_rows: int
    propagates: bool


class GraphRunner(TorchRunner):
    """See `LayerRunner`; no gradients.

    Attributes:
        records: Whether spans are recorded; False from the first that fails or computes something else.
    """

    def __init__(
        self, backbone: Any, trained_exits: TrainedExits | None = None, *, recorder: Callable[[], Recorder] = CudaGraphs
    ) -> None:
        """Wraps a transformers causal language model; see `TorchRunner`.

        Args:
            backbone: The model, on its device.
            trained_exits: Its trained exits.
            recorder: Makes a recorder for each new set of recordings.

        Raises:
            UnsupportedModelError: If no adapter knows the model's family.
        """
        super().__init__(backbone, trained_exits)
        attention: Any = self.adapter.layers[0].self_attn
        self._buffers = KVBuffers(
            n_layers=self.n_layers,
            n_kv_heads=attention.k_proj.out_features // attention.head_dim,
            head_dim=attention.head_dim,
            max_positions=self.max_positions,
            like=attention.k_proj.weight.detach(),
        )
        self.records = True
        self._recorder = recorder
        self._recorded_capacity = 0  # of the buffers that recordings are bound to
        self._replays: dict[_Span, Replay] = {}
        self._inputs: dict[int, torch.Tensor] = {}  # number of rows -> [1, T, D]
        self._first = torch.zeros(1, dtype=torch.long, device=self._device)  # position of the first row

    def new_cache(self) -> StaticKVCache:  # type: ignore[override]  # another cache than the reference's
        """See `LayerRunner.new_cache`."""
        return StaticKVCache(self._buffers)

    @torch.inference_mode()
    def run_layers(self, hidden: torch.Tensor, start: int, stop: int, cache: KVCache) -> torch.Tensor:
        """See `LayerRunner.run_layers`."""
        return self._compute(hidden, start, stop, cache, propagates=False)

    @torch.inference_mode()
    def propagate(self, hidden: torch.Tensor, start: int, cache: KVCache) -> None:
        """See `LayerRunner.propagate`."""
        self._compute(hidden, start, self.n_layers, cache, propagates=True)

    def _compute(
        self, hidden: torch.Tensor, start: int, stop: int, cache: KVCache, *, propagates: bool
    ) -> torch.Tensor:
        """What follows `hidden` [1, T, D]; in propagation that is `hidden` itself."""
        assert isinstance(cache, StaticKVCache)
        n_rows, position = hidden.shape[1], cache.lengths[start]
        n_padded = next((count for count in _ROW_COUNTS if count >= n_rows), None)
        if not self.records or n_padded is None or position + n_padded > self.max_positions:
            span = _Span(start=start, stop=stop, n_rows=n_rows, propagates=propagates)
            return self._eagerly(span, hidden, cache)
        span = _Span(start=start, stop=stop, n_rows=n_padded, propagates=propagates)
        self._buffers.admit(cache, position + n_padded)
        if self._buffers.capacity != self._recorded_capacity:
            self._replays.clear()
            self._record, self._recorded_capacity = self._recorder(), self._buffers.capacity
        if n_padded not in self._inputs:
            self._inputs[n_padded] = hidden.new_zeros(1, n_padded, hidden.shape[2])
        self._inputs[n_padded][:, :n_rows] = hidden
        self._first.fill_(position)
        if span not in self._replays:
            return self._first_time(span, hidden, cache)
        output = self._replays[span]()
        cache.advance(start, stop, n_rows)
        return output[:, :n_rows].clone()  # rows may wait while the span is replayed

    def _eagerly(self, span: _Span, hidden: torch.Tensor, cache: StaticKVCache) -> torch.Tensor:
        position = cache.lengths[span.start]
        if not span.propagates:
            return self._run(hidden, span.start, span.stop, position, cache)
        self._propagate(hidden, span.start, self._positions(position, hidden.shape[1]), cache)
        return hidden

    def _first_time(self, span: _Span, hidden: torch.Tensor, cache: StaticKVCache) -> torch.Tensor:
        """Computes a span as the reference does, records it, and compares the two; what the reference says holds."""
        n_rows, position = hidden.shape[1], cache.lengths[span.start]
        expected = self._eagerly(span, hidden, cache)
        written = self._buffers.stored[span.start : span.stop, ..., position : position + n_rows, :]
        expected_written = written.clone()
        try:
            replay = self._record(self._computation(span))
            written.zero_()  # recording computed once already; what is asked is whether the replay writes it
            _compare(replay()[:, :n_rows], expected)
            _compare(written, expected_written)
        except RuntimeError as error:
            self.records = False
            self._replays.clear()
            cause = error.__context__ or error  # what broke a recording, not that its end failed then
            reason = str(cause).partition("\n")[0]  # CUDA's go on with advice for developers
            logger.warning("Completions are slower than this GPU allows, as CUDA graphs do not work: %s", reason)
        else:
            self._replays[span] = replay
        written.copy_(expected_written)
        return expected

    def _computation(self, span: _Span) -> Replay:
        """A span over whole buffers, with nothing that depends on what the host knows about positions."""
        hidden, capacity = self._inputs[span.n_rows], self._buffers.capacity

        def compute() -> torch.Tensor:
            positions = self._first + torch.arange(span.n_rows, device=self._device)
            writer = WritesAt(self._buffers, positions)
            if span.propagates:
                self._propagate(hidden, span.start, positions.unsqueeze(0), writer)
                return hidden
            return self._run_masked(
                hidden,
                range(span.start, span.stop),
                positions.unsqueeze(0),
                lambda window: visible(positions, capacity, window),
                writer,
            )

        return compute

    def _on_device(self, token_ids: Sequence[int]) -> torch.Tensor:
        ids = torch.tensor([token_ids], pin_memory=self._device.type == "cuda")
        return ids.to(self._device, non_blocking=True)


def _compare(computed: torch.Tensor, expected: torch.Tensor) -> None:
    """Lets rounding pass.

    Raises:
        RuntimeError: If what was computed lies further from what was expected, or is no number.
    """
    tolerance = _TOLERANCE_BF16 if expected.dtype == torch.bfloat16 else _TOLERANCE
    error = float((computed.float() - expected.float()).norm() / expected.float().norm())
    if not error <= tolerance:
        message = f"a replay is {error:.1%} off"
        raise RuntimeError(message)
