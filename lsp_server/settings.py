"""`Settings`: what the user chose under "greenCode" in their editor, checked field by field.

Each setting is declared here once: type, default, what is allowed, and the text that people read. The settings page of
VS Code and the extension's README are made of it (`python -m tests.extension_settings`). It knows no editor and no
model. A bad value never stops anything: the field's default is taken, and one sentence names the setting, the value and
what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - the annotations are read at run time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig, PrecisionChoice
from engine.sentences import Sentence
from engine.types import DEFAULT_GREEN_MODE, GREEN_MODE_MAX
from lsp_server.allowed import (
    DEVICE,
    LANGUAGE_SWITCHES,
    MODEL_NAME,
    ON_BATTERY,
    PATTERNS,
    POLICY_NAME,
    PRECISION,
    REMOTE_MODEL,
    REMOTE_URL,
    SWITCH,
    Allowed,
    one_of,
    or_null,
    whole,
)
from lsp_server.protocol import wire_name
from lsp_server.rest import USUAL_MINUTES
from lsp_server.settings_entries import mend_entries, quoted, without_groups

ANY_LANGUAGE = "*"
MAX_NEW_TOKENS_LIMIT = 256
MAX_THREADS = 1024
MAX_DEBOUNCE_MS = 5000
MAX_REST_MINUTES = 1440
MAX_SESSION_BUDGET_J = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user can set; the names on the wire are camelCase, such as `greenCode.greenMode`.

    Each text is Markdown; its first sentence says what the setting is. A key with a dot is one in a group.
    """

    enable: Annotated[bool, SWITCH, "Offer inline completions."] = True
    green_mode: Annotated[
        int,
        whole(0, GREEN_MODE_MAX),
        "Weight of energy against quality, from `0` (lossless) to `100` (greenest). At `0` the text is identical to "
        "that of the whole model with the project's text; towards `100` suggestions end sooner, tokens leave the model "
        "earlier, and the least energy is spent.",
    ] = DEFAULT_GREEN_MODE
    on_battery: Annotated[
        Literal["greener", "pause", "unchanged"],
        ON_BATTERY,
        "What happens on battery, and where the system saves power. Where that cannot be told, nothing changes.",
    ] = "greener"
    session_budget_j: Annotated[
        int | None,
        or_null(whole(1, MAX_SESSION_BUDGET_J)),
        "Joules that a session may cost; above it suggestions come only when asked for by hand. Empty is no budget.",
    ] = None
    model: Annotated[
        str,
        MODEL_NAME,
        f"The model: `{DEFAULT_MODEL}`, a Hugging Face id such as `Qwen/Qwen2.5-Coder-0.5B`, or the path of a local "
        "folder.",
    ] = DEFAULT_MODEL
    device: Annotated[DeviceChoice, DEVICE, "Where the model runs."] = "auto"
    precision: Annotated[PrecisionChoice, PRECISION, "Precision of the weights on a CPU. A GPU always holds bf16."] = (
        "auto"
    )
    threads: Annotated[
        int | None,
        or_null(whole(1, MAX_THREADS)),
        "The most CPU threads that the model takes; empty takes the physical cores. Where green mode is above 0, a "
        "small model writes on one of them and reads on all.",
    ] = None
    remote_url: Annotated[
        str,
        REMOTE_URL,
        "Address of a completion server that has the model instead, such as `https://gpu.example:8000`: llama.cpp "
        "(`/infill`), vLLM, TGI, Ollama, or another with `/v1/completions`. The text around the cursor is then sent "
        "there, never that of private files. If it wants a token, use *Green Code: Set Remote Token*. Empty keeps "
        "everything on this machine.",
        "remote.url",
    ] = ""
    remote_model: Annotated[
        str,
        REMOTE_MODEL,
        "Which model of the completion server is meant, as the server calls it; empty takes its only one.",
        "remote.model",
    ] = ""
    shared_engine: Annotated[
        bool,
        SWITCH,
        "Let all windows and editors of this user share one engine, in a process of its own, where they ask for the "
        "same model: it is held in memory once. Off, each window loads its own.",
    ] = True
    rest_after_minutes: Annotated[
        int,
        whole(1, MAX_REST_MINUTES),
        "Minutes without a key after which the model leaves the memory; the next key brings it back within seconds.",
    ] = USUAL_MINUTES
    max_new_tokens: Annotated[int, whole(1, MAX_NEW_TOKENS_LIMIT), "The most tokens one completion may have."] = 48
    policy: Annotated[
        str,
        POLICY_NAME,
        "Which policy chooses the exit layer: `full-depth`, `fixed:24`, `confidence:0.8`, `learned` or `project`; "
        "empty takes what green mode means.",
    ] = ""
    languages: Annotated[
        Mapping[str, bool],
        LANGUAGE_SWITCHES,
        "Languages with completions, by language identifier; `*` stands for all that are not named.",
    ] = field(default_factory=lambda: {ANY_LANGUAGE: True})
    in_comments: Annotated[bool, SWITCH, "Offer completions inside comments; asking by hand works in any case."] = True
    in_strings: Annotated[bool, SWITCH, "Offer completions inside strings; asking by hand works in any case."] = True
    debounce_ms: Annotated[
        int | None,
        or_null(whole(0, MAX_DEBOUNCE_MS)),
        "Milliseconds to wait before a completion is computed; empty follows your own typing.",
    ] = None
    skip_unlikely: Annotated[
        bool,
        SWITCH,
        "Leave places alone where a suggestion is hardly ever kept, the more so the greener; asking by hand works in "
        "any case.",
    ] = True
    reuse: Annotated[
        bool, SWITCH, "Offer what is left of a suggestion while you type it, instead of computing it anew."
    ] = True
    project_text: Annotated[
        bool,
        SWITCH,
        "Complete from the project as well: the way the document and the workspace's other files of the same language "
        "go on after the same words, which costs next to nothing and is often right. They are read into memory alone; "
        "never private ones, nor what git ignores. Off, the model is alone.",
    ] = True
    other_files: Annotated[
        bool,
        SWITCH,
        "Let the model read pieces of other open and recently edited files that are like the text around the cursor; "
        "never of private ones. Small models profit little, and each new choice of pieces makes the model read "
        "everything anew.",
    ] = False
    file_path: Annotated[
        bool,
        SWITCH,
        "Let the model read the file's path inside the workspace, as a comment. Small models do not profit.",
    ] = False
    imports: Annotated[
        bool,
        SWITCH,
        "Let the model read the file's imports also where they are far above the cursor; there is more to read when a "
        "file is first completed.",
    ] = False
    private_files: Annotated[
        Sequence[str],
        PATTERNS,
        "Files that are neither completed nor read as context, as patterns of `.gitignore`, such as `customers/`. "
        "They are relative to the workspace, or begin at the disk's root or at `~`. The usual names of secrets (`.env`,"
        " keys, credentials), their copies, and everything git ignores are on the list already; `!.npmrc` takes a file "
        "off it.",
    ] = field(default_factory=list)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        one_of(debug="", info="", warning="", error=""),
        "How much the server writes to the log.",
    ] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One setting as people and editors know it.

    Attributes:
        key: Such as "greenMode".
        allowed: What it may be.
        text: What it is for, in Markdown.
        default: As JSON.
    """

    key: str
    allowed: Allowed
    text: str
    default: object


def declarations() -> dict[str, Declaration]:
    """Every setting by the name of its field."""
    hints, defaults = get_type_hints(Settings, include_extras=True), Settings()
    return {name: _declaration(name, hint, getattr(defaults, name)) for name, hint in hints.items()}


def _declaration(name: str, hint: object, default: object) -> Declaration:
    match getattr(hint, "__metadata__", ()):
        case (Allowed() as allowed, str(text), *others) if len(others) <= 1:
            key = str(others[0]) if others else wire_name(name)
            return Declaration(key=key, allowed=allowed, text=text, default=default)
        case _:
            raise TypeError(
                f"Settings.{name} must be Annotated[its type, what is allowed, the text that people read, "
                "its key where that has dots]."
            )


def parse_settings(raw: object) -> tuple[Settings, tuple[str, ...]]:
    """Reads the user's settings as they came over the wire.

    Args:
        raw: The value of the section "greenCode"; None where the client has none. A setting that is None counts as
            not set. Keys that are not ours (the extension has some of its own) are left alone.

    Returns:
        The settings, and one sentence for each value that was replaced by its default.
    """
    if raw is None:
        return Settings(), ()
    if not isinstance(raw, dict):
        return Settings(), (Sentence("The settings of Green Code must be an object, not {value}.", value=quoted(raw)),)
    raw = without_groups(raw, {setting.key for setting in _DECLARED.values()})
    raw, problems = mend_entries({key: value for key, value in raw.items() if value is not None})
    told = {name: setting for name, setting in _DECLARED.items() if setting.key in raw}
    good: dict[str, Any] = {
        name: raw[setting.key] for name, setting in told.items() if _is_allowed(setting, raw[setting.key])
    }
    bad = [_problem(setting, raw[setting.key]) for name, setting in told.items() if name not in good]
    return Settings(**good), (*problems, *bad)


def engine_config(settings: Settings) -> EngineConfig:
    """The part of the settings that needs a new engine when it changes."""
    if settings.remote_url.strip():
        return EngineConfig(remote_url=settings.remote_url.strip(), remote_model=settings.remote_model.strip())
    return EngineConfig(
        model=settings.model or DEFAULT_MODEL,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        shared=settings.shared_engine,
    )


def why_off(settings: Settings, language_id: str) -> str:
    """Why the user has switched completions off for a language, as one sentence; "" where they are on."""
    if not settings.enable:
        return Sentence("Completions are switched off (greenCode.enable).")
    if not settings.languages.get(language_id.lower(), settings.languages.get(ANY_LANGUAGE, True)):
        return Sentence(
            'Completions are switched off for the language "{language}" (greenCode.languages).', language=language_id
        )
    return ""


def _problem(setting: Declaration, value: object) -> str:
    if setting.default in (None, ""):
        return Sentence(
            "The setting greenCode.{key} cannot be {value}: use {allowed}; until then it counts as empty.",
            key=setting.key,
            value=quoted(value),
            allowed=setting.allowed.words,
        )
    return Sentence(
        "The setting greenCode.{key} cannot be {value}: use {allowed}; until then it is {default}.",
        key=setting.key,
        value=quoted(value),
        allowed=setting.allowed.words,
        default=quoted(setting.default),
    )


def _is_allowed(setting: Declaration, value: object) -> bool:
    try:
        return setting.allowed.test(value)
    except Exception:  # whatever may stand there in place of what is meant
        return False


_DECLARED = declarations()
