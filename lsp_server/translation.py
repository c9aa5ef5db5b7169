"""`translator`: says the server's sentences in the editor's language.

`l10n/LANGUAGE.json` has the translations by their English templates, as `engine.sentences.Sentence` was given them.
What is not there stays English.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from engine.sentences import Translation

Say = Callable[[str], str]
"""Says a sentence in a person's language."""

_FOLDER = Path(__file__).parent / "l10n"
_MARKS = {"de": ",."}  # for the point and the comma in English numbers


def translator(locale: str | None) -> Say:
    """Who speaks the language of a locale.

    Args:
        locale: Of the editor, such as "de" or "de-AT"; None where it does not tell.
    """
    language = (locale or "").lower().replace("_", "-").partition("-")[0]
    file = _FOLDER / f"{language}.json"
    if not language.isalpha() or not file.exists():
        return str
    return Translation(json.loads(file.read_text(encoding="utf-8")), marks=_MARKS[language]).say
