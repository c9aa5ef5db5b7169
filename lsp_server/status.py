"""`ServerState`: everything a person may need to know about the server, and `status_of`, its one-line summary.

It sends nothing and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lsp_server.protocol import Status
from lsp_server.suggest.reasons import Reason

if TYPE_CHECKING:
    from lsp_server.protocol import Health, Remedy
    from lsp_server.suggest.seams import CompletionEngine
    from lsp_server.translation import Say


_NONE = Reason("none", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What people are told about a loaded engine, and what it is called where it is shared."""

    shared_as: str
    model: str
    device: str
    remote: str | None
    layers_total: int | None
    meter: str
    meter_notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """The facts a status is made of; "" where there is nothing to say.

    Attributes:
        engine: The loaded engine; None before, and after a failure.
        loading: What the load is doing just now.
        reading: Which project is being read.
        load_failure: Why there is no engine.
        remedy: What would bring one.
        settings_problems: One sentence for each setting that has a bad value.
        request_failure: Why the newest request failed; gone with the next one that succeeds.
        ledger_warning: Why the ledger is not written as it should be.
        snoozed: Until when the person wants quiet.
        paused: Why suggestions pause by themselves.
        power: What the machine runs on, where that matters.
        not_offered: Why nothing was offered at the last place that was asked about, though all is well.
        busy: True while a completion is computed.
    """

    engine: EngineFacts | None = None
    loading: str = ""
    reading: str = ""
    load_failure: str = ""
    remedy: Remedy = "none"
    settings_problems: tuple[str, ...] = field(default=())
    request_failure: str = ""
    ledger_warning: str = ""
    snoozed: str = ""
    paused: Reason | None = None
    power: str = ""
    not_offered: Reason | None = None
    busy: bool = False

    @property
    def shared_as(self) -> str:
        """What the engine is called that windows share; "" where none is."""
        return self.engine.shared_as if self.engine else ""

    @property
    def layers_total(self) -> int | None:
        """Layers of the model; None where that is not known."""
        return self.engine.layers_total if self.engine else None


def engine_facts(engine: CompletionEngine) -> EngineFacts:
    """Reads what people are told from an engine."""
    return EngineFacts(
        shared_as=engine.shared_as,
        model=engine.model_name,
        device=engine.device_name,
        remote=engine.remote_host,
        layers_total=engine.layers_total,
        meter=engine.energy_source,
        meter_notes=engine.meters_refused,
    )


def status_of(state: ServerState, say: Say = str) -> Status:
    """Sums the facts up: the gravest first, every sentence once, and of the reasons for silence the first alone.

    Args:
        state: The facts.
        say: Says a sentence in the person's language; without it all is English.
    """
    warnings = (*state.settings_problems, state.request_failure, state.ledger_warning)
    snooze = Reason("snoozed", state.snoozed) if state.snoozed else None
    silence = snooze or state.paused or state.not_offered or _NONE
    sentences = filter(None, (state.load_failure, state.loading, state.reading, *warnings, silence.sentence))
    health: Health = "error" if state.load_failure else "warning" if any(warnings) else "ok"
    engine = state.engine
    return Status(
        health=health,
        quiescent=not (state.loading or state.reading or state.busy),
        message=" ".join(dict.fromkeys(map(say, sentences))),
        remedy=state.remedy,
        silence=silence.kind,
        power=say(state.power),
        model=engine.model if engine else None,
        device=say(engine.device) if engine else None,
        remote=engine.remote if engine else None,
        meter=say(engine.meter) if engine else None,
        meter_notes=[say(note) for note in engine.meter_notes] if engine else [],
    )
