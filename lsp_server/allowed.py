"""What settings may be: for people, for editors as JSON schema, and for the server as a test. It names no setting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POLICY_NAMES = re.compile(r"|full-depth|learned|project|fixed:[1-9]\d*|confidence:(0?\.\d+|1(\.0+)?|0)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a setting may be.

    Attributes:
        words: For people; they follow "use".
        schema: For editors, as JSON schema. It may allow more than `test`.
        test: For the server.
    """

    words: str
    schema: Mapping[str, Any]
    test: Callable[[object], bool]


def whole(low: int, high: int) -> Allowed:
    """A whole number between two others, both included."""
    return Allowed(
        words=Sentence("a whole number from {low} to {high}", low=low, high=high),
        schema={"type": "integer", "minimum": low, "maximum": high},
        test=lambda value: type(value) is int and low <= value <= high,
    )


def one_of(**meanings: str) -> Allowed:
    """One of several words, each with what it means; "" where that goes without saying."""
    *others, last = [f'"{choice}"' for choice in meanings]
    texts = {"enumDescriptions": list(meanings.values())} if any(meanings.values()) else {}
    return Allowed(
        words=Sentence("{others} or {last}", others=", ".join(others), last=last),
        schema={"type": "string", "enum": list(meanings), **texts},
        test=lambda value: isinstance(value, str) and value in meanings,
    )


def or_null(allowed: Allowed) -> Allowed:
    """The same, or null for what the server finds best: a field that a person has left empty."""
    return Allowed(
        words=Sentence("{allowed}, or leave it empty", allowed=allowed.words),
        schema={**allowed.schema, "type": [allowed.schema["type"], "null"]},
        test=lambda value: value is None or allowed.test(value),
    )


def _is_switches(value: object) -> bool:
    return isinstance(value, dict) and all(type(wanted) is bool for wanted in value.values())


def _is_patterns(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(pattern, str) for pattern in value)


SWITCH = Allowed(words=Sentence("true or false"), schema={"type": "boolean"}, test=lambda value: type(value) is bool)
REMOTE_URL = Allowed(
    words=Sentence("the address of a completion server"),
    schema={"type": "string", "scope": "machine"},  # no workspace may choose who reads what is typed in it
    test=lambda value: isinstance(value, str),
)
REMOTE_MODEL = Allowed(
    words=Sentence("the name of a model"),
    schema={"type": "string", "scope": "machine"},
    test=lambda value: isinstance(value, str),
)
MODEL_NAME = Allowed(
    words=Sentence("the name of a model"), schema={"type": "string"}, test=lambda value: isinstance(value, str)
)
POLICY_NAME = Allowed(
    words=Sentence(
        '"full-depth", "fixed:LAYER", "confidence:P" with P from 0 to 1, "learned", "project", or leave it empty'
    ),
    schema={"type": "string"},
    test=lambda value: isinstance(value, str) and _POLICY_NAMES.fullmatch(value) is not None,
)
LANGUAGE_SWITCHES = Allowed(
    words=Sentence("an object such as {example}", example='{"*": true, "markdown": false}'),
    schema={"type": "object", "additionalProperties": {"type": "boolean"}},
    test=_is_switches,
)
PATTERNS = Allowed(
    words=Sentence("a list of patterns such as {example}", example='["customers/", "!.npmrc"]'),
    schema={"type": "array", "items": {"type": "string"}},
    test=_is_patterns,
)
DEVICE = one_of(
    auto="An NVIDIA GPU where there is one, else the CPU.",
    cpu="The CPU.",
    cuda="An NVIDIA GPU, or one of AMD's with PyTorch's build for ROCm.",
    xpu="An Intel GPU, with PyTorch's build for XPU.",
)
ON_BATTERY = one_of(
    greener="Green mode is at least 50 until the machine is on mains again; 0, which is lossless, stays 0.",
    pause="Suggestions come only when asked for by hand.",
    unchanged="As on mains.",
)
PRECISION = one_of(
    auto="int8 where our kernels or ONNX Runtime support the model, else fp32.",
    int8="Eight bits a weight.",
    int4="Four bits a weight: a quarter faster, and noticeably rougher text. Once, it takes one to ten minutes to "
    "prepare; until then the model that is loaded goes on answering.",
    fp32="The weights as they are, several times slower.",
)
