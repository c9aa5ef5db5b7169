"""What travels between a server and the shared engine: messages of JSON, and the engine's records in them.

Never pickle: a message can make records, and nothing else. Both ends are of one version (`engine.service.endpoint`), so
no field is optional. It knows no socket.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from engine import errors
from engine.config import EngineConfig
from engine.errors import EngineError
from engine.sentences import as_data, from_data
from engine.types import (
    Completion,
    CompletionRequest,
    CompletionToken,
    EnergyReading,
    FinishReason,
    Phase,
    ProjectPlace,
    PromptOptions,
    Provenance,
    Snippet,
    Work,
)

Message = dict[str, Any]

# From a server. OPEN asks for the engine; COMPLETE, CANCEL and PROJECT name what they are about by "id".
OPEN, COMPLETE, CANCEL, PROJECT = "open", "complete", "cancel", "project"
# To it. Each COMPLETE ends in DONE, FAILED or WITHDRAWN, each PROJECT that asks for a value in VALUE or FAILED.
PROGRESS, READY, TEXT, DONE, FAILED, WITHDRAWN, VALUE, LOG = (
    *("progress", "ready", "text", "done"),
    *("failed", "withdrawn", "value", "log"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFacts:
    """What a server knows of a loaded engine without asking; see `lsp_server.suggest.seams.CompletionEngine`."""

    shared_as: str
    model_name: str
    device_name: str
    layers_total: int
    energy_source: str
    meters_refused: tuple[str, ...]


def packed(message: Message) -> bytes:
    """A message as it travels. Lone surrogates, which documents may have, come through."""
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def unpacked(data: bytes) -> Message:
    """The message.

    Raises:
        ValueError: It is none.
    """
    message = json.loads(data, object_hook=from_data)
    if not isinstance(message, dict):
        raise ValueError("no message")  # noqa: TRY004 - who reads asks for one kind
    return message


def config_of(data: Message) -> EngineConfig:
    """The configuration that `asdict` made this of."""
    layers = data["exit_layers"]
    return EngineConfig(**data | {"exit_layers": None if layers is None else tuple(layers)})


def facts_of(data: Message) -> SharedFacts:
    """The facts that `asdict` made this of."""
    return SharedFacts(**data | {"meters_refused": tuple(data["meters_refused"])})


def request_of(data: Message) -> CompletionRequest:
    """The request that `asdict` made this of."""
    place = data["place"]
    records = {
        "snippets": tuple(Snippet(**snippet) for snippet in data["snippets"]),
        "prompt": PromptOptions(**data["prompt"]),
        "place": None if place is None else ProjectPlace(**place),
    }
    return CompletionRequest(**data | records)


def completion_of(data: Message) -> Completion:
    """The completion that `asdict` made this of."""
    records = {
        "tokens": tuple(CompletionToken(**token) for token in data["tokens"]),
        "finish_reason": FinishReason(data["finish_reason"]),
        "energy": _energy_of(data["energy"]),
        "work": {Phase(phase): Work(**work) for phase, work in data["work"].items()},
    }
    return Completion(**data | records)


def error_message(error: EngineError, about: int) -> Message:
    """How a failure travels: its kind and its sentence."""
    kinds = (kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    return {"is": FAILED, "id": about, "kind": next(kinds), "sentence": as_data(error.sentence)}


def error_of(message: Message) -> EngineError:
    """The error of its kind, with its sentence."""
    kind = getattr(errors, message["kind"], EngineError)
    error: EngineError = kind(message["sentence"])
    return error


def record(value: SharedFacts | EngineConfig | CompletionRequest | Completion) -> Message:
    """A record as it travels."""
    return asdict(value, dict_factory=lambda fields: {name: as_data(field) for name, field in fields})


def _energy_of(data: Message) -> EnergyReading:
    records = {
        "provenance": Provenance(data["provenance"]),
        "by_phase": {Phase(phase): energy_j for phase, energy_j in data["by_phase"].items()},
        "range_j": None if data["range_j"] is None else tuple(data["range_j"]),
    }
    return EnergyReading(**data | records)
