"""The runner for GPUs against the reference: on a CPU without the graphs, and with them where a GPU is at hand."""

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.config import DEFAULT_MODEL, EngineConfig
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.decoding.tokens import DecodedToken
from engine.model.early_exit import EarlyExitModel
from engine.model.families import FAMILIES
from engine.model.layer_runner import KVCache
from engine.model.loaded import LoadedModel
from engine.model.loading import load_model
from engine.model.reference.eager import TorchRunner
from engine.model.reference.graphs import CudaGraphs, GraphRunner, Recorder
from engine.policy.base import Action, ExitPolicy, Fill, OperatingPoint
from engine.policy.baselines import FixedExit, FullDepth
from engine.types import NeverCancelled
from tests.engine.decoding.fakes import RandomPolicy
from tests.tiny_models import early_exit_model, tiny_model

LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True)
EXACT_FILL = OperatingPoint(energy_weight=0.5, lossless=False)
PROPAGATE = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE)
PROMPT = random.Random(0).choices(range(97), k=40)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]

CODE = "def area(width, height):\n    return width * height\n\n\ndef perimeter(width, height):\n    return"
Computation = Callable[[], torch.Tensor]


class Rerun:
    """A recorder whose recordings compute again: all of the runner but the graphs themselves."""

    def __init__(self) -> None:
        self.n_recorded = 0

    def __call__(self, computation: Computation) -> Computation:
        self.n_recorded += 1
        return computation


def reference_model(family: str, device: str = "cpu", *, max_positions: int = 512) -> EarlyExitModel:
    backbone: Any = tiny_model(family, max_position_embeddings=max_positions)
    return early_exit_model(backbone.to(device), (2, 4))


def on_graphs(reference: EarlyExitModel, recorder: Callable[[], Recorder] | None = None) -> EarlyExitModel:
    """The same weights and exits on the runner for GPUs."""
    assert isinstance(reference.runner, TorchRunner)
    backbone, trained_exits = reference.runner.backbone, reference.runner.trained_exits
    if recorder is None:
        recorder = CudaGraphs if next(backbone.parameters()).is_cuda else Rerun
    runner = GraphRunner(backbone, trained_exits, recorder=recorder)
    return EarlyExitModel(runner, reference.exit_layers, fingerprint="", exits_fingerprint="")


def records(model: EarlyExitModel) -> bool:
    assert isinstance(model.runner, GraphRunner)
    return model.runner.records


