"""`Endpoint`: where servers of one user find the engine of one configuration, and how nobody else comes in.

A folder of the user's own holds a *notice* of each engine that listens: its address, and the token that both sides
prove to each other that they know. The folder's rights keep others out; where they cannot, nothing is shared. A version
has endpoints of its own, and so has whatever else two servers must have in common. It starts nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import TYPE_CHECKING

from engine.code_in_use import WRITTEN_NS
from engine.config import APP_NAME, VERSION, cache_dir, data_dir
from engine.errors import SharingError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from engine.config import EngineConfig

LOG_FILE = "engine.log"
BACKLOG = 64  # servers that come at the same moment
_MOST_PATH_BYTES = 100  # of a socket; systems end at 104 or 108
_BREATH_S = 0.1
_STALE_S = 60.0  # from which on a socket that nobody listens at is no engine that is just starting
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_VARIABLES = ("CUDA_", "GREEN_CODE_", "HF_", "HUGGINGFACE_", "MKL_", "OMP_", "ORT_", "TORCH_", "TRANSFORMERS_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One engine's place.

    Attributes:
        folder: The user's own.
        name: Made of all that servers must have in common to share.
        working_folder: Where the engine works; a model's relative path begins there.
        log: The file for what engines say that nobody else hears.
    """

    folder: Path
    name: str
    working_folder: Path
    log: Path

    @classmethod
    def of(cls, config: EngineConfig, folder: Path | None = None) -> Endpoint:
        """The endpoint of a configuration.

        Args:
            config: Its sharing aside, servers share an engine that ask for the same.
            folder: Where they meet; None for the user's usual place.

        Raises:
            SharingError: If no folder is the user's alone.
        """
        working_folder = Path.cwd() if _is_relative(config.model) else Path.home()
        parts = {
            "version": VERSION,
            "code": [str(Path(__file__).parents[2]), WRITTEN_NS],
            "python": sys.executable,
            "folders": [str(cache_dir()), str(data_dir()), str(working_folder)],
            "config": asdict(replace(config, shared=True)),
            "variables": sorted(item for item in os.environ.items() if item[0].startswith(_VARIABLES)),
        }
        name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return cls(
            folder=_private(folder or _usual_folder()),
            name=name,
            working_folder=working_folder,
            log=(folder or data_dir()) / LOG_FILE,
        )

    @property
    def lock(self) -> Path:
        """Whoever starts an engine holds it."""
        return self.folder / f"{self.name}.lock"

    @property
    def process_id(self) -> int | None:
        """The engine's process; None where none listens, as far as is known."""
        try:
            return int(json.loads(self._notice.read_text(encoding="ascii"))["process"])
        except (OSError, ValueError, KeyError):
            return None

    @property
    def is_deserted(self) -> bool:
        """Whether the engine of the notice has ended without taking it away, as it does when it is killed."""
        try:
            Client(json.loads(self._notice.read_text(encoding="ascii"))["address"]).close()
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except (OSError, ValueError, KeyError):
            pass
        return False

    def connect(self) -> Connection | None:
        """Comes to the engine that listens; None where there is none."""
        try:
            notice = json.loads(self._notice.read_text(encoding="ascii"))
            connection = Client(notice["address"])
        except (OSError, ValueError, KeyError):
            return None
        token = bytes.fromhex(notice["token"])
        try:
            answer_challenge(connection, token)
            deliver_challenge(connection, token)
        except (OSError, EOFError, AuthenticationError, AssertionError, ValueError):
            connection.close()
            return None
        return connection

    def listen(self) -> Door:
        """Listens here, as the only engine from now on; whoever holds the lock may.

        Raises:
            OSError: If it cannot be.
        """
        self._clear_up()
        token, mark = secrets.token_bytes(32), secrets.token_hex(4)
        # A name that could be known beforehand could be taken beforehand, where names are everybody's.
        address = rf"\\.\pipe\{APP_NAME}-{self.name}-{mark}" if sys.platform == "win32" else str(self._socket(mark))
        before = os.umask(0o077)
        try:
            listener = Listener(address, backlog=BACKLOG)
            partial = self._notice.with_suffix(f".{mark}")
            partial.write_text(json.dumps({"address": address, "token": token.hex(), "process": os.getpid()}))
            partial.replace(self._notice)
        finally:
            os.umask(before)
        return Door(listener, address, token, self._notice)

    @property
    def _notice(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _socket(self, mark: str) -> Path:
        return self.folder / f"{self.name}-{mark}.sock"

    def _clear_up(self) -> None:
        """Removes what engines have left that were killed."""
        for path in self.folder.glob("*.sock"):
            with contextlib.suppress(OSError):
                if path.name.startswith(f"{self.name}-") or time.time() - path.stat().st_mtime > _STALE_S:
                    _remove_if_dead(path)


class Door:
    """Where an engine lets servers in."""

    def __init__(self, listener: Listener, address: str, token: bytes, notice: Path) -> None:
        self._listener, self._address, self._token, self._notice = listener, address, token, notice
        self._is_closed = threading.Event()

    def wait(self) -> Connection | None:
        """The next who knocks; None once it is closed."""
        while (connection := self._accepted()) is None and not self._is_closed.is_set():
            self._is_closed.wait(_BREATH_S)  # who keeps knocking and running away, or lack of files, must not spin this
        if connection is not None and self._is_closed.is_set():
            connection.close()
            return None
        return connection

    def _accepted(self) -> Connection | None:
        try:
            return self._listener.accept()
        except (OSError, EOFError):
            return None

    def admits(self, connection: Connection) -> bool:
        """Whether somebody knows the token, and sees that it is known here; may take for ever."""
        try:
            deliver_challenge(connection, self._token)
            answer_challenge(connection, self._token)
        except (OSError, EOFError, AuthenticationError, AssertionError, ValueError):
            connection.close()
            return False
        return True

    def close(self) -> None:
        """Lets nobody in any more; takes the notice away, unless it is another engine's by now."""
        self._is_closed.set()
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(self._notice.read_text(encoding="ascii"))["address"] == self._address:
                self._notice.unlink()
        with contextlib.suppress(OSError):
            Client(self._address).close()  # wakes who waits
        with contextlib.suppress(OSError):  # somebody has cleared the folder
            self._listener.close()


def _is_relative(model: str) -> bool:
    """Whether a model is a file or folder named from where the server works."""
    try:
        return not Path(model).is_absolute() and Path(model).exists()
    except (OSError, ValueError):  # no path at all
        return False


def _usual_folder() -> Path:
    """The folder of the user's session, else one in the system's folder of temporary files."""
    if sys.platform == "win32":
        return data_dir() / "engine"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    candidates = [Path(runtime) / APP_NAME] if runtime and Path(runtime).is_dir() else []
    candidates += [Path(folder) / f"{APP_NAME}-{os.geteuid()}" for folder in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    room = _MOST_PATH_BYTES - len("/0123456789abcdef-01234567.sock")
    return next((folder for folder in candidates if len(os.fsencode(folder)) <= room), candidates[-1])


def _private(folder: Path) -> Path:
    """The folder, made where it is missing, once nobody else may enter it.

    Raises:
        SharingError: It is another user's, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if sys.platform != "win32":
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise SharingError(f"The folder {folder} is not this user's own.")
            if found.st_mode & _OTHERS:
                folder.chmod(0o700)
    except OSError as error:
        raise SharingError(f"The folder {folder} cannot be used ({error.strerror}).") from error
    return folder


def _remove_if_dead(path: Path) -> None:
    try:
        Client(str(path)).close()
    except ConnectionRefusedError:
        path.unlink()
