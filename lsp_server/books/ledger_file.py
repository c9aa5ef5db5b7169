"""`LedgerFile`: the SQLite file of the ledger: made, checked, migrated, private to the user, set aside where damaged.

A damaged file is moved aside under a clear name, never deleted; one that was deleted or replaced while it was open is
begun anew; one that a later version has written is left alone. It knows no completion: what is written, others say.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sqlite3
import stat
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 0.1  # another server's write takes a millisecond; the event loop must not wait long for it
CLOSE_TIMEOUT_S = 2.0

# Entry n brings a database from version n to n + 1 (PRAGMA user_version). Never edit one that was released. Each adds a
# column, a table or an index, by which a later version is told from a number that is damaged.
MIGRATIONS = (
    """
    CREATE TABLE completion (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        created_at REAL NOT NULL,  -- seconds since 1970, UTC
        model TEXT NOT NULL,
        device TEXT NOT NULL,
        policy TEXT NOT NULL,
        green_mode INTEGER NOT NULL,
        finish_reason TEXT NOT NULL,
        provenance TEXT NOT NULL,
        source TEXT NOT NULL,
        energy_j REAL,  -- NULL is unknown, here and below
        prefill_j REAL,
        decode_j REAL,
        policy_j REAL,
        verification_j REAL,
        baseline_energy_j REAL,
        prompt_tokens INTEGER NOT NULL,
        reused_tokens INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        layers_total INTEGER NOT NULL,
        mean_exit_layer REAL,
        exit_depths TEXT NOT NULL,  -- JSON: exit layer to number of tokens
        elapsed_s REAL NOT NULL,
        first_token_s REAL,
        offered_chars INTEGER NOT NULL,
        accepted_at REAL,
        accepted_chars INTEGER
    );
    CREATE INDEX completion_created_at ON completion (created_at);
    """,
    """
    ALTER TABLE completion ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;  -- times it answered a later request, for 0 J
    """,
    """
    -- The editor's identifier, and a hash of the workspace's folder; '' is none.
    ALTER TABLE completion ADD COLUMN language TEXT NOT NULL DEFAULT '';
    ALTER TABLE completion ADD COLUMN project TEXT NOT NULL DEFAULT '';
    CREATE TABLE project_key (value BLOB NOT NULL);
    INSERT INTO project_key VALUES (randomblob(16));
    """,
    """
    ALTER TABLE completion ADD COLUMN engine TEXT NOT NULL DEFAULT '';  -- which of those that windows share; '' is none
    """,
    """
    CREATE TABLE reading (  -- what it took to read projects, which is no completion's
        session_id TEXT NOT NULL,
        created_at REAL NOT NULL,
        project TEXT NOT NULL,
        cpu_s REAL NOT NULL,
        energy_j REAL NOT NULL,
        provenance TEXT NOT NULL
    );
    """,
    """
    -- Between which joules the truth about baseline_energy_j - energy_j is likely to lie.
    ALTER TABLE completion ADD COLUMN saved_low_j REAL;
    ALTER TABLE completion ADD COLUMN saved_high_j REAL;
    """,
)
_MOST_VERSIONS = 1000  # a number beyond was written by no release of ours

_Identity = tuple[int, int]
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

# Of the file's header (https://sqlite.org/fileformat2.html): where a number stands, and what it may be. SQLite takes
# other numbers for those of a later version of its own, and says so in the same way as it says what will pass.
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
_HEADER_NUMBERS = ((18, 1, 1, 2), (19, 1, 1, 2), (44, 4, 0, 4))  # start, bytes, least, most


class NewerLedgerError(Exception):
    """The file was written by a later version of Green Code."""


class DamageError(Exception):
    """The file is no ledger, or no longer; SQLite may still open it."""


class LedgerFile:
    """The file, opened when it is first needed.

    Attributes:
        notice: One sentence when a new file was begun in place of another; "" otherwise.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notice = ""
        self._database: sqlite3.Connection | None = None
        self._places = [f"{path}{end}" for end in ("", "-wal")]
        self._identities: list[_Identity | None] = []

    @property
    def open_database(self) -> sqlite3.Connection | None:
        """The connection, where there is one already."""
        return self._database

    def database(self) -> sqlite3.Connection:
        """The connection to a file that is sound and in its place.

        Raises:
            DamageError: The file is damaged.
            NewerLedgerError: It was written by a later version.
            sqlite3.Error: It cannot be opened, which may pass.
            OSError: Likewise.
        """
        # SQLite would go on writing into a deleted file, and tell nobody.
        if self._database is not None and self._identities != self._found():
            self.close()
            self.notice = Sentence("The energy ledger was deleted while Green Code ran; a new one was begun.")
        if self._database is None:
            self._use(self._open())
        assert self._database is not None
        return self._database

    def close(self) -> None:
        """Closes the file. One that has been moved or deleted is left as it is; SQLite itself looks."""
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()

    def set_aside(self) -> None:
        """Moves a damaged file aside, unless another server did, and opens a new one.

        Raises:
            sqlite3.Error: Like `database`.
            OSError: Likewise, or the file cannot be moved.
        """
        from filelock import FileLock  # seldom needed, and slow to import

        self.close()
        # Two servers may find the same damage: the second one finds a sound file inside the lock.
        with FileLock(self.path.with_suffix(".lock"), timeout=CLOSE_TIMEOUT_S, mode=_PRIVATE_FILE):
            with contextlib.suppress(DamageError):
                self._use(self._open(thorough=True))
                return
            kept = self._free_name()
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + end).replace(kept.with_name(kept.name + end))
            self.notice = Sentence(
                "The energy ledger was damaged; it is kept as {name} and a new one was begun.", name=kept.name
            )

    def _use(self, database: sqlite3.Connection) -> None:
        self._database, self._identities = database, self._found()

    def _free_name(self) -> Path:
        """A name that no other file has: a clock may stand still, or be set back."""
        date = datetime.now().astimezone().strftime("%Y-%m-%dT%H%M%S")
        ends = itertools.chain([""], map("-{}".format, itertools.count(2)))
        names = (self.path.with_name(f"{self.path.stem}.corrupt-{date}{end}{self.path.suffix}") for end in ends)
        return next(name for name in names if not name.exists())

    def _found(self) -> list[_Identity | None]:
        """Which files lie in the places of the database and of its log."""
        return [_identity(place) for place in self._places]

    def _open(self, *, thorough: bool = False) -> sqlite3.Connection:
        self._make_private()
        database = connect(str(self.path), BUSY_TIMEOUT_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            check(database, thorough=thorough)
            migrate(database)
            know_projects(database)
            with transaction(database):  # a damaged header may forbid to write, which only writing shows
                database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        except BaseException as error:
            database.close()
            if self._is_damage(error):
                raise DamageError(str(error)) from error
            raise
        return database

    def _is_damage(self, error: BaseException) -> bool:
        # What may pass by itself (locked, full, read-only) is a subclass of DatabaseError. Names in a damaged file may
        # be no text, and then no text of an error either.
        if type(error) is sqlite3.DatabaseError or isinstance(error, UnicodeDecodeError):
            return True
        return isinstance(error, sqlite3.OperationalError) and not _has_sound_header(self.path)

    def _make_private(self) -> None:
        """Nobody else has to know when and how much this person works. SQLite gives its other files the same rights."""
        folder = self.path.parent
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE_FILE))
        _take_from_others(folder)
        for end in ("", "-wal", "-shm"):
            _take_from_others(self.path.with_name(self.path.name + end))


