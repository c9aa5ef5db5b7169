"""`Settings`: what the user chose under "greenCode" in their editor, checked field by field.

It knows no editor and no model. A bad value never stops anything: the field's default is taken, and one sentence
names the setting, the value and what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence  # noqa: TC003 - cattrs reads the annotations at run time
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

import cattrs
from cattrs.gen import make_dict_structure_fn, override

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig, PrecisionChoice
from engine.types import DEFAULT_GREEN_MODE, GREEN_MODE_MAX
from lsp_server.context.privacy import is_pattern
from lsp_server.protocol import wire_name

SECTION = "greenCode"
ANY_LANGUAGE = "*"
MAX_NEW_TOKENS_LIMIT = 256
MAX_THREADS = 1024
MAX_DEBOUNCE_MS = 5000
_SHOWN_CHARS = 60  # of a bad value, in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user can set; the names on the wire are camelCase, such as `greenCode.greenMode`.

    Attributes:
        enable: False answers every request with nothing.
        green_mode: 0 (lossless) to 100 (greenest).
        model: A model of ours by name, a Hugging Face id, or a local folder; "" for the default.
        device: Where it runs; "auto" takes an NVIDIA GPU where there is one.
        precision: Of the weights on a CPU; "auto" takes int8 where the fast runner knows the model's blocks.
        threads: The most CPU threads; None for one per physical core.
        max_new_tokens: Upper bound on the tokens of one suggestion.
        policy: A policy by its name on the command line; None or "" for what the green mode means.
        languages: Language identifier to wanted or not; "*" stands for those not named.
        in_comments: False answers nothing inside comments, unless asked by hand.
        in_strings: The same inside strings.
        debounce_ms: Wait before a request is computed; None for what the person's typing suggests.
        skip_unlikely: False asks at every place, however unlikely it is that the answer is kept.
        reuse: False computes every request anew, even where the text was offered already.
        other_files: True lets the model read pieces of other open and recently edited files.
        file_path: True lets the model read the file's path.
        imports: True lets the model read the file's imports from anywhere in it.
        private_files: Patterns of .gitignore for files that are neither completed nor read, beside the usual names of
            secrets and what git ignores; "!" makes an exception to all of them.
        log_level: The least severe record that is logged.
    """

    enable: bool = True
    green_mode: int = DEFAULT_GREEN_MODE
    model: str = DEFAULT_MODEL
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    max_new_tokens: int = 48
    policy: str | None = None
    languages: Mapping[str, bool] = field(default_factory=lambda: {ANY_LANGUAGE: True})
    in_comments: bool = True
    in_strings: bool = True
    debounce_ms: int | None = None
    skip_unlikely: bool = True
    reuse: bool = True
    other_files: bool = False
    file_path: bool = False
    imports: bool = False
    private_files: Sequence[str] = field(default_factory=list)
    log_level: Literal["error", "warning", "info", "debug"] = "info"


def parse_settings(raw: object) -> tuple[Settings, tuple[str, ...]]:
    """Reads the user's settings as they came over the wire.

    Args:
        raw: The value of the section "greenCode"; None where the client has none. Keys that are not ours
            (the extension has some of its own) are left alone.

    Returns:
        The settings, and one sentence for each value that was replaced by its default.
    """
    if raw is None:
        return Settings(), ()
    if not isinstance(raw, dict):
        return Settings(), (f"The settings of Green Code must be an object, not {_shown(raw)}.",)
    try:
        return _CONVERTER.structure(raw, Settings), ()
    except cattrs.ClassValidationError as error:
        bad = [note.name for _, note in error.group_exceptions()[0]]
    good = {key: value for key, value in raw.items() if key not in map(wire_name, bad)}
    return _CONVERTER.structure(good, Settings), tuple(_problem(name, raw) for name in bad)


def engine_config(settings: Settings) -> EngineConfig:
    """The part of the settings that needs a new engine when it changes."""
    return EngineConfig(
        model=settings.model or DEFAULT_MODEL,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
    )


