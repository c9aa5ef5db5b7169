"""`Neighbours`: pieces of the other documents of this session that are like the text around the cursor.

A visit costs nothing: documents are cut up and compared only where a choice is due. It knows no protocol and no
settings, it reads no file, and what is private others say.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.completion.window import STEP_LINES, window_start
from engine.types import PromptOptions, Snippet
from lsp_server.context.documents import normalised
from lsp_server.context.notebooks import notebook_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DOCUMENTS = 16
MAX_DOCUMENT_CHARS = 200_000  # what is longer was made by a program, and for one

# How many of the names about to be typed, and not in the prompt yet, the pieces hold, at 800 places in twenty Python
# packages with eight other files each: 14 % with these numbers; 6 and 18 % with 600 and 2,000 characters; less than
# half with pieces of 40 lines. 350 tokens at most, half a second of reading on two CPU cores.
SNIPPET_CHARS = 1_000  # of pieces in one prompt
BLOCK_LINES = 8
PIECE_LINES = 2 * BLOCK_LINES  # pieces overlap by a block
QUERY_BEFORE, QUERY_AFTER = 500, 200  # characters around the cursor that a piece is compared with
LEAST_ALIKE = 0.15  # with all pieces, however little alike, there is twice as much to read for a third more finds
SAME = 0.9  # of two pieces more alike than this, one is enough

COPIED = 0.5  # of a document's lines in a private one, from which on it may be what that was before it got its name

NEAR_LINES = 400  # of a document, around the place of the last visit
# When the prompt's window moves, all of it is read anew in any case, so a choice should seldom end in between: in
# Python files typed from the top 6 % do; with FAR_LINES = 16 a third would.
FAR_LINES = 2 * STEP_LINES
CLOSE_LINES = 4

_WORD = re.compile(r"[^\W\d]\w{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    uri: str
    line: int
    snippet: Snippet
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What was chosen for a document, at which line, while the prompt's window began where."""

    uri: str
    line: int
    window_start: int
    pieces: tuple[_Piece, ...]


