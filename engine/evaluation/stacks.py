"""Ways to run a request of so many tokens of prompt and answer: software stacks, precisions, strategies, batches.

Each is given the same tokens of real code and writes exactly as many as it is asked for, from an empty cache, so that
only the way differs. What a text is worth that was decoded frugally is not asked here.
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoTokenizer

from engine.config import EngineConfig
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.errors import UnsupportedModelError
from engine.evaluation.arms import BASELINE, Situation, all_arms
from engine.evaluation.vllm_server import VllmServer
from engine.model.loading import load_model
from engine.model.prepared.native import library
from engine.model.reference.silence import silenced
from engine.model.reference.weight_files import load_whole
from engine.model.sources.llama_gguf import kept_gguf
from engine.policy.learned import find_learned_policy
from engine.types import DEFAULT_GREEN_MODE, NeverCancelled, ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.config import Device, PrecisionChoice
    from engine.evaluation.arms import Arm
    from engine.evaluation.vllm_server import VllmPrecision
    from engine.model.loaded import LoadedModel

LIBRARY = "transformers"
_LOOKUP = 8  # tokens of a draft, as in ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One way to run requests.

    Attributes:
        name: For people, and what samples are kept under.
        run: Runs a batch: the prompt in tokens, and how many tokens to write.
        batch: Requests at once; what a run takes is shared by them.
        elsewhere_s: CPU seconds of other processes that compute for it, so far; None where there are none.
    """

    name: str
    run: Callable[[Sequence[int], int], None]
    batch: int = 1
    elsewhere_s: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A step from one way to run to a thriftier one; `before` and `behind` are names of stacks."""

    name: str
    before: str
    behind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacks:
    """What can be run on this machine.

    Attributes:
        ways: All of them; the first is the baseline.
        steps: From the baseline to the product, one measure behind the other.
        without: The product with one measure taken away each: `before` is without it.
        remarks: What cannot be run here, and what is not counted; one sentence each.
        encode: Text to tokens.
        max_positions: The most tokens of prompt and answer.
        device_name: Where they run, for people.
    """

    ways: tuple[Stack, ...]
    steps: tuple[Measure, ...]
    without: tuple[Measure, ...]
    remarks: tuple[str, ...]
    encode: Callable[[str], list[int]]
    max_positions: int
    device_name: str


def open_stacks(
    name: str,
    folder: Path,
    device: Device,
    *,
    threads: int | None,
    batch_sizes: Sequence[int],
    vllm: str | None = None,
    progress: ProgressSink = no_progress,
) -> Stacks:
    """Loads a model in every way that this machine can run it.

    Args:
        name: The model, as the user named it.
        folder: The folder with its files.
        device: Where it runs.
        threads: CPU threads; None takes the physical cores.
        batch_sizes: Requests at once, where a stack takes several.
        vllm: A Python that has vLLM; None for this one, if it has it.
        progress: Is called while models are prepared.

    Raises:
        EngineError: If the model cannot be loaded.
    """
    library = _Library(folder, device)
    baseline = f"{LIBRARY}, {library.precision}"
    compiled = [Stack(name=f"{baseline}, compiled", run=library.compiled)] if device == "cuda" else []
    ways = [
        Stack(name=baseline, run=library.run),
        Stack(name=f"{baseline}, sampling", run=library.sample),
        Stack(name=f"{baseline}, drafts", run=library.draft),
        *compiled,
        *(
            Stack(name=f"{baseline}, batch of {size}", run=library.batch_of(size), batch=size)
            for size in batch_sizes
            if size > 1
        ),
    ]
    reference = load_model(
        name, folder, EngineConfig(model=name, device=device, threads=threads, precision="auto"), reference=True
    )
    ours = _Ours(reference, f"our loop, PyTorch, {reference.precision}")
    rest = _Rest(best=ours)
    if device == "cpu":
        try:
            rest = _on_cpu(name, folder, threads, ours, progress)
        except UnsupportedModelError as error:
            rest.remarks.append(str(error))
    python = vllm or (sys.executable if find_spec("vllm") else None)
    if python is None:
        rest.remarks.append("vLLM is not installed here; --vllm names a Python that has it.")
    else:
        served, remark = _served(python, folder, reference, batch_sizes, progress)
        rest.ways += served
        rest.remarks.append(remark)
    best = rest.best
    return Stacks(
        ways=(*ways, *ours.ways(), *rest.ways),
        steps=(
            Measure(name="our loop", before=baseline, behind=ours.full),
            *rest.steps,
            Measure(name="drafts, checked together", before=best.full, behind=best.lossless),
            Measure(name=f"green mode {DEFAULT_GREEN_MODE}", before=best.lossless, behind=best.frugal),
        ),
        without=(*rest.without, Measure(name="drafts and green mode", before=best.full, behind=best.frugal)),
        remarks=tuple(rest.remarks),
        encode=reference.tokenization.encode,
        max_positions=reference.model.max_positions,
        device_name=reference.processor if reference.threads is None else f"CPU, threads: {reference.threads}",
    )


@dataclass(kw_only=True)
class _Rest:
    """What there is beside transformers and our loop on torch, and the best of it."""

    best: _Ours
    ways: list[Stack] = field(default_factory=list)
    steps: list[Measure] = field(default_factory=list)
    without: list[Measure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def _on_cpu(name: str, folder: Path, threads: int | None, ours: _Ours, progress: ProgressSink) -> _Rest:
    onnx = _fast(name, folder, threads, "int8", kernels=False, progress=progress)
    best = _fast(name, folder, threads, "int8", progress=progress)
    rest = _Rest(
        best=best,
        ways=onnx.ways(),
        steps=[Measure(name="int8 instead of fp32, by ONNX Runtime", before=ours.full, behind=onnx.full)],
        without=[Measure(name="int8 and what computes it", before=ours.frugal, behind=best.frugal)],
    )
    if best.full == onnx.full:
        rest.remarks.append(library.why_not() or "There are no kernels of our own for this model's blocks.")
        return rest
    rest.ways += [*best.ways(), _fast(name, folder, threads, "int4", progress=progress).ways()[0]]
    rest.steps.append(Measure(name="kernels of our own", before=onnx.full, behind=best.full))
    rest.without.append(Measure(name="kernels of our own", before=onnx.frugal, behind=best.frugal))
    return rest


class _Ours:
    """The product's decoder on one runner: full depth, with drafts, and at the default of the slider."""

    def __init__(self, loaded: LoadedModel, name: str) -> None:
        self._loaded, self.full = loaded, name
        self.lossless, self.frugal = f"{name}, drafts", f"{name}, green mode {DEFAULT_GREEN_MODE}"

    def ways(self) -> list[Stack]:
        model = self._loaded.model
        learned = find_learned_policy(self._loaded.name, model.fingerprint, model.exits_fingerprint)
        arms = {arm.name: arm for arm in all_arms(model.exit_layers, model.n_layers, learned)}
        frugal = f"green:{DEFAULT_GREEN_MODE}"
        # Without STOP, so that each way writes as many tokens.
        chosen = {
            self.full: (arms[BASELINE], True),
            self.lossless: (arms["green:0"], True),
            self.frugal: (arms.get(f"{frugal}-stop", arms[frugal]), False),
        }
        return [Stack(name=name, run=self._way(arm, all_cores=cores)) for name, (arm, cores) in chosen.items()]

    def _way(self, arm: Arm, *, all_cores: bool) -> Callable[[Sequence[int], int], None]:
        model = self._loaded.model

        def run(prompt_ids: Sequence[int], n_new: int) -> None:
            model.use_cores(all_cores=all_cores)
            tokens = Decoder(model).generate(
                prompt_ids,
                policy=arm.policy(Situation(seed=0, mean_layers={})),
                point=arm.point,
                stop=StopCondition(max_new_tokens=n_new),
                cancellation=NeverCancelled(),
            )
            deque(tokens, maxlen=0)

        return run