def connect(path: str, timeout_s: float, *, uri: bool = False) -> sqlite3.Connection:
    """Opens a database whose rows have names, and whose text is text whatever bytes it has."""
    database = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, uri=uri)
    database.row_factory = sqlite3.Row
    database.text_factory = _text
    return database


def migrate(database: sqlite3.Connection) -> None:
    """Brings the tables to today's version.

    Raises:
        NewerLedgerError: They are of a later one.
    """
    if version_of(database) == len(MIGRATIONS):
        return
    with transaction(database):
        version = version_of(database)  # again: another server may have been faster
        if version > len(MIGRATIONS):
            raise NewerLedgerError("it was written by a newer version of Green Code")
        _run(database, MIGRATIONS[version:])
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def know_projects(database: sqlite3.Connection) -> None:
    """Teaches SQL `project_of(folder)`: a hash that tells the folders of this ledger apart and names none."""
    row = database.execute("SELECT value FROM project_key").fetchone()
    # Whatever damage has left there keys a hash; only where nothing is left, projects get new names.
    key = os.urandom(16) if row is None else blake2b(repr(row[0]).encode(), digest_size=16).digest()

    @functools.lru_cache
    def project_of(folder: bytes) -> str:
        return blake2b(os.path.normcase(folder), key=key, digest_size=4).hexdigest() if folder else ""

    database.create_function("project_of", 1, project_of, deterministic=True)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Everything inside is written, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite itself rolls back on some errors, such as a full disk
            database.execute("ROLLBACK")
        raise


def check(database: sqlite3.Connection, *, thorough: bool) -> None:
    """Raises a `DamageError` where a database is none of ours, or no longer; changes nothing."""
    verdict = database.execute("PRAGMA integrity_check(1)" if thorough else "PRAGMA quick_check(1)").fetchone()
    if verdict is None or verdict[0] != "ok":
        raise DamageError(verdict[0] if verdict else "it cannot be checked")
    version = version_of(database)
    # A flipped byte may leave a sound database with another table in it, or with the number of a later version.
    known = min(version, len(MIGRATIONS))
    is_ours = _shape(database) == _shape_of(known)
    if not 0 <= version <= _MOST_VERSIONS or is_ours != (version == known):
        raise DamageError(f"it is not as version {version} is")


def version_of(database: sqlite3.Connection) -> int:
    """How many of `MIGRATIONS` it has been brought through."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _shape(database: sqlite3.Connection) -> list[tuple[object, ...]]:
    """What there is in a database, and the columns of the tables, with all that tells how they are kept."""
    columns = (f"PRAGMA table_info({table})" for table in ("completion", "reading"))
    asked = ("SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name", *columns)
    return [tuple(row) for sql in asked for row in database.execute(sql)]


def _shape_of(version: int) -> list[tuple[object, ...]]:
    with contextlib.closing(connect(":memory:", BUSY_TIMEOUT_S)) as database:
        _run(database, MIGRATIONS[:version])
        return _shape(database)


def _run(database: sqlite3.Connection, scripts: Iterable[str]) -> None:
    for script in scripts:
        for statement in filter(str.strip, script.split(";\n")):
            database.execute(statement)


def _has_sound_header(path: Path) -> bool:
    """False where the file's first bytes are those of no database that we write; an empty one has none yet."""
    try:
        with path.open("rb") as opened:
            header = opened.read(_HEADER_BYTES)
    except OSError:
        return True  # which says nothing about damage
    numbers = ((int.from_bytes(header[at : at + n], "big"), low, high) for at, n, low, high in _HEADER_NUMBERS)
    return not header or (header.startswith(_MAGIC) and all(low <= number <= high for number, low, high in numbers))


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - before every row; a Path would take three times as long
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _take_from_others(path: Path) -> None:
    """Takes all rights on a file or a folder from everybody else; one that is not ours, or shared, stays as it is."""
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS and not mode & stat.S_ISVTX:  # as /tmp has, which is root's own
            path.chmod(mode & ~_OTHERS)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
