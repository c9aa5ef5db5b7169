"""START HERE: the facade. `load_engine(config)` -> `Engine`; `Engine.complete(request)` -> `Completion`.

It wires the parts together and owns none of their work: text is `engine.text`, decisions are `engine.policy`, joules
are `engine.energy`. Importing this module does not import torch; loading an engine does where the model runs on it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.calibrated import calibrate_model, cost_model_of
from engine.completion.fim import why_no_format
from engine.completion.site import ignore_text
from engine.energy.accounting import account, energy_source
from engine.energy.cost_model import baseline_work, prompt_work
from engine.energy.detect import MeterReport, detect_meter
from engine.energy.meter import EnergyWindow
from engine.energy.pace import Pace
from engine.energy.verification import verify
from engine.model.loading import load_model
from engine.model.prepared.native import library
from engine.model.sources.store import resolve_model
from engine.policy.learned import find_learned_policy
from engine.policy.operating_point import plan_for
from engine.sentences import Sentence
from engine.text import TextDecoder
from engine.types import (
    PROJECT_ALONE,
    Completion,
    CompletionRequest,
    CompletionToken,
    Phase,
    no_progress,
    nothing_meanwhile,
)
from engine.verified import VerifiedPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.config import EngineConfig
    from engine.energy.calibration import Calibration
    from engine.energy.verification import Verification
    from engine.model.loaded import LoadedModel
    from engine.policy.operating_point import Plan
    from engine.project.project_text import ProjectText
    from engine.types import CancellationToken, Meanwhile, ProgressSink

logger = logging.getLogger(__name__)


def load_engine(config: EngineConfig, *, progress: ProgressSink = no_progress) -> Engine:
    """Finds or fetches the model, loads it on its device, and chooses a meter.

    Args:
        config: Which model, where.
        progress: Is called during downloads, conversion and loading.

    Raises:
        EngineError: If the model cannot be had or used; the message says what to do.
    """
    files = resolve_model(config.model, progress=progress)
    progress(Sentence("Loading {name}", name=files.name), 0, None)
    return Engine(load_model(files.name, files.path, config, progress=progress), is_paced=config.is_paced)


class Engine:
    """A loaded model that completes text and tells what it cost. One thread at a time.

    Args:
        loaded: The model.
        is_paced: See `EngineConfig`.

    Attributes:
        cost_model: Joules per unit of work: this device's calibration, else the shipped default.
        meter_report: The energy counter that is used, and why others are not.
    """

    def __init__(self, loaded: LoadedModel, *, is_paced: bool = True) -> None:
        self._loaded = loaded
        self._texts = TextDecoder(loaded, keeps_rows=True)
        # The first word that somebody has begun needs it: 0.1 s, which pass before anybody has begun one.
        threading.Thread(target=lambda: loaded.tokenization.vocabulary, name="vocabulary", daemon=True).start()
        self._learned = find_learned_policy(loaded.name, loaded.model.fingerprint, loaded.model.exits_fingerprint)
        if self.format_refused is not None:
            logger.warning("%s: %s", loaded.name, self.format_refused)
        report = detect_meter(loaded.device)
        self.cost_model, note = cost_model_of(loaded, report, is_paced=is_paced)
        self._pace = Pace()
        self.meter_report: MeterReport = replace(report, refused=(*report.refused, *note))

    @property
    def model_name(self) -> str:
        """The model, as the user named it."""
        return self._loaded.name

    @property
    def device_name(self) -> str:
        """Where it runs, for people."""
        return self._loaded.device_name

    @property
    def remote_host(self) -> str | None:
        """None: nothing leaves this machine."""
        return None

    @property
    def energy_source(self) -> str:
        """How joules are had, for people."""
        return energy_source(self.meter_report.meter, self.cost_model)

    @property
    def meters_refused(self) -> tuple[str, ...]:
        """Why each better meter is not in use, one sentence each."""
        return self.meter_report.refused

    @property
    def kernels_refused(self) -> str | None:
        """Why a CPU does not run the native kernels; None where it does, or nobody asked for them."""
        return library.why_not() if self._loaded.runtime == "onnx" else None

    @property
    def format_refused(self) -> str | None:
        """Why text behind the cursor is not read although the model seems to know how; None where all is well."""
        return why_no_format(self._loaded.tokenization.control_ids)

    @property
    def shared_as(self) -> str:
        """Nobody else is served."""
        return ""

    @property
    def layers_total(self) -> int:
        """The model's full depth."""
        return self._loaded.model.n_layers

    @property
    def exit_layers(self) -> tuple[int, ...]:
        """Layers after which a token may leave, ascending, without the last."""
        return self._loaded.model.exit_layers

    def project(self, name: str) -> ProjectText:
        """The text of a project, which has its say where a request names it; to be filled from any thread."""
        return self._texts.projects.text(name)

    def use_windows(self, count: int) -> None:
        """So many windows are worked at in turns: each keeps what the model has read there."""
        self._texts.keep_caches(count)

    def complete(
        self,
        request: CompletionRequest,
        *,
        cancellation: CancellationToken | None = None,
        meanwhile: Meanwhile = nothing_meanwhile,
        on_text: Callable[[str], None] = ignore_text,
    ) -> Completion:
        """Completes the text at one place.

        A cancelled request returns too: with no text, and with the energy it had cost by then.

        Args:
            request: The place, and what the user's slider says.
            cancellation: Polled at every exit candidate and between prefill segments.
            meanwhile: Its work is done between prefill segments, and none of this request's.
            on_text: Is called with the suggestion so far, each time it has grown. Its end may still be taken back.

        Raises:
            ConfigError: If the green mode or the policy means nothing.
            EngineLostError: If somebody has written into the model's files.
            PolicyError: If the policy does not fit the model.
        """
        plan = self._plan_of(request)
        self._loaded.model.use_cores(all_cores=plan.all_cores)
        window = EnergyWindow(self.meter_report.meter, cpu_clock=self._pace.clock if self.cost_model.is_paced else None)

        def between() -> None:
            if (work := meanwhile()) is not None:
                with window.apart():
                    work()
                self._loaded.model.use_cores(all_cores=plan.all_cores)

        with self._loaded.files.unwritten():
            return self._completed(request, plan, window, on_text, cancellation=cancellation, between=between)

    def n_unread(self, request: CompletionRequest) -> int:
        """How many tokens of a request's prompt the model would have to read; on the thread that completes."""
        return self._texts.n_unread(request, self._plan_of(request).point)

    def complete_from_project(self, request: CompletionRequest) -> Completion:
        """Completes by the project alone, which takes no layer; from any thread, while another completes.

        No counter tells what it took apart from what is computed meanwhile.

        Raises:
            ConfigError: If the green mode means nothing.
        """
        plan = self._plan_of(replace(request, policy=PROJECT_ALONE))
        return self._completed(request, plan, EnergyWindow(None), ignore_text)

    def _completed(
        self,
        request: CompletionRequest,
        plan: Plan,
        window: EnergyWindow,
        on_text: Callable[[str], None],
        *,
        cancellation: CancellationToken | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> Completion:
        first_token_s: float | None = None

        def grown(text: str) -> None:
            nonlocal first_token_s
            first_token_s = first_token_s or window.passed_s
            on_text(text)

        with window:
            run = self._texts.for_request(request, plan.point)
            decoded = run.decode(
                plan.policy,
                plan.point,
                max_new_tokens=request.max_new_tokens,
                cancellation=cancellation,
                between=between,
                on_read=window.split,
                on_text=grown,
            )
        token_texts = self._loaded.tokenization.token_texts(run.prompt_ids, decoded.token_ids)
        unread = prompt_work(decoded.unread_tokens, len(run.prompt_ids), self.layers_total)
        energy, baseline_energy_j, saved_range_j = account(
            decoded.work,
            cost_model=self.cost_model,
            window=window,
            elapsed_s=window.elapsed_s,
            # As many tokens: what a stop saved is not claimed, for nobody knows where full depth would have ended.
            baseline=baseline_work(
                decoded.work[Phase.PREFILL] + decoded.left_out + unread,
                prompt_tokens=len(run.prompt_ids),
                tokens=decoded.n_decoded,
                n_layers=self.layers_total,
            ),
            pace=self._pace,
        )
        return Completion(
            text=decoded.text,
            tokens=tuple(
                CompletionToken(text=text, exit_layer=exit_layer)
                for text, exit_layer in zip(token_texts, decoded.exit_layers, strict=True)
            ),
            finish_reason=decoded.finish_reason,
            energy=energy,
            baseline_energy_j=baseline_energy_j,
            saved_range_j=saved_range_j,
            work=decoded.work,
            prompt_tokens=len(run.prompt_ids),
            reused_tokens=decoded.reused_tokens,
            elapsed_s=window.elapsed_s,
            first_token_s=first_token_s,
            layers_total=self.layers_total,
            model=self.model_name,
            device=self.device_name,
            policy=plan.policy.name,
            green_mode=request.green_mode,
            outlook=run.outlook() if plan.policy.name == PROJECT_ALONE and not decoded.text else None,
        )

    def _plan_of(self, request: CompletionRequest) -> Plan:
        return plan_for(request.green_mode, request.policy, (*self.exit_layers, self.layers_total), self._learned)

    def calibrate(
        self,
        *,
        power_w: float | None = None,
        unloaded_power_w: float | None = None,
        progress: ProgressSink = no_progress,
    ) -> Calibration:
        """Fits the cost model to this device; a good one is kept, and used from now on.

        Args:
            power_w: What the machine takes at work beyond rest, to fit to seconds; None fits to the energy counter.
            unloaded_power_w: What the counter saw at rest before this engine was loaded, where somebody looked.
            progress: Is called for each window.

        Raises:
            ConfigError: If `power_w` is no power.
            MeterError: If there is no counter, it failed, or the result cannot be kept.
        """
        made = calibrate_model(
            self._loaded, self.meter_report, power_w=power_w, unloaded_power_w=unloaded_power_w, progress=progress
        )
        if made.model.is_good_fit:
            self.cost_model = made.model
        return made

    def verify(
        self,
        requests: Sequence[CompletionRequest],
        *,
        rounds: int = 3,
        progress: ProgressSink = no_progress,
    ) -> Verification:
        """Decodes some places as the product does and at full depth with a KV cache, and measures both.

        Raises:
            ConfigError: If the green mode or the policy means nothing.
            PolicyError: If the policy does not fit the model.
        """
        return verify(
            [VerifiedPlace(self._loaded, self._plan_of(request), request) for request in requests],
            cost_model=self.cost_model,
            meter=self.meter_report.meter,
            on_gpu=self._loaded.device != "cpu",
            rounds=rounds,
            progress=progress,
        )

    def close(self) -> None:
        """Gives back what the meter holds."""
        if self.meter_report.meter is not None:
            self.meter_report.meter.close()