def _fast(
    name: str,
    folder: Path,
    threads: int | None,
    precision: PrecisionChoice,
    *,
    kernels: bool = True,
    progress: ProgressSink,
) -> _Ours:
    config = EngineConfig(model=name, device="cpu", precision=precision, threads=threads)
    loaded = load_model(name, folder, config, kernels=kernels, progress=progress)
    computes = "ONNX Runtime" if loaded.runtime == "onnx" else "our kernels"
    return _Ours(loaded, f"our loop, {computes}, {loaded.precision}")


class _Library:
    """transformers' own `generate`, with its KV cache."""

    def __init__(self, folder: Path, device: Device) -> None:
        self.precision = "fp32" if device == "cpu" else "bf16"
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        with silenced():
            self._model: Any = _whole(folder, dtype).to(device).eval()

    def run(self, prompt_ids: Sequence[int], n_new: int) -> None:
        self._generate([prompt_ids], n_new, do_sample=False)

    def sample(self, prompt_ids: Sequence[int], n_new: int) -> None:
        self._generate([prompt_ids], n_new, do_sample=True, top_p=0.95, temperature=0.8)

    def draft(self, prompt_ids: Sequence[int], n_new: int) -> None:
        self._generate([prompt_ids], n_new, do_sample=False, prompt_lookup_num_tokens=_LOOKUP)

    def compiled(self, prompt_ids: Sequence[int], n_new: int) -> None:
        # A cache that does not grow has transformers compile the decoding; on a CPU that takes minutes.
        self._generate([prompt_ids], n_new, do_sample=False, cache_implementation="static")

    def batch_of(self, size: int) -> Callable[[Sequence[int], int], None]:
        return lambda prompt_ids, n_new: self._generate([prompt_ids] * size, n_new, do_sample=False)

    def _generate(self, prompts: Sequence[Sequence[int]], n_new: int, **options: Any) -> None:  # noqa: ANN401 - theirs
        ids = torch.tensor([list(prompt) for prompt in prompts], device=self._model.device)
        with torch.inference_mode():
            self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=n_new,
                min_new_tokens=n_new,
                pad_token_id=0,
                **options,
            )


