"""What travels between a server and the shared engine: messages of JSON, and the engine's records in them.

Never pickle: a message can make records, and nothing else. Both ends are of one version (`engine.service.endpoint`), so
no field is optional, and none is named. It knows no socket.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from engine import errors
from engine.config import EngineConfig
from engine.errors import EngineError
from engine.outlook import Outlook
from engine.sentences import as_data, from_data
from engine.types import (
    Completion,
    CompletionRequest,
    CompletionToken,
    EnergyReading,
    FinishReason,
    Phase,
    ProjectDocument,
    PromptOptions,
    Provenance,
    Snippet,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Message = dict[str, Any]
Values = list[Any]
"""A record as it travels: what its fields hold, in their order."""

_Record = TypeVar("_Record")

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
    """A message as it travels, with the records in it. Lone surrogates, which documents may have, come through."""
    return _ENCODER.encode(message).encode("ascii")


def unpacked(data: bytes) -> Message:
    """The message.

    Raises:
        ValueError: It is none.
    """
    message = _DECODER.decode(data.decode("ascii"))
    if not isinstance(message, dict):
        raise ValueError("no message")  # noqa: TRY004 - who reads asks for one kind
    return message


def config_of(values: Values) -> EngineConfig:
    """The configuration that became this."""
    return _made(EngineConfig, values, exit_layers=lambda layers: None if layers is None else tuple(layers))


def facts_of(values: Values) -> SharedFacts:
    """The facts that became this."""
    return _made(SharedFacts, values, meters_refused=tuple)


def request_of(values: Values) -> CompletionRequest:
    """The request that became this."""
    return _made(
        CompletionRequest,
        values,
        snippets=lambda snippets: tuple(_made(Snippet, snippet) for snippet in snippets),
        prompt=lambda prompt: _made(PromptOptions, prompt),
        in_project=lambda of: None if of is None else _made(ProjectDocument, of),
    )


def completion_of(values: Values) -> Completion:
    """The completion that became this."""
    return _made(
        Completion,
        values,
        tokens=lambda tokens: tuple(_made(CompletionToken, token) for token in tokens),
        finish_reason=FinishReason,
        energy=_energy_of,
        saved_range_j=_range_of,
        work=lambda work: {Phase(phase): _made(Work, amount) for phase, amount in work.items()},
        outlook=lambda outlook: None if outlook is None else _made(Outlook, outlook),
    )


def error_message(error: EngineError, about: int) -> Message:
    """How a failure travels: its kind and its sentence."""
    kinds = (kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    return {"is": FAILED, "id": about, "kind": next(kinds), "sentence": as_data(error.sentence)}


def error_of(message: Message) -> EngineError:
    """The error of its kind, with its sentence."""
    kind = getattr(errors, message["kind"], EngineError)
    error: EngineError = kind(message["sentence"])
    return error


def _energy_of(values: Values) -> EnergyReading:
    return _made(
        EnergyReading,
        values,
        provenance=Provenance,
        by_phase=lambda by_phase: {Phase(phase): energy_j for phase, energy_j in by_phase.items()},
        range_j=_range_of,
    )


def _range_of(ends: Values | None) -> tuple[Any, ...] | None:
    return None if ends is None else tuple(ends)


def _made(kind: type[_Record], values: Values, **fields: Callable[[Any], Any]) -> _Record:
    """The record of those values, with what becomes of some fields on the way."""
    by_name = dict(zip(_names(kind), values, strict=True))
    for name, made in fields.items():
        by_name[name] = made(by_name[name])
    return kind(**by_name)


def _values_of(record: Any) -> Values:  # noqa: ANN401 - any record
    return [as_data(getattr(record, name)) for name in _names(type(record))]


def _names(kind: type) -> tuple[str, ...]:
    names: tuple[str, ...] = vars(kind)["__slots__"]  # of a record, its fields
    return names


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_values_of)
_DECODER = json.JSONDecoder(object_hook=from_data)
