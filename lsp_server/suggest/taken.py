"""What a person takes of a suggestion without accepting it whole: told by what is inserted, as no editor says so.

VS Code takes the next word by Ctrl+Right, or the next line, and tells no extension of it unless its maker allows that.
To a server it is one insertion of what the suggestion says next. A person types one character at a time, and what
editors insert beside that (an indentation, a closing bracket or tag) has no word in it, or begins like a tag: these are
not counted, nor are signs that are taken alone. So the count is rather too small. Knows no protocol and no books.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.words import is_word

if TYPE_CHECKING:
    from lsp_server.suggest.jobs import TypedSince

_LEAST_CHARS = 2
_CLOSING_TAG = "</"


@dataclass(slots=True, kw_only=True)
class OfferedText:
    """What was offered last in a document.

    Attributes:
        completion_id: Whose text it is.
        text: The text.
        typed_since: Says what has been inserted at its place since; None where that cannot be known.
        n_typed: How many characters of it are known to have been inserted.
    """

    completion_id: str
    text: str
    typed_since: TypedSince | None
    n_typed: int = 0

    def taken_by(self, inserted: str) -> int:
        """How many characters a person has taken by an insertion; 0 where they were typed, or are something else.

        That of the whole rest is none of these: the editor says itself that it was accepted.

        Args:
            inserted: What was inserted just now, with LF line ends.
        """
        typed = None if self.typed_since is None else self.typed_since()
        if typed is None:
            return 0
        before, self.n_typed = self.n_typed, len(typed)
        is_next = typed[before:] == inserted and self.text.startswith(typed) and typed != self.text
        return len(inserted) if is_next and _is_taken(inserted) else 0


def _is_taken(inserted: str) -> bool:
    has_word = any(map(is_word, inserted))
    return len(inserted) >= _LEAST_CHARS and has_word and not inserted.startswith(_CLOSING_TAG)