def _whole(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers' own
    return load_whole(folder, AutoConfig.from_pretrained(folder, local_files_only=True), dtype)


@contextmanager
def in_safetensors(folder: Path) -> Iterator[Path]:
    """A folder with the same model as other libraries read it: the default model's weights are GGUF with us."""
    if kept_gguf(folder) is None:
        yield folder
        return
    with TemporaryDirectory() as other:
        with silenced():
            _whole(folder, torch.bfloat16).save_pretrained(other)
            AutoTokenizer.from_pretrained(folder, local_files_only=True).save_pretrained(other)
        yield Path(other)


def _served(
    python: str, folder: Path, reference: LoadedModel, batch_sizes: Sequence[int], progress: ProgressSink
) -> tuple[list[Stack], str]:
    """VLLM's server in each precision, in the baseline's and in the one that it takes by itself, and what to know."""
    precisions: tuple[VllmPrecision, ...] = ("fp32", "bf16") if reference.device == "cpu" else ("bf16",)
    ways, version = [], ""
    with in_safetensors(folder) as readable:
        for precision in precisions:
            server = VllmServer(
                python,
                readable,
                device=reference.device,
                precision=precision,
                threads=reference.threads or 1,
                progress=progress,
            )
            version = server.version()
            name = f"vLLM, {precision}"
            ways += [
                Stack(name=name, run=server.run, elsewhere_s=server.cpu_s),
                *(
                    Stack(
                        name=f"{name}, batch of {size}",
                        run=server.batch_of(size),
                        batch=size,
                        elsewhere_s=server.cpu_s,
                    )
                    for size in batch_sizes
                    if size > 1
                ),
            ]
    return ways, (
        f"vLLM {version} is asked over HTTP and all its processes are counted until the answer is there; behind that "
        "they stay busy for a second, in expectation of the next request, which is not counted."
    )
