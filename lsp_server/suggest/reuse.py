"""What was computed once and need not be computed again: the rest of a suggestion that is being typed.

`typed_between` and `agrees` say what typing means to an answer; `SuggestionCache` keeps answers, "nothing to suggest"
among them. Pure: it knows no protocol, no queue and no model. Text behind the cursor must be the same; how the text
before it came about (typed, accepted word by word, taken back to a former state) makes no difference.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.cleanup import suggestion as cleaned_up
from engine.completion.prompt import prompt_for
from engine.completion.shape import shape_at

if TYPE_CHECKING:
    from engine.types import CompletionRequest

MAX_SUGGESTIONS = 256
MAX_CHARS = 4_000_000  # of the documents around them, which each has for itself; 4 to 16 MB

_Place = tuple[str, str, str]  # URI, prefix, suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a completion says at one place; `text` is "" where it had nothing to say."""

    completion_id: str
    text: str


def typed_between(older: CompletionRequest, newer: CompletionRequest) -> str | None:
    """What was typed at the cursor between two requests; None where anything else is different.

    Pieces of other files may differ: when they are chosen anew while a person types, the suggestion that they are
    typing along is still theirs.
    """
    same = (
        older.suffix == newer.suffix
        and older.language_id == newer.language_id
        and older.path == newer.path
        and older.prompt == newer.prompt
        and older.green_mode == newer.green_mode
        and older.policy == newer.policy
        and older.max_new_tokens == newer.max_new_tokens
        and older.single_line == newer.single_line
        and (newer.may_give_up or not older.may_give_up)
        and newer.prefix.startswith(older.prefix)
    )
    return newer.prefix[len(older.prefix) :] if same else None


def agrees(text: str, typed: str) -> bool:
    """True while typing may still follow a text that may still grow."""
    return text.startswith(typed) or typed.startswith(text)


def rest_of(text: str, typed: str) -> str:
    """What of a whole text is left to offer; "" where it was typed to its end, or something else was typed."""
    rest = text[len(typed) :] if text.startswith(typed) else ""
    return rest if rest.strip() else ""


def still_offered(rest: str, request: CompletionRequest) -> str:
    """What of a rest in one line is worth offering where the cursor stands now; "" where nothing is.

    Typing may have left a lone sign of it, or opened what the text behind the cursor closes.
    """
    if "\n" in rest:
        return rest  # its lines were judged together, from the line's beginning
    prompt = prompt_for(request)
    shape = shape_at(request.prefix, request.suffix, prompt, single_line=True, language_id=request.language_id)
    said_again = prompt.typed + rest
    return said_again[cleaned_up(said_again, shape)]


class SuggestionCache:
    """Answers by the place they were given for; the least recently used go first.

    Args:
        max_suggestions: How many are kept.
        max_chars: How much of the documents around them; one is always kept.
    """

    def __init__(self, max_suggestions: int = MAX_SUGGESTIONS, max_chars: int = MAX_CHARS) -> None:
        self._max_suggestions, self._max_chars = max_suggestions, max_chars
        self._n_chars = 0
        self._suggestions: OrderedDict[_Place, Suggestion] = OrderedDict()

    def keep(self, uri: str, request: CompletionRequest, suggestion: Suggestion) -> None:
        """Keeps the whole answer to a request."""
        place = (uri, request.prefix, request.suffix)
        self._drop(place)
        self._suggestions[place] = suggestion
        self._n_chars += _chars(place)
        while len(self._suggestions) > self._max_suggestions or (
            self._n_chars > self._max_chars and len(self._suggestions) > 1
        ):
            self._drop(next(iter(self._suggestions)))

    def find(self, uri: str, request: CompletionRequest) -> Suggestion | None:
        """What the newest fitting answer still says at a place; None where none fits."""
        for place, suggestion in reversed(self._suggestions.items()):
            known_uri, prefix, suffix = place
            if known_uri != uri or suffix != request.suffix or not request.prefix.startswith(prefix):
                continue
            typed = request.prefix[len(prefix) :]
            rest = rest_of(suggestion.text, typed)
            if rest or not (typed or suggestion.text):
                self._suggestions.move_to_end(place)
                text = still_offered(rest, request) if typed else rest
                return Suggestion(completion_id=suggestion.completion_id, text=text)
        return None

    def forget(self, uri: str) -> None:
        """Drops what is known of one document."""
        for place in [place for place in self._suggestions if place[0] == uri]:
            self._drop(place)

    def clear(self) -> None:
        """Drops everything: other settings would give other answers."""
        self._suggestions.clear()
        self._n_chars = 0

    def _drop(self, place: _Place) -> None:
        if self._suggestions.pop(place, None) is not None:
            self._n_chars -= _chars(place)


def _chars(place: _Place) -> int:
    return len(place[1]) + len(place[2])