def why_off(settings: Settings, language_id: str) -> str:
    """Why the user has switched completions off for a language, as one sentence; "" where they are on."""
    if not settings.enable:
        return f"Completions are switched off ({SECTION}.enable)."
    if not settings.languages.get(language_id, settings.languages.get(ANY_LANGUAGE, True)):
        return f'Completions are switched off for the language "{language_id}" ({SECTION}.languages).'
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    """What a setting may be: a test, and the same in words that follow "use"."""

    words: str
    test: Callable[[object], bool]


def _whole(low: int, high: int) -> _Allowed:
    return _Allowed(
        words=f"a whole number from {low} to {high}", test=lambda value: type(value) is int and low <= value <= high
    )


def _one_of(*choices: str) -> _Allowed:
    quoted = [f'"{choice}"' for choice in choices]
    return _Allowed(words=f"{', '.join(quoted[:-1])} or {quoted[-1]}", test=lambda value: value in choices)


def _or_null(allowed: _Allowed) -> _Allowed:
    return _Allowed(words=f"null or {allowed.words}", test=lambda value: value is None or allowed.test(value))


def _is_policy(value: object) -> bool:
    return isinstance(value, str) and _POLICY_NAME.fullmatch(value) is not None


def _is_switches(value: object) -> bool:
    return isinstance(value, dict) and all(type(wanted) is bool for wanted in value.values())


def _is_patterns(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(pattern, str) and is_pattern(pattern) for pattern in value)


_POLICY_NAME = re.compile(r"|full-depth|learned|fixed:[1-9]\d*|confidence:(0?\.\d+|1(\.0+)?|0)")
_SWITCH = _Allowed(words="true or false", test=lambda value: type(value) is bool)
_ALLOWED = {
    "enable": _SWITCH,
    "green_mode": _whole(0, GREEN_MODE_MAX),
    "model": _Allowed(words="the name of a model", test=lambda value: isinstance(value, str)),
    "device": _one_of(*get_args(DeviceChoice)),
    "precision": _one_of(*get_args(PrecisionChoice)),
    "threads": _or_null(_whole(1, MAX_THREADS)),
    "max_new_tokens": _whole(1, MAX_NEW_TOKENS_LIMIT),
    "policy": _or_null(
        _Allowed(
            words='"", "full-depth", "fixed:LAYER", "confidence:P" with P from 0 to 1, or "learned"', test=_is_policy
        )
    ),
    "languages": _Allowed(words='an object such as {"*": true, "markdown": false}', test=_is_switches),
    "in_comments": _SWITCH,
    "in_strings": _SWITCH,
    "debounce_ms": _or_null(_whole(0, MAX_DEBOUNCE_MS)),
    "skip_unlikely": _SWITCH,
    "reuse": _SWITCH,
    "other_files": _SWITCH,
    "file_path": _SWITCH,
    "imports": _SWITCH,
    "private_files": _Allowed(words='a list of patterns such as ["customers/", "!.npmrc"]', test=_is_patterns),
    "log_level": _one_of("error", "warning", "info", "debug"),
}


def _problem(name: str, raw: Mapping[str, object]) -> str:
    key = wire_name(name)
    default = getattr(Settings(), name)
    return (
        f"The setting {SECTION}.{key} cannot be {_shown(raw[key])}: use {_ALLOWED[name].words}; "
        f"until then it is {_shown(default)}."
    )


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    names: dict[str, Any] = {
        f.name: override(rename=wire_name(f.name), struct_hook=_checked(_ALLOWED[f.name])) for f in fields(Settings)
    }
    converter.register_structure_hook(Settings, make_dict_structure_fn(Settings, converter, **names))
    return converter


def _checked(allowed: _Allowed) -> Callable[[object, Any], object]:
    def check(value: object, _: object) -> object:
        if not allowed.test(value):
            raise ValueError(value)
        return value

    return check


_CONVERTER = _make_converter()
