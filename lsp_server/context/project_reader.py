"""`ProjectReader`: keeps the engine's project texts up to date, in a thread of its own with low priority.

Folders are read once the engine is there, a file again when the editor or the disk says that it has changed. Texts of
open documents are the editor's. It knows no settings; what is private others say.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.completion.languages import language_of
from engine.errors import EngineError
from engine.sentences import Sentence
from lsp_server.context.git_ignore import GitIgnores
from lsp_server.context.privacy import PrivateFiles
from lsp_server.context.project_files import is_passed_over, project_files, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

logger = logging.getLogger(__name__)

NICENESS = 15
SPENT_S = 0.25  # of CPU time, which the death of a server may leave untold; 4 J


class ProjectSink(Protocol):
    """What the reader needs of `engine.project.project_text.ProjectText`."""

    @property
    def is_due(self) -> bool:
        """Whether enough has changed to be sorted."""
        ...

    @property
    def cpu_elsewhere_s(self) -> float:
        """CPU time that another process has spent on being filled, all its texts together; 0 where there is none."""
        ...

    def replace(self, name: str, text: str) -> bool:
        """Takes a file; False where there is no room for it."""
        ...

    def remove(self, name: str) -> None:
        """Forgets a file."""
        ...

    def clear(self) -> None:
        """Forgets everything."""
        ...

    def sort(self) -> None:
        """Sorts all files."""
        ...


def read_project(sink: ProjectSink, folder: Path, languages: Collection[str], *, near: Collection[Path]) -> None:
    """Reads a folder here and now, for who has no editor.

    Args:
        sink: The text of the project.
        folder: Absolute.
        languages: Files of these are read.
        near: Files that are worked at.
    """
    git = GitIgnores()
    try:
        for path in project_files(folder, languages, near=near, private=PrivateFiles((), (folder,), git=git)):
            if (text := read_file(path)) is not None:
                sink.replace(str(path), text)
    finally:
        git.close()
    sink.sort()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    turn: int
    sinks: Callable[[str], ProjectSink]
    folders: tuple[Path, ...]
    languages: frozenset[str]
    private: PrivateFiles  # the reader's thread's own, as are the others
    git: GitIgnores
    taken: dict[Path, int]  # by file, what of an open document says which text of it was read last
    held: set[str]  # the names of the files that the sinks have


class ProjectReader:
    """Reads the files of projects. Its methods are for one thread, such as the event loop's, and return at once.

    Args:
        on_news: Called with what is being read, as one sentence, and, in the reader's thread, with what has been; ""
            for nothing.
        on_spent: Called in the reader's thread when a folder has been read, and whenever `SPENT_S` more were spent.
    """

    def __init__(self, on_news: Callable[[str, str], None], on_spent: Callable[[], None]) -> None:
        self._n_read = self._n_left = 0  # files of all folders
        self._cpu_s: dict[Path, float] = {}  # by folder; the reader's thread's own
        self._counted_s = self._told_s = 0.0
        self._elsewhere_s = self._told_elsewhere_s = 0.0
        self._on_news = on_news
        self._on_spent = on_spent
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._turn = 0  # of whole readings; an older one gives up
        self._wanted: _Wanted | None = None
        self._n_looked_at = self._n_to_look_at = 0  # files on the disk; each is written by one thread

    @property
    def cpu_s(self) -> Mapping[Path, float]:
        """CPU time that reading each folder has taken so far, wherever it was spent."""
        return dict(self._cpu_s)

    @property
    def index(self) -> str:
        """What has been read of all folders, as a sentence that names none; "" before anything was."""
        return _what_was_read(self._n_read, self._n_left) if self._n_read or self._n_left else ""

    @property
    def is_behind(self) -> bool:
        """True while a file of which something is known may be gone, or private now."""
        return self._n_looked_at != self._n_to_look_at

    def read(
        self,
        sinks: Callable[[str], ProjectSink],
        folders: Collection[Path],
        languages: Collection[str],
        *,
        private_files: Sequence[str],
        texts: Mapping[Path, str],
    ) -> None:
        """Reads folders anew: all that has been read before is forgotten.

        Args:
            sinks: Gives the text of a project by its name.
            folders: Those of the workspace; each is a project, by its path.
            languages: Files of these are read.
            private_files: The user's patterns of files that are not.
            texts: What documents say that are open, by their files.
        """
        self.stop()
        git = GitIgnores()
        self._wanted = wanted = _Wanted(
            turn=self._turn,
            sinks=sinks,
            folders=tuple(folders),
            languages=frozenset(languages),
            private=PrivateFiles(private_files, tuple(folders), git=git),
            git=git,
            taken={},
            held=set(),
        )
        self._read_folders(wanted, texts)

    def read_more(self, languages: Collection[str], texts: Mapping[Path, str]) -> None:
        """Reads files of further languages as well, in the folders that are read.

        Args:
            languages: Their names.
            texts: As of `read`.
        """
        if self._wanted is not None:
            more = replace(self._wanted, languages=frozenset(languages))
            self._wanted = replace(self._wanted, languages=self._wanted.languages | more.languages)
            self._read_folders(more, texts)

    def stop(self) -> None:
        """Gives up what is being read, and forgets all that was."""
        self._turn += 1
        self._n_read = self._n_left = 0
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._do(wanted.git.close)
            for folder in wanted.folders:
                wanted.sinks(str(folder)).clear()

    def close(self) -> None:
        """Forgets everything, and ends the thread, soon."""
        self.stop()
        if self._thread is not None:
            self._work.put(None)

    def project_of(self, path: Path) -> Path | None:
        """The folder whose project a file belongs to; None where it belongs to none that is read."""
        folders = self._wanted.folders if self._wanted is not None else ()
        mine = [folder for folder in folders if path.is_relative_to(folder)]
        return max(mine, key=lambda folder: len(folder.parts), default=None)

    @property
    def only_folder(self) -> Path | None:
        """The folder that is read, where it is the only one: a text without a file is likely meant for it."""
        folders = self._wanted.folders if self._wanted is not None else ()
        return folders[0] if len(folders) == 1 else None

    def update(self, path: Path, text: str | None = None) -> None:
        """A file has changed, or a folder: of one that was moved or deleted, editors name no file in it.

        Args:
            path: The file or the folder.
            text: What a file says now; None to look on the disk.
        """
        path = Path(os.path.normpath(path))
        folder = self.project_of(path)
        if folder is None or self._wanted is None:
            return
        language = language_of(path)
        if language in self._wanted.languages:
            take = partial(self._take_file, self._wanted, folder, path, text)
        elif not language and text is None:
            take = partial(self._take_folder, self._wanted, folder, path)
        else:
            return
        self._n_to_look_at += text is None
        self._do(partial(self._update, self._wanted, take, looks=text is None))

    def _read_folders(self, wanted: _Wanted, texts: Mapping[Path, str]) -> None:
        for number, folder in enumerate(wanted.folders):
            if number == 0:
                self._on_news(_reading(folder), "")
            following = next(iter(wanted.folders[number + 1 :]), None)
            self._do(partial(self._read_folder, wanted, folder, dict(texts), following))

    def _do(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="project", daemon=True)
            self._thread.start()
        self._work.put(work)

    def _run(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (work := self._work.get()) is not None:
            _attempt(work)

    def _read_folder(self, wanted: _Wanted, folder: Path, texts: Mapping[Path, str], following: Path | None) -> None:
        sink = wanted.sinks(str(folder))
        n_read = n_left = 0
        files = project_files(folder, wanted.languages, near=texts, private=wanted.private)
        for path in files:
            if wanted.turn != self._turn:
                return
            text = texts[path] if path in texts else read_file(path)
            is_taken = text is not None and sink.replace(str(path), text)
            if is_taken:
                wanted.held.add(str(path))
            if is_taken and path in texts:
                wanted.taken[path] = hash(text)
            n_read, n_left = n_read + is_taken, n_left + (not is_taken)
            self._count(folder, sink)
        sink.sort()
        self._count(folder, sink)
        self._tell_spent()
        if wanted.turn == self._turn:
            self._n_read, self._n_left = self._n_read + n_read, self._n_left + n_left
            self._on_news(_reading(following), f"{folder.name}: {_what_was_read(n_read, n_left)}")

    def _update(self, wanted: _Wanted, take: Callable[[], None], *, looks: bool) -> None:
        try:
            if wanted.turn == self._turn:
                take()
        finally:
            self._n_looked_at += looks

    def _take_folder(self, wanted: _Wanted, folder: Path, changed: Path) -> None:
        known = {Path(name) for name in wanted.held if name.startswith(f"{changed}{os.sep}")}
        if changed.is_dir():
            known.update(project_files(folder, wanted.languages, near=(), private=wanted.private, within=changed))
        for path in known - wanted.taken.keys():
            self._take_file(wanted, folder, path, None)

    def _take_file(self, wanted: _Wanted, folder: Path, path: Path, text: str | None) -> None:
        sink = wanted.sinks(str(folder))
        says = None if text is None else hash(text)
        # Whoever opens a document tells what it says again, behind the reading with it.
        is_known = wanted.taken.pop(path, None) == says and says is not None
        if wanted.private.reason_at_once(path) or (text is None and is_passed_over(path, folder)):
            text = None
        elif text is None:
            text = read_file(path)
        if text is None or not (is_known or sink.replace(str(path), text)):
            sink.remove(str(path))
            wanted.held.discard(str(path))
        else:
            wanted.held.add(str(path))
            if says is not None:
                wanted.taken[path] = says
        if not is_known and sink.is_due:
            sink.sort()
        self._count(folder, sink)

    def _count(self, folder: Path, sink: ProjectSink) -> None:
        before, self._told_elsewhere_s = self._told_elsewhere_s, sink.cpu_elsewhere_s
        is_another = self._told_elsewhere_s < before  # process, which has begun to count anew
        self._elsewhere_s += self._told_elsewhere_s - (0.0 if is_another else before)
        spent_s = time.thread_time() + self._elsewhere_s
        self._cpu_s[folder] = self._cpu_s.get(folder, 0.0) + spent_s - self._counted_s
        self._counted_s = spent_s
        if spent_s >= self._told_s + SPENT_S:
            self._tell_spent()

    def _tell_spent(self) -> None:
        self._told_s = self._counted_s
        self._on_spent()


def _what_was_read(n_read: int, n_left: int) -> Sentence:
    if not n_left:
        return Sentence("Files read: {n}.", n=n_read)
    return Sentence(
        "Files read: {n}; left out, for they are too long, no text, or more than there is room for: {left}.",
        n=n_read,
        left=n_left,
    )


def _reading(folder: Path | None) -> str:
    """What is being read, for people."""
    return "" if folder is None else Sentence("Reading the project {name}.", name=folder.name)


def _attempt(work: Callable[[], None]) -> None:
    try:
        work()
    except EngineError as error:  # it is gone, and what comes in its place is told everything anew
        logger.info("A project could not be read: %s", error)
    except Exception:
        logger.exception("A project could not be read")
