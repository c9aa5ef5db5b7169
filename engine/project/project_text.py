"""`ProjectText`: the tokens of a project's files, in memory alone; `ProjectFiles`: what one completion sees of them.

Files come and go one by one, from any thread. Those that have changed since all were sorted are read from one end to
the other, until there are so many that `sort` is due. It opens no file.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from engine.memory import give_memory_back
from engine.project.contexts import LinearContexts, SortedContexts
from engine.project.followers import Followers, followers, longest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Tokens = NDArray[np.integer]
    Span = tuple[int, int]

MOST_TOKENS = 2_000_000
"""Tokens of a project that are kept: 12 to 16 MB. Whoever gives files gives the most useful ones first."""

_DUE = 50_000  # tokens in changed files from which on sorting everything anew is worth it


class ProjectFiles:
    """What one completion sees of the other files. Does not change.

    Attributes:
        border: The id that stands between files.
    """

    def __init__(
        self,
        contexts: SortedContexts | None,
        hidden: Sequence[Span],
        changed: LinearContexts,
        *,
        n_vocabulary: int,
        border: int,
    ) -> None:
        self._contexts, self._hidden = contexts, hidden
        self._changed = changed
        self._n_vocabulary, self.border = n_vocabulary, border

    def followers(self, last: Sequence[int], allowed: NDArray[np.bool_] | None = None) -> Followers | None:
        """What followed the longest agreement with `last` in any of the files; see `engine.project.followers`."""
        return longest(
            followers(contexts, last, n_vocabulary=self._n_vocabulary, allowed=allowed, hidden=hidden)
            for contexts, hidden in ((self._contexts, self._hidden), (self._changed, ()))
            if contexts is not None
        )


class ProjectText:
    """The files of one project.

    Args:
        encode: Text to token ids.
        n_vocabulary: Ids that it gives lie below.
        most_tokens: Files that would make it more are not taken.
    """

    def __init__(
        self, encode: Callable[[str], Sequence[int]], n_vocabulary: int, *, most_tokens: int = MOST_TOKENS
    ) -> None:
        self._encode, self._n_vocabulary, self._most_tokens = encode, n_vocabulary, most_tokens
        self._type = np.dtype(np.uint16 if n_vocabulary < np.iinfo(np.uint16).max else np.uint32)
        self._border = int(np.iinfo(self._type).max) if self._type == np.uint16 else n_vocabulary
        self._lock = threading.Lock()
        self._contexts: SortedContexts | None = None
        self._spans: Mapping[str, Span] = {}  # of the sorted files
        self._files: dict[str, Tokens] = {}
        self._n_tokens = 0  # of all of them
        self._changed: dict[str, Tokens | None] = {}  # since they were sorted; None for a file that is gone

    @property
    def n_tokens(self) -> int:
        """Tokens of all files."""
        with self._lock:
            return self._n_tokens

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        with self._lock:
            changed = sum(ids.nbytes for ids in self._changed.values() if ids is not None)
            return changed + (0 if self._contexts is None else self._contexts.nbytes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files that it holds."""
        with self._lock:
            return tuple(self._files)

    def replace(self, name: str, text: str) -> bool:
        """Takes a file, in the place of what was there under its name; False where there is no room for it."""
        ids = np.array(self._encode(text), self._type)
        with self._lock:
            n_tokens = self._n_tokens - len(self._files.get(name, ())) + len(ids)
            if n_tokens > self._most_tokens:
                return False
            self._n_tokens = n_tokens
            self._files[name] = self._changed[name] = ids
        return True

    def remove(self, name: str) -> None:
        """Forgets a file."""
        with self._lock:
            ids = self._files.pop(name, None)
            if ids is not None:
                self._n_tokens -= len(ids)
                self._changed[name] = None

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._files, self._changed, self._spans, self._contexts = {}, {}, {}, None
            self._n_tokens = 0

    @property
    def is_due(self) -> bool:
        """Whether enough has changed for `sort` to be worth its time."""
        with self._lock:
            return sum(len(ids) for ids in self._changed.values() if ids is not None) > _DUE

    @property
    def cpu_elsewhere_s(self) -> float:
        """None: it is filled by whoever calls."""
        return 0.0

    def sort(self) -> None:
        """Sorts all files; takes a tenth of a second for a million tokens, and keeps nobody waiting meanwhile.

        What reading and sorting took beside the text, several times as much, goes back to the system.
        """
        with self._lock:
            begun, files = self._files, dict(self._files)
        ids, spans = self._joined(files)
        contexts = SortedContexts(ids)
        with self._lock:
            if self._files is begun:  # else cleared meanwhile: perhaps some of it has become private
                self._changed = {
                    name: changed for name, changed in self._changed.items() if begun.get(name) is not files.get(name)
                }
                for name, (start, end) in spans.items():
                    if begun.get(name) is files[name]:
                        begun[name] = ids[start:end]  # one copy is enough
                self._contexts, self._spans = contexts, spans
        give_memory_back()

    def without(self, name: str = "") -> ProjectFiles:
        """What a completion in the file of that name sees of the others."""
        with self._lock:
            hidden = [self._spans[key] for key in {name, *self._changed} if key in self._spans]
            others = {key: ids for key, ids in self._changed.items() if ids is not None and key != name}
            changed, _ = self._joined(others)
            contexts = self._contexts
        return ProjectFiles(
            contexts,
            hidden,
            LinearContexts(changed),
            n_vocabulary=self._n_vocabulary,
            border=self._border,
        )

    def _joined(self, files: Mapping[str, Tokens]) -> tuple[Tokens, dict[str, Span]]:
        """All files one behind the other, a border before each."""
        parts: list[Tokens] = []
        spans: dict[str, Span] = {}
        border, end = np.array([self._border], self._type), 0
        for name, ids in files.items():
            parts += [border, ids]
            spans[name] = (end + 1, end + 1 + len(ids))
            end += 1 + len(ids)
        return np.concatenate(parts) if parts else np.empty(0, self._type), spans
