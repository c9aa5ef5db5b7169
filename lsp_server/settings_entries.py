"""`mend_entries`: settings that are lists of the user's, entry by entry, so that a bad one takes no good one along.

What cannot be understood protects rather than opens. It knows no other setting.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.completion.languages import known_languages
from engine.sentences import Sentence
from lsp_server.allowed import PATTERNS
from lsp_server.context.privacy import is_pattern, is_remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTION = "greenCode"
PRIVATE_FILES = "privateFiles"
LANGUAGES = "languages"
_SHOWN_CHARS = 60  # of a bad value, in a message
_EVERYTHING = "*"
_ALIKE = 0.8  # of two names' letters

# What people call languages, and their identifiers; vscode-extension/src/languages.ts has the same.
IDENTIFIERS = {
    "c++": "cpp",
    "c#": "csharp",
    "f#": "fsharp",
    "objective-c++": "objective-cpp",
    "batch": "bat",
    "shell": "shellscript",
    "bash": "shellscript",
    "sh": "shellscript",
    "shell script": "shellscript",
    "plain text": "plaintext",
    "text": "plaintext",
    "golang": "go",
    "js": "javascript",
    "ts": "typescript",
    "jsx": "javascriptreact",
    "javascript jsx": "javascriptreact",
    "javascript react": "javascriptreact",
    "tsx": "typescriptreact",
    "typescript jsx": "typescriptreact",
    "typescript react": "typescriptreact",
    "json with comments": "jsonc",
    "docker": "dockerfile",
    "docker compose": "dockercompose",
    "md": "markdown",
    "yml": "yaml",
    "visual basic": "vb",
    "py": "python",
}


def mend_entries(raw: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Takes the bad entries out of the user's lists.

    Returns:
        The settings, and one sentence for each entry or list that is not as it should be.
    """
    mended = dict(raw)
    problems: list[str] = []
    if PRIVATE_FILES in raw:
        mended[PRIVATE_FILES], found = _patterns(raw[PRIVATE_FILES])
        problems += found
    if isinstance(languages := raw.get(LANGUAGES), dict):
        mended[LANGUAGES], found = _switches(languages)
        problems += found
    return mended, tuple(problems)


def without_groups(raw: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    """The settings with those in groups by their whole keys: what editors send as an object in an object.

    Args:
        raw: As they came; a whole key may stand there as well.
        keys: All keys that there are.
    """
    groups = {key.partition(".")[0] for key in keys if "." in key}
    flat = {key: value for key, value in raw.items() if key not in groups or not isinstance(value, dict)}
    for group in groups:
        if isinstance(entries := raw.get(group), dict):
            flat |= {f"{group}.{key}": value for key, value in entries.items()}
    return flat


def quoted(value: object) -> str:
    """A value of the user's, in a message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _patterns(value: object) -> tuple[list[str], list[Sentence]]:
    if isinstance(value, str) and is_pattern(value):
        return [value], [
            Sentence(
                "The setting greenCode.privateFiles should be a list: use [{value}]; {value} is taken for its only "
                "entry.",
                value=quoted(value),
            )
        ]
    if not isinstance(value, list):
        problem = Sentence(
            "The setting greenCode.privateFiles cannot be {value}: use {allowed}; until then every file stays private.",
            value=quoted(value),
            allowed=PATTERNS.words,
        )
        return [_EVERYTHING], [problem]
    good = [entry for entry in value if isinstance(entry, str) and is_pattern(entry)]
    bad = [entry for entry in value if entry not in good and not (isinstance(entry, str) and is_remark(entry))]
    problems = [
        Sentence(
            "The setting greenCode.privateFiles has {entry}, which is no pattern of .gitignore; the others hold.",
            entry=quoted(entry),
        )
        for entry in bad
    ]
    return good, problems


def _switches(value: Mapping[object, object]) -> tuple[dict[str, object], list[Sentence]]:
    good: dict[str, object] = {}
    problems = []
    for entry, is_on in value.items():
        if isinstance(entry, str) and type(is_on) is bool:
            folded = entry.strip().lower()
            name = IDENTIFIERS.get(folded, folded)
            good[name] = is_on
            if alike := _alike(name):
                problems.append(
                    Sentence(
                        "The setting greenCode.languages has {entry}, which is no language known here: {alike} is.",
                        entry=quoted(entry),
                        alike=quoted(alike),
                    )
                )
        else:
            problems.append(
                Sentence(
                    "The setting greenCode.languages has {value} for {entry}: use true or false; the others hold.",
                    value=quoted(is_on),
                    entry=quoted(entry),
                )
            )
    return good, problems


def _alike(name: str) -> str:
    """The language that a name nobody knows was meant for; "" where it may be one of another extension's."""
    known = known_languages()
    if name == _EVERYTHING or name in known:
        return ""
    from difflib import get_close_matches  # for a mistake alone

    return next(iter(get_close_matches(name, known, n=1, cutoff=_ALIKE)), "")