class _Visited:
    """A document as it was at the last visit."""

    def __init__(self, uri: str, path: str, text: str, line: int) -> None:
        self._uri, self._path, self.text, self.line = uri, path, text, line

    def is_like(self, text: str) -> bool:
        """True where much of it stands in another text, as in a copy that was edited a little."""
        ours = _lines_of(self.text)
        return len(ours & _lines_of(text)) >= COPIED * len(ours) > 0

    @cached_property
    def pieces(self) -> tuple[_Piece, ...]:
        """What stands around the place."""
        lines = normalised(self.text).split("\n")
        start = max(0, self.line - NEAR_LINES // 2) // BLOCK_LINES * BLOCK_LINES
        end = max(start + PIECE_LINES, min(len(lines), start + NEAR_LINES))
        starts = range(start, end, BLOCK_LINES)
        words = [words_of("\n".join(lines[at : at + BLOCK_LINES])) for at in starts]
        return tuple(
            _Piece(
                uri=self._uri,
                line=at,
                snippet=Snippet(path=self._path, text="\n".join(lines[at : at + PIECE_LINES]).strip("\n")),
                words=block | next_block,
            )
            for at, (block, next_block) in zip(starts, pairwise(words), strict=False)
        )


class Neighbours:
    """Where the person has been, and what of it goes into a prompt.

    Args:
        why_private: Why a document of that name must not be read; "" where it may be.
        is_undecided: Whether that is not known yet; until then the document is not read.
        on_forgotten: Is called when something that was read has become private.
    """

    def __init__(
        self,
        why_private: Callable[[str], str],
        is_undecided: Callable[[str], bool],
        on_forgotten: Callable[[], None],
    ) -> None:
        self._why_private = why_private
        self._is_undecided = is_undecided
        self._on_forgotten = on_forgotten
        self._visited: OrderedDict[str, _Visited] = OrderedDict()  # by name, the newest last
        self._choice: _Choice | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the documents that are remembered."""
        return tuple(self._visited)

    def visit(self, uri: str, *, path: str, text: str, line: int | None = None) -> None:
        r"""Remembers a document that was opened, edited, saved or looked at.

        Args:
            uri: Its name.
            path: As the model may be shown it.
            text: All of it, with any line ends.
            line: The place, from 0; None where it is not known to have changed.
        """
        known = self._visited.pop(uri, None)
        if known is None and self._is_to_be_forgotten(uri):
            if line is None and len(text) <= MAX_DOCUMENT_CHARS:  # opened or saved
                self._forget_copies(text)
            return
        if len(text) > MAX_DOCUMENT_CHARS:
            return
        if line is None:
            line = known.line if known else 0
        self._visited[uri] = _Visited(uri, path, text, line)
        if len(self._visited) > MAX_DOCUMENTS:
            self._visited.popitem(last=False)

    def pieces_for(self, uri: str, line: int, prefix: str, suffix: str) -> tuple[Snippet, ...]:
        """Pieces of other documents, the most alike first, of SNIPPET_CHARS characters in all.

        They stay the same, in the same order, until the cursor is in another document or far away, or the prompt's
        window has moved: pieces are read before the document, so another piece makes the model read all of it anew.

        Args:
            uri: The document that is completed; nothing is taken from it.
            line: The cursor's line, from 0.
            prefix: Text before the cursor, as the engine is asked.
            suffix: Text behind it.
        """
        if not self._visited:
            return ()
        last = self._choice
        start = window_start(prefix, PromptOptions())
        if (
            last is None
            or (last.uri, last.window_start) != (uri, start)
            or abs(line - last.line) > _reach(last.line)
            or self._is_private(last)
        ):
            self.forget_private()
            pieces = self._choose(uri, words_of(prefix[-QUERY_BEFORE:] + suffix[:QUERY_AFTER]))
            if last is not None and set(pieces) == set(last.pieces):
                pieces = last.pieces
            last = _Choice(uri=uri, line=line, window_start=start, pieces=pieces)
            self._choice = last
        return tuple(piece.snippet for piece in last.pieces)

    def forget_private(self) -> None:
        """Drops what has become private since it was visited."""
        private = [uri for uri in self._visited if self._is_to_be_forgotten(uri)]
        texts = [self._visited[uri].text for uri in private]
        self._forget(private)
        for text in texts:
            self._forget_copies(text)

    def forget(self, name: str) -> None:
        """Drops a document, or all in a folder of that name."""
        self._forget([uri for uri in self._visited if uri == name or uri.startswith(f"{name.rstrip('/')}/")])

    def clear(self) -> None:
        """Drops everything."""
        self._visited.clear()
        self._choice = None

    def _is_to_be_forgotten(self, uri: str) -> bool:
        return bool(self._why_private(uri)) and not self._is_undecided(uri)

    def _forget_copies(self, text: str) -> None:
        """Drops what was seen of a private document before it had its name."""
        self._forget([uri for uri, visited in self._visited.items() if visited.is_like(text)])

    def _forget(self, uris: list[str]) -> None:
        for uri in uris:
            del self._visited[uri]
        if self._choice is not None and any(piece.uri not in self._visited for piece in self._choice.pieces):
            self._choice = None
        if uris:
            self._on_forgotten()

    def _is_private(self, choice: _Choice) -> bool:
        return any(self._why_private(uri) for uri in {piece.uri for piece in choice.pieces})

    def _choose(self, uri: str, query: frozenset[str]) -> tuple[_Piece, ...]:
        ranked = sorted(
            ((alike, piece) for piece in self._others(uri) if (alike := likeness(query, piece.words)) >= LEAST_ALIKE),
            key=lambda candidate: -candidate[0],
        )
        chosen: list[_Piece] = []
        room = SNIPPET_CHARS
        for _, piece in ranked:
            if len(piece.snippet.text) <= room and not any(_is_same(piece, other) for other in chosen):
                chosen.append(piece)
                room -= len(piece.snippet.text)
        return tuple(chosen)

    def _others(self, uri: str) -> Iterator[_Piece]:
        for name, visited in reversed(self._visited.items()):
            if notebook_of(name) != notebook_of(uri) and not self._why_private(name):
                yield from visited.pieces


def _lines_of(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, text.splitlines())))


def words_of(text: str) -> frozenset[str]:
    """The names, keywords and other words of three letters or more."""
    return frozenset(_WORD.findall(text))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard's index: the share of all their words that both have."""
    n_both = len(one & other)
    return n_both / (len(one) + len(other) - n_both) if n_both else 0.0


def _is_same(piece: _Piece, other: _Piece) -> bool:
    overlap = piece.uri == other.uri and abs(piece.line - other.line) < PIECE_LINES
    return overlap or likeness(piece.words, other.words) > SAME


def _reach(line: int) -> int:
    """How many lines a choice holds: near the top of a document there is little to read anew."""
    return min(FAR_LINES, max(CLOSE_LINES, line))
