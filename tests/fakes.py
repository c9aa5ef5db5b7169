"""Fakes behind our seams: each does on purpose, and fast, what the real part does rarely."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.completion.prompt import prompt_for
from engine.config import EngineConfig
from engine.errors import EngineError, ModelCorruptError, ModelNotFoundError
from engine.outlook import Outlook
from engine.project.projects import Projects
from engine.sentences import Sentence, joined
from engine.types import (
    PROJECT_ALONE,
    CancellationToken,
    Completion,
    CompletionRequest,
    CompletionToken,
    EnergyReading,
    FinishReason,
    Meanwhile,
    Phase,
    ProgressSink,
    Provenance,
    Work,
    nothing_meanwhile,
)
from lsp_server.replay.servers import Costs, Offer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from engine.project.project_text import ProjectText

FAKE_LAYERS = 4


def fake_completion(
    text: str = "one two",
    *,
    energy_j: float | None = 2.0,
    provenance: Provenance = Provenance.MEASURED,
    finish_reason: FinishReason = FinishReason.STOP,
    exit_layers: tuple[int | None, ...] = (2, 4),
    green_mode: int = 50,
) -> Completion:
    """A completion whose figures are easy to add up: 2 J spent, 5 J at full depth, 1 to 6 J of the 3 J saved."""
    return Completion(
        text=text,
        tokens=tuple(CompletionToken(text="t", exit_layer=layer) for layer in exit_layers),
        finish_reason=finish_reason,
        energy=EnergyReading(
            energy_j=energy_j,
            provenance=provenance,
            source="fake counter",
            elapsed_s=0.5,
            by_phase={} if energy_j is None else {Phase.PREFILL: energy_j / 4, Phase.DECODE: energy_j * 3 / 4},
        ),
        baseline_energy_j=5.0,
        saved_range_j=None if energy_j is None else (1.0, 6.0),
        work={Phase.DECODE: Work(tokens=len(exit_layers))},
        prompt_tokens=10,
        reused_tokens=3,
        elapsed_s=0.5,
        first_token_s=0.1,
        layers_total=FAKE_LAYERS,
        model="fake",
        device="CPU, 1 thread",
        policy="full-depth",
        green_mode=green_mode,
    )


class FakeEngine:
    """An engine that does what the last word before the cursor says.

    "hold" computes until it is cancelled, "crash" and "refuse" raise, "nothing" offers no text, "settled" none where
    a project has its say, "block" gives two lines, "context" what a model would read before the document; "slowly"
    grows "one two three" by a word each `word_s` seconds, or each time `go` is released where that is None; "long"
    reads a long prompt until `go` is released, and does other work meanwhile; anything else is answered with `next`.
    The exits go with the green mode. Where the project alone is asked, it is sure of something behind "known" only, and
    of half as much behind "guessed".
    """

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.model_name = (config or EngineConfig()).model
        self.device_name = joined(("CPU", Sentence("1 thread")), ", ")
        self.remote_host: str | None = None
        self.shared_as = ""
        self.layers_total = FAKE_LAYERS
        self.energy_source = "measured: fake counter"
        self.meters_refused = ("NVML: no GPU.",)
        self.requests: list[CompletionRequest] = []
        self.looked_up: list[CompletionRequest] = []  # those to the project alone
        self.is_closed = False
        self.n_windows = 0
        self.started = threading.Event()  # set when a request reaches the engine
        self.word_s: float | None = 0.2
        self.go = threading.Semaphore(0)
        self.projects = Projects(lambda text: list(map(ord, text)), n_vocabulary=sys.maxunicode + 1)

    def complete(
        self,
        request: CompletionRequest,
        *,
        cancellation: CancellationToken,
        on_text: Callable[[str], None],
        meanwhile: Meanwhile = nothing_meanwhile,
    ) -> Completion:
        """Does what the prefix says."""
        assert not self.is_closed
        order = (request.prefix.split() or [""])[-1]
        if request.policy == PROJECT_ALONE:
            return self.complete_from_project(request)
        self.requests.append(request)
        self.started.set()
        if order == "crash":
            raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")
        if order == "refuse":
            raise EngineError("The policy learned does not fit the model fake.")
        if order == "hold":
            wait_until_cancelled(cancellation)
            return fake_completion("", finish_reason=FinishReason.CANCELLED, exit_layers=(4,))
        while order == "long" and not self.go.acquire(timeout=0.005):
            if (work := meanwhile()) is not None:
                work()
        if order == "slowly":
            return self._complete_slowly(cancellation, on_text)
        exit_layer = FAKE_LAYERS if request.green_mode == 0 else 2
        text = {
            "nothing": "",
            "settled": "" if request.in_project else "next",
            "block": "first\nsecond",
            "context": prompt_for(request).context,
        }.get(order, "next")
        return fake_completion(text, exit_layers=(exit_layer,), green_mode=request.green_mode)

    def n_unread(self, request: CompletionRequest) -> int:
        """Many for a long prompt."""
        return 1000 if request.prefix.endswith("long") else 1

    def complete_from_project(self, request: CompletionRequest) -> Completion:
        """By the project alone."""
        self.looked_up.append(request)
        completion = fake_completion(
            " to all" if request.prefix.endswith("known") else "", energy_j=0.0, exit_layers=()
        )
        is_guess = request.prefix.endswith("guessed")
        return replace(completion, outlook=Outlook(text=" to", chance=0.5)) if is_guess else completion

    def project(self, name: str) -> ProjectText:
        """The text of a project, which it never asks; letters are tokens."""
        return self.projects.text(name)

    def use_windows(self, count: int) -> None:
        """Knows so many."""
        self.n_windows = count

    def close(self) -> None:
        """Answers no more."""
        self.is_closed = True

    def _complete_slowly(self, cancellation: CancellationToken, on_text: Callable[[str], None]) -> Completion:
        for text in ("one", "one two", "one two three"):
            waited_s = 0.0
            while not self.go.acquire(timeout=0.001) and (self.word_s is None or waited_s < self.word_s):
                waited_s += 0.001
                if cancellation.is_cancelled:
                    return fake_completion("", finish_reason=FinishReason.CANCELLED)
            on_text(text)
        return fake_completion("one two three")


class FakeServerUnderTest:
    """A completion server with one document, which offers the same text everywhere, or fails."""

    def __init__(self, offers: str = "", *, fails: bool = False) -> None:
        self._offers, self._fails = offers, fails
        self.text = ""
        self.answers = 0

    async def begin(self, language_id: str, text: str, path: Path | None = None) -> None:
        """Opens the document."""
        self.text = text

    def edit(self, offset: int, removed: int, text: str) -> None:
        """Changes it."""
        self.text = self.text[:offset] + text + self.text[offset + removed :]

    async def ask(self, offset: int) -> Offer | None:
        """The text, or the failure."""
        self.answers += 1
        if self._fails:
            raise EngineError("The server has ended.")
        return Offer(text=self._offers, completion_id="fake")

    async def accepted(self, offer: Offer) -> None:
        """Takes no note."""

    async def end(self, kept: Collection[str]) -> Costs:
        """Has cost nothing."""
        return Costs(
            cpu_s=None,
            energy_j=None,
            provenance="none",
            wasted_j=None,
            computed=self.answers,
            reused=0,
            cancelled=0,
            skipped=0,
            tokens=0,
            layers=None,
        )


def load_fake_engine(config: EngineConfig, progress: ProgressSink) -> FakeEngine:
    """Loads a fake by the name of its model: "missing" and "broken" fail, "slow" takes until it is given up.

    "stuck" never ends, and reports nothing that could end it.
    """
    print("a stray print, as libraries do")  # noqa: T201 - the protocol must survive it
    progress("Fetching the model", 1, 4)
    if config.model == "missing":
        raise ModelNotFoundError("The model missing is neither in the cache nor on the hub.")
    if config.model == "broken":
        raise RuntimeError("tensor shapes differ")
    if config.model == "stuck":
        threading.Event().wait()
    while config.model == "slow":
        progress("Fetching the model", 2, 4)
        threading.Event().wait(0.005)
    return FakeEngine(config)


def prepare_fake_engine(config: EngineConfig, progress: ProgressSink) -> None:
    """Prepares by the precision: "int4" takes until it is given up, "fp32" fails, the others need nothing."""
    while config.precision == "int4":
        progress("Rounding the weights", 1, 4)
        threading.Event().wait(0.005)
    if config.precision == "fp32":
        raise ModelCorruptError("The weights cannot be read.")


def wait_until_cancelled(cancellation: CancellationToken) -> None:
    """Polls like the decoder does."""
    while not cancellation.is_cancelled:
        threading.Event().wait(0.001)
