"""START HERE for project text: `Projects`, all that one engine holds of them, each apart from the others.

A completion asks for `continuations`: what the project's other files say behind its prompt, and the document itself, on
both sides of the cursor.
"""

from __future__ import annotations

import threading
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from engine.project.continuations import Continuations
from engine.project.project_text import ProjectText
from engine.project.trust import TRUST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from engine.project.trust import ProjectTrust
    from engine.types import ProjectDocument

_ASIDE = 40  # parts of documents whose tokens are remembered: they stay the same from key to key; 0.1 MB each at most
_ABOVE_CHARS = 24_000  # of the document that is not in the prompt
_BELOW_CHARS = 8_000  # behind the cursor


class Projects:
    """Projects by name.

    Args:
        encode: Text to token ids; from any thread.
        n_vocabulary: Ids that it gives lie below.
    """

    def __init__(self, encode: Callable[[str], Sequence[int]], n_vocabulary: int) -> None:
        self._encode, self._n_vocabulary = encode, n_vocabulary
        self._texts: dict[str, ProjectText] = {}
        self._lock = threading.Lock()
        self._encoded = lru_cache(_ASIDE)(self._encode_aside)

    def text(self, name: str) -> ProjectText:
        """The text of a project; empty until it is given some."""
        with self._lock:
            return self._texts.setdefault(name, ProjectText(self._encode, self._n_vocabulary))

    def forget(self, name: str) -> None:
        """Drops a project."""
        with self._lock:
            self._texts.pop(name, None)

    def continuations(
        self, document: ProjectDocument, prompt_ids: Sequence[int], *, above: str, below: str
    ) -> Continuations:
        """What is known of what may follow a prompt.

        Args:
            document: The one that is completed.
            prompt_ids: What the model reads of it.
            above: What the document says before that.
            below: What it says behind the cursor.
        """
        return Continuations(
            self.text(document.project).without(document.file),
            self._trust,
            prompt_ids,
            self._n_vocabulary,
            aside=[self._encoded(text) for text in (above[-_ABOVE_CHARS:], below[:_BELOW_CHARS]) if text],
        )

    @cached_property
    def _trust(self) -> ProjectTrust:
        return TRUST.find()

    def _encode_aside(self, text: str) -> NDArray[np.int64]:
        return np.array(self._encode(text), np.int64)
