"""A prompt that several threads share, against the same prompt on one."""

import random
import time
from collections.abc import Callable

import pytest
import torch

from engine.decoding.prefill import CHUNK, prefill
from engine.decoding.trajectory import Cancelled
from engine.decoding.work import PhaseCounter, WorkCounter
from engine.energy.meter import EnergyWindow
from engine.energy.pace import OwnCpuClock
from engine.model.early_exit import EarlyExitModel
from engine.model.layer_runner import Array, KVCache
from tests.engine.model.fast_models import prepared, small_model

N_LAYERS = 6


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> EarlyExitModel:
    """A tiny model in three segments, which two threads may run."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        return prepared(small_model("llama"), "int8")


def go_on() -> None:
    """Nothing is cancelled."""


def run(
    model: EarlyExitModel,
    n_tokens: int,
    *,
    all_cores: bool,
    check: Callable[[], None] = go_on,
    far_depth: float = 1.0,
) -> tuple[torch.Tensor, WorkCounter]:
    ids = [random.Random(n_tokens).randrange(97) for _ in range(n_tokens)]
    model.use_cores(all_cores=all_cores)
    cache, work = model.new_cache(), WorkCounter()
    rows = prefill(model, cache, ids, position=0, far_depth=far_depth, work=work, check=check)
    assert list(cache.lengths) == [n_tokens] * N_LAYERS
    # One more token reads all keys and values that were filled.
    behind = model.run_layers(model.embed([3], n_tokens), 0, N_LAYERS, cache)
    return torch.cat([torch.from_numpy(model.to_numpy(part))[:, -1] for part in (rows, behind)]), work


@pytest.mark.parametrize("n_tokens", [1, 2, 63, 65, 4 * CHUNK, 5 * CHUNK + 7])
def test_threads_side_by_side_fill_what_one_after_the_other_fills(fast: EarlyExitModel, n_tokens: int) -> None:
    together, work = run(fast, n_tokens, all_cores=False)
    assert fast.callers == 2
    alone, _ = run(fast, n_tokens, all_cores=True)
    assert fast.callers == 1

    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert work.prefill.prefill_tokens == n_tokens
    assert work.prefill.layer_passes % N_LAYERS == 0


def test_far_chunks_leave_at_an_exit_and_the_last_one_sees_what_was_computed_from_there(fast: EarlyExitModel) -> None:
    n_tokens, (exit_layer, bound) = 3 * CHUNK + 5, fast.segments[-1]
    assert bound == N_LAYERS
    early, work = run(fast, n_tokens, all_cores=False, far_depth=exit_layer / N_LAYERS)
    alone, _ = run(fast, n_tokens, all_cores=True, far_depth=exit_layer / N_LAYERS)
    whole, full = run(fast, n_tokens, all_cores=False)

    torch.testing.assert_close(early, alone, rtol=1e-5, atol=1e-5)
    assert not torch.equal(early, whole)
    n_far = work.prefill.propagated_layers // (N_LAYERS - exit_layer)
    assert n_far == -(-n_tokens // CHUNK) - 1
    # What ran and what was left out is what full depth takes.
    assert work.prefill.total() + work.left_out.total() == full.prefill.total()
    assert not any(vars_of(full.left_out))


def test_one_chunk_is_never_far(fast: EarlyExitModel) -> None:
    early, work = run(fast, 31, all_cores=False, far_depth=0.1)
    whole, _ = run(fast, 31, all_cores=False)

    assert torch.equal(early, whole)
    assert not any(vars_of(work.left_out))


def vars_of(counter: PhaseCounter) -> list[float]:
    return [getattr(counter, name) for name in counter.__slots__]


def test_a_larger_model_reads_smaller_chunks(fast: EarlyExitModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.decoding.prefill._SEGMENT_WORK", 40 * 2 * fast.geometry.layer_params)
    fast.use_cores(all_cores=True)
    n_checks = 0

    def check() -> None:
        nonlocal n_checks
        n_checks += 1

    prefill(fast, fast.new_cache(), [1] * 120, position=0, far_depth=1.0, work=WorkCounter(), check=check)

    assert n_checks == 3 * len(fast.segments)


@pytest.mark.parametrize("n_checks", range(1, 8))
def test_cancelled_between_any_two_segments_it_charges_what_has_run(fast: EarlyExitModel, n_checks: int) -> None:
    fast.use_cores(all_cores=False)
    left = n_checks

    def check() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Cancelled

    cache, work = fast.new_cache(), WorkCounter()
    with pytest.raises(Cancelled):
        prefill(fast, cache, [1] * (4 * CHUNK), position=0, far_depth=1.0, work=work, check=check)

    run_tokens = sum(cache.lengths)  # over layers
    assert work.prefill.layer_passes * CHUNK == run_tokens
    assert N_LAYERS * work.prefill.prefill_tokens == pytest.approx(run_tokens, abs=2 * N_LAYERS)
    assert list(cache.lengths) == sorted(cache.lengths, reverse=True)


def test_a_change_of_cores_keeps_what_the_caches_hold(fast: EarlyExitModel) -> None:
    fast.use_cores(all_cores=False)
    cache, expected = fast.new_cache(), fast.new_cache()
    for kept in (cache, expected):
        fast.run_layers(fast.embed([1, 2, 3], 0), 0, N_LAYERS, kept)

    fast.use_cores(all_cores=True)
    ours = fast.run_layers(fast.embed([4], 3), 0, N_LAYERS, cache)
    fast.use_cores(all_cores=False)
    theirs = fast.run_layers(fast.embed([4], 3), 0, N_LAYERS, expected)

    torch.testing.assert_close(torch.from_numpy(ours), torch.from_numpy(theirs), rtol=1e-5, atol=1e-5)


def test_the_cpu_seconds_of_its_threads_count_also_where_another_request_comes_between(
    fast: EarlyExitModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_layers = fast.run_layers
    runs_s: list[float] = []

    def run_slowly(rows: Array, start: int, stop: int, cache: KVCache) -> Array:
        begun_s = time.thread_time()
        rows = run_layers(rows, start, stop, cache)
        while time.thread_time() < begun_s + 0.02:
            pass
        runs_s.append(time.thread_time() - begun_s)
        return rows

    def serve_another() -> None:
        with window.apart():
            pass

    monkeypatch.setattr(fast, "run_layers", run_slowly)
    fast.use_cores(all_cores=False)
    ids = random.Random(1).choices(range(97), k=3 * CHUNK)
    with EnergyWindow(None, cpu_clock=OwnCpuClock()) as window:
        prefill(
            fast,
            fast.new_cache(),
            ids,
            position=0,
            far_depth=1.0,
            work=WorkCounter(),
            check=go_on,
            between=serve_another,
        )

    assert len(runs_s) == 9
    assert window.cpu_s is not None
    assert window.cpu_s >= 0.95 * sum(runs_s)
