"""`Settings`: what the user chose under "greenCode" in their editor, checked field by field.

It knows no editor and no model. A bad value never stops anything: the field's default is taken, and one sentence
names the setting, the value and what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping  # noqa: TC003 - cattrs reads the annotations at run time
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, get_args, get_type_hints

import cattrs
from cattrs.gen import make_dict_structure_fn, override

from engine.config import DEFAULT_MODEL, EngineConfig
from engine.types import GREEN_MODE_MAX
from lsp_server.wire import wire_name

SECTION = "greenCode"
ANY_LANGUAGE = "*"
MAX_NEW_TOKENS_LIMIT = 256
MAX_THREADS = 1024
_SHOWN_CHARS = 60  # of a bad value, in a message
_POLICY_NAME = re.compile(r"|full-depth|learned|fixed:[1-9]\d*|confidence:(0?\.\d+|1(\.0+)?|0)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a setting may be: a test, and the same in words that follow "use"."""

    words: str
    test: Callable[[object], bool]


def _is_whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _one_of(*choices: str) -> Allowed:
    quoted = [f'"{choice}"' for choice in choices]
    return Allowed(
        words=f"{', '.join(quoted[:-1])} or {quoted[-1]}",
        test=lambda value: isinstance(value, str) and value in choices,
    )


def _is_switches(value: object) -> bool:
    return isinstance(value, dict) and all(type(wanted) is bool for wanted in value.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user can set; the names on the wire are camelCase, such as `greenCode.greenMode`.

    Attributes:
        enable: False answers every request with nothing.
        green_mode: 0 (lossless) to 100 (greenest).
        model: A model of ours by name, a Hugging Face id, or a local folder; "" for the default.
        device: Where it runs; "auto" takes an NVIDIA GPU where there is one.
        threads: CPU threads; None for one per physical core.
        max_new_tokens: Upper bound on the tokens of one suggestion.
        policy: A policy by its name on the command line; None or "" for what the green mode means.
        languages: Language identifier to wanted or not; "*" stands for those not named.
        log_level: The least severe record that is logged.
    """

    enable: Annotated[bool, Allowed(words="true or false", test=lambda v: type(v) is bool)] = True
    green_mode: Annotated[
        int,
        Allowed(words=f"a whole number from 0 to {GREEN_MODE_MAX}", test=_is_whole(0, GREEN_MODE_MAX)),
    ] = 50
    model: Annotated[str, Allowed(words="the name of a model", test=lambda v: isinstance(v, str))] = DEFAULT_MODEL
    device: Annotated[Any, _one_of("auto", "cpu", "cuda")] = "auto"
    threads: Annotated[
        int | None,
        Allowed(
            words=f"null or a whole number from 1 to {MAX_THREADS}",
            test=lambda v: v is None or _is_whole(1, MAX_THREADS)(v),
        ),
    ] = None
    max_new_tokens: Annotated[
        int,
        Allowed(
            words=f"a whole number from 1 to {MAX_NEW_TOKENS_LIMIT}",
            test=_is_whole(1, MAX_NEW_TOKENS_LIMIT),
        ),
    ] = 48
    policy: Annotated[
        str | None,
        Allowed(
            words='"", "full-depth", "fixed:LAYER", "confidence:P" with P from 0 to 1, or "learned"',
            test=lambda v: v is None or (isinstance(v, str) and bool(_POLICY_NAME.fullmatch(v))),
        ),
    ] = None
    languages: Annotated[
        Mapping[str, bool],
        Allowed(words='an object such as {"*": true, "markdown": false}', test=_is_switches),
    ] = field(default_factory=lambda: {ANY_LANGUAGE: True})
    log_level: Annotated[str, _one_of("error", "warning", "info", "debug")] = "info"


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
    return EngineConfig(model=settings.model or DEFAULT_MODEL, device=settings.device, threads=settings.threads)


def is_wanted(settings: Settings, language_id: str) -> bool:
    """True where the user wants completions for a language."""
    if not settings.enable:
        return False
    everywhere = settings.languages.get(ANY_LANGUAGE, True)
    return settings.languages.get(language_id, everywhere)


def _problem(name: str, raw: Mapping[str, object]) -> str:
    key = wire_name(name)
    default = getattr(Settings(), name)
    return (
        f"The setting {SECTION}.{key} cannot be {_shown(raw[key])}: use {_allowed(name).words}; "
        f"until then it is {_shown(default)}."
    )


def _allowed(name: str) -> Allowed:
    allowed = get_args(get_type_hints(Settings, include_extras=True)[name])[-1]
    assert isinstance(allowed, Allowed)
    return allowed


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter()

    def check(value: object, annotated: Any) -> object:  # noqa: ANN401 - cattrs passes any type
        if not get_args(annotated)[-1].test(value):
            raise ValueError(value)
        return value

    converter.register_structure_hook_func(
        lambda kind: any(isinstance(argument, Allowed) for argument in get_args(kind)), check
    )
    names: dict[str, Any] = {f.name: override(rename=wire_name(f.name)) for f in fields(Settings)}
    converter.register_structure_hook(
        Settings,
        make_dict_structure_fn(Settings, converter, **names),
    )
    return converter


_CONVERTER = _make_converter()