def decode(
    decoder: Decoder, policy: ExitPolicy, point: OperatingPoint, prompt: list[int] = PROMPT, n_tokens: int = 24
) -> list[DecodedToken]:
    stop = StopCondition(max_new_tokens=n_tokens)
    return list(decoder.generate(prompt, policy=policy, point=point, stop=stop, cancellation=NeverCancelled()))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    @pytest.mark.parametrize(
        ("point", "new_policy"),
        [
            pytest.param(LOSSLESS, FullDepth, id="full depth"),
            pytest.param(EXACT_FILL, lambda: RandomPolicy(1, (Action.CONTINUE, Action.EXIT)), id="exact fill"),
            pytest.param(LOSSLESS, lambda: RandomPolicy(1, tuple(Action)[:3]), id="verification"),
            pytest.param(PROPAGATE, lambda: FixedExit(2), id="propagation"),
            pytest.param(PROPAGATE, lambda: RandomPolicy(1, (Action.CONTINUE, Action.EXIT)), id="mixed propagation"),
        ],
    )
    def test_it_decodes_what_the_reference_decodes(
        self, family: str, device: str, point: OperatingPoint, new_policy: Callable[[], ExitPolicy]
    ) -> None:
        reference = reference_model(family, device)
        recorded = on_graphs(reference)

        tokens = decode(Decoder(recorded), new_policy(), point)

        assert tokens == decode(Decoder(reference), new_policy(), point)
        assert records(recorded)

    def test_what_a_prompt_shares_with_the_last_text_is_kept(self, family: str, device: str) -> None:
        reference = reference_model(family, device)
        ours, theirs = Decoder(on_graphs(reference)), Decoder(reference)
        for decoder in (ours, theirs):
            decode(decoder, FullDepth(), LOSSLESS)

        tokens = [decode(decoder, FullDepth(), LOSSLESS, [*PROMPT[:30], 5, 6, 7]) for decoder in (ours, theirs)]

        assert ours.reused_tokens == theirs.reused_tokens == 30
        assert tokens[0] == tokens[1]

    def test_buffers_grow_without_forgetting(self, family: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engine.model.reference.static_cache._CAPACITY_STEP", 16)
        reference = reference_model(family, device)
        recorded = on_graphs(reference)
        ours, theirs = Decoder(recorded), Decoder(reference)

        assert decode(ours, FixedExit(4), EXACT_FILL) == decode(theirs, FixedExit(4), EXACT_FILL)
        assert isinstance(recorded.runner, GraphRunner)
        assert recorded.runner._buffers.capacity == 80  # 40 + 24, and room for padding
        assert records(recorded)

    def test_texts_take_turns_in_the_buffers(self, family: str, device: str) -> None:
        reference = reference_model(family, device)
        recorded = on_graphs(reference)
        ours, theirs = [[Decoder(model) for _ in range(3)] for model in (recorded, reference)]
        prompts = [PROMPT, PROMPT[::-1], PROMPT[20:]]

        for _ in range(2):
            for text, prompt in enumerate(prompts):
                tokens = decode(ours[text], FixedExit(2), LOSSLESS, prompt, 8)
                assert tokens == decode(theirs[text], FixedExit(2), LOSSLESS, prompt, 8)
                prompts[text] = [*prompt, *(token.token_id for token in tokens)]


def test_a_text_holds_its_positions_while_another_one_runs() -> None:
    model = on_graphs(reference_model("llama"))
    first, second = model.new_cache(), model.new_cache()
    model.run_layers(model.embed(PROMPT, 0), 0, 6, first)
    n_held = first.nbytes

    model.run_layers(model.embed(PROMPT[:5], 0), 0, 6, second)

    position_bytes = 6 * 2 * 2 * 8 * 4  # layers, keys and values, heads, width, fp32
    expected = [n_positions * position_bytes for n_positions in (40, 40, 5)]
    assert [n_held, first.nbytes, second.nbytes] == expected


def test_a_part_is_recorded_once_for_a_few_row_counts() -> None:
    recorders: list[Rerun] = []

    def new_recorder() -> Recorder:
        recorders.append(Rerun())
        return recorders[-1]

    model = on_graphs(reference_model("llama"), new_recorder)
    cache = model.new_cache()
    n_recorded = []
    for place, n_rows in ((0, 30), (30, 1), (31, 1), (32, 3), (35, 4), (39, 1)):
        rows = model.embed(PROMPT[place : place + n_rows], place)
        assert model.run_layers(rows, 0, 2, cache).shape == (1, n_rows, 32)
        n_recorded.append(sum(recorder.n_recorded for recorder in recorders))

    assert n_recorded == [0, 1, 1, 2, 2, 2]  # a prompt's rows are not, and 3 rows run as 4


def test_text_goes_on_to_the_models_last_position() -> None:
    reference = reference_model("llama", max_positions=48)
    recorded = on_graphs(reference)

    tokens = decode(Decoder(recorded), FullDepth(), LOSSLESS, PROMPT[:16], 32)

    assert len(tokens) == 32
    assert tokens == decode(Decoder(reference), FullDepth(), LOSSLESS, PROMPT[:16], 32)


class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What is computed, with every number and shape that the host gives along."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        given = torch.utils._pytree.tree_map(
            lambda value: (tuple(value.shape), value.dtype) if isinstance(value, torch.Tensor) else value,
            (args, kwargs or {}),
        )
        self.seen.append(f"{func} {given}")
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("propagates", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_recorded_depends_on_no_position_and_asks_the_host_for_nothing(
    family: str, *, propagates: bool
) -> None:
    calls: list[list[str]] = []
    computed: list[list[str]] = []

    def watched(computation: Computation) -> Computation:
        def compute() -> torch.Tensor:
            with Calls() as mode:
                output = computation()
            calls.append(mode.seen)
            return output

        return compute

    model = on_graphs(reference_model(family), lambda: watched)
    for place in (0, 20, 37):  # Gemma's window is 8 wide
        cache = model.new_cache()
        if place:
            model.run_layers(model.embed(PROMPT[:place], 0), 0, 6, cache)
        rows = model.embed(PROMPT[place : place + 3], place)
        if propagates:
            model.propagate(rows, 0, cache)
        else:
            model.run_layers(rows, 0, 6, cache)
        computed.append(calls[-1])

    assert computed[0] == computed[1] == computed[2]
    assert not any("_local_scalar_dense" in call or "nonzero" in call for call in computed[0])


def refuses(computation: Computation) -> Computation:
    message = "operation not permitted when stream is capturing\nAdvice for developers"
    raise RuntimeError(message)


def writes_nothing(computation: Computation) -> Computation:
    output = computation()
    return lambda: output


def is_off(computation: Computation) -> Computation:
    return lambda: computation() * 1.1


def is_no_number(computation: Computation) -> Computation:
    return lambda: computation() * float("nan")


@pytest.mark.parametrize("broken", [refuses, writes_nothing, is_off, is_no_number])
def test_a_gpu_that_records_badly_costs_one_warning_and_no_token(
    broken: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    reference = reference_model("qwen2")
    model = on_graphs(reference, lambda: broken)

    tokens = decode(Decoder(model), FixedExit(4), EXACT_FILL)

    assert tokens == decode(Decoder(reference), FixedExit(4), EXACT_FILL)
    assert not records(model)
    [message] = caplog.messages
    assert message.startswith("Completions are slower than this GPU allows")
    assert "Advice" not in message


@pytest.fixture(scope="module")
def default_model(default_model_path: Path) -> LoadedModel:
    return load_model(DEFAULT_MODEL, default_model_path, EngineConfig(device="cpu"), reference=True)


@pytest.mark.model
@pytest.mark.parametrize(
    ("point", "new_policy"),
    [(LOSSLESS, FullDepth), (EXACT_FILL, lambda: FixedExit(15)), (PROPAGATE, lambda: FixedExit(21))],
)
def test_the_default_model_decodes_what_the_reference_decodes(
    default_model: LoadedModel, point: OperatingPoint, new_policy: Callable[[], ExitPolicy]
) -> None:
    reference, prompt = default_model.model, default_model.tokenization.encode(CODE)
    recorded = on_graphs(reference)

    tokens = decode(Decoder(recorded), new_policy(), point, prompt, 12)

    assert tokens == decode(Decoder(reference), new_policy(), point, prompt, 12)
    assert records(recorded)


@pytest.mark.gpu
@pytest.mark.model
def test_the_default_model_is_recorded_in_bf16(default_model_path: Path) -> None:
    model = load_model(DEFAULT_MODEL, default_model_path, EngineConfig(device="cuda")).model

    tokens = decode(Decoder(model), RandomPolicy(1, (Action.CONTINUE, Action.EXIT)), EXACT_FILL, [1, 2, 3])

    assert len(tokens) == 24
    assert records(model)


@contextlib.contextmanager
def synchronisations() -> Iterator[list[str]]:
    """Where the host waits for the GPU inside."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [str(warning.message) for warning in caught if "called a synchronizing" in str(warning.message)]


def exit_decision(model: EarlyExitModel, cache: KVCache, place: int) -> tuple[list[str], list[str]]:
    """Where the host waits when one token runs to an exit and its state is looked at, and when its token is read."""
    with synchronisations() as looking:
        rows = model.run_layers(model.embed([PROMPT[place]], place), 0, 2, cache)
        state = model.exit_state(rows, 2)
        model.to_numpy(state[0, 0])
    with synchronisations() as reading:
        model.propagate(rows, 2, cache)
        model.choices(model.logits(state, 2))
    return looking, reading


@pytest.mark.gpu
@pytest.mark.parametrize("family", FAMILIES)
def test_a_decision_waits_for_the_gpu_once(family: str) -> None:
    model = on_graphs(reference_model(family, "cuda"))
    cache = model.new_cache()
    exit_decision(model, cache, 0)  # records

    looking, reading = exit_decision(model, cache, 1)

    assert records(model)
    assert (len(looking), len(reading)) == (1, 1)
