"""Editor text to prompt text.

Which part of the document a model reads, `engine.completion.window` says. Strings only; the model's own control tokens
are `engine.completion.fim`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.completion.languages import comment_mark
from engine.completion.window import window_start
from engine.types import PromptOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.types import CompletionRequest, Snippet

# Whole statements of common languages at a line's beginning; one that goes on in the next line is left out.
_IMPORT = re.compile(
    r"^(?:import|from|using|use|#include|#import|require|export \* from)\b[^\n]*[^\s({,\\](?=\s*\n)", re.MULTILINE
)
# A blank, and a name or some signs. A number (each digit is a token) and what is longer are read as they are.
_TYPED = re.compile(r"[ \t\n]?(?:(?<!\w)[^\W\d]\w{0,63}|(?<![^\w\s])[^\w\s]{1,3})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model reads.

    Attributes:
        text: The document before the cursor, cut to the window, without `typed`.
        typed: What of it the model is to say again: the word or the signs that the cursor stands in or behind, if any,
            and the one blank or line end before them. Tokens of code begin with a blank, a line end is one token with
            the indentation behind it, and a word that is cut where no token ends is one that the model does not know.
            So are signs: where a quote may follow a bracket, one token says both. Of
            blanks only this one is held back: without the rest of its indentation, a line start tells the model
            nothing of the block that it stands in.
        suffix: The document behind the cursor, cut to its budget; read by models that fill in the middle.
        imports: The file's import lines, where they stand above the window.
        pieces: Pieces of other files, the most useful last and so nearest.
        path: The file's path, where pieces or the path are asked for and it is known; for formats that have a place
            for it.
        repository: What the files lie in; "" where that is not known.
        comments: The same pieces and the name of this file as comments, for formats that have none.
    """

    text: str
    typed: str
    suffix: str = ""
    imports: str = ""
    pieces: tuple[Snippet, ...] = ()
    path: str = ""
    repository: str = ""
    comments: str = ""

    @property
    def context(self) -> str:
        """Lines to read before `text`, as text alone."""
        return self.comments + self.imports


def build_prompt(
    prefix: str, suffix: str = "", *, options: PromptOptions | None = None, start: int | None = None
) -> Prompt:
    """The prompt for the text around the cursor.

    Args:
        prefix: The document before the cursor.
        suffix: The document behind it.
        options: How much of both is read.
        start: Where in `prefix` the window begins; None for where the options say.
    """
    options = options or PromptOptions()
    window = prefix[window_start(prefix, options) if start is None else start :]
    found = _TYPED.search(window)
    assert found is not None  # an empty match at least
    return Prompt(text=window[: found.start()], typed=found.group(), suffix=_whole_lines(suffix, options.suffix_chars))


def behind_typed(text: str, typed: str) -> int | None:
    """Where a decoded text goes on behind what was typed; None where it has not come so far, or says otherwise.

    Other blanks than the one that was typed are passed over.
    """
    if text.startswith(typed):
        return len(typed)
    return None if typed.startswith(text) or typed.strip() else len(text) - len(text.lstrip(" \t"))


def prompt_for(request: CompletionRequest, *, start: int | None = None) -> Prompt:
    """The prompt for a request, with all that its options ask for; `start` as in `build_prompt`."""
    if start is None:
        start = window_start(request.prefix, request.prompt)
    prompt = build_prompt(request.prefix, request.suffix, options=request.prompt, start=start)
    pieces = tuple(reversed(_affordable(request.snippets, request.prompt.snippet_chars)))
    is_named = bool(pieces or request.prompt.with_header)
    return replace(
        prompt,
        imports=_imports(request, start),
        pieces=pieces,
        path=request.path if is_named else "",
        repository=request.repository if is_named else "",
        comments="".join(_comments(request, pieces)),
    )


def _comments(request: CompletionRequest, pieces: Sequence[Snippet]) -> Iterator[str]:
    """Pieces of other files as comments; then the header."""
    mark = comment_mark(request.language_id)
    if mark is None:
        return
    for snippet in pieces:
        yield f"{mark}{snippet.path}\n"
        yield from (f"{mark}{line}".rstrip() + "\n" for line in snippet.text.split("\n"))
        yield "\n"
    if request.prompt.with_header:
        yield f"{mark}{request.path or request.language_id}\n"


def _imports(request: CompletionRequest, start: int) -> str:
    """The import lines above the window, as far as they fit, those nearest to it; the same while the window stays."""
    above = request.prefix[:start]
    chosen: list[str] = []
    n_chars = request.prompt.import_chars
    for line in reversed(_IMPORT.findall(above) if n_chars else ()):
        n_chars -= len(line) + 1
        if n_chars < 0:
            break
        chosen.append(line)
    return "".join(f"{line}\n" for line in [*reversed(chosen), ""]) if chosen else ""


def _affordable(snippets: Sequence[Snippet], n_chars: int) -> list[Snippet]:
    """The first snippets, as far as they fit as wholes: a piece cut short ends where nothing ends."""
    affordable = []
    for snippet in snippets:
        n_chars -= len(snippet.text)
        if n_chars < 0:
            break
        affordable.append(snippet)
    return affordable


def _whole_lines(suffix: str, n_chars: int) -> str:
    """The beginning of the suffix, whole lines where the first is not longer than that already."""
    if len(suffix) <= n_chars:
        return suffix
    end = suffix.rfind("\n", 0, n_chars) + 1
    return suffix[: end or n_chars]
