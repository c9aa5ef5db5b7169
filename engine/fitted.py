"""`FittedRecord`: a record of fitted numbers, in JSON: shipped, and the user's own where it was fitted on this machine.

Such a record knows the default model and serves every other one. What is trained for one model alone is
`engine.artifacts`. It knows nothing of what is in the record.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import cattrs

from engine import config
from engine.errors import ConfigError
from engine.files import is_file, written_whole

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRecord(Generic[T]):
    """One kind of record.

    Attributes:
        kind: Its class.
        packaged: The file that is shipped.
        own_name: What the user's own file is called.
        subject: What it says, as the subject of a sentence.
        command: What writes the user's own.
    """

    kind: type[T]
    packaged: Path
    own_name: str
    subject: str
    command: str

    @property
    def own_path(self) -> Path:
        """Where what was fitted on this machine is kept."""
        return config.data_dir() / self.own_name

    def find(self) -> T:
        """What was fitted on this machine where that can be read; else what is shipped."""
        own = self.own_path
        if is_file(own):
            try:
                return self.load(own)
            except ConfigError as error:
                logger.warning("%s The shipped one is used; `%s` writes it again.", error, self.command)
        return self.load(self.packaged)

    def load(self, path: Path) -> T:
        """Reads what `save` wrote.

        Raises:
            ConfigError: If it cannot be read.
        """
        try:
            return cattrs.structure(json.loads(path.read_text(encoding="utf-8")), self.kind)
        except (OSError, ValueError, TypeError, KeyError, cattrs.BaseValidationError) as error:
            raise ConfigError(f"{self.subject} cannot be read from {path}.") from error

    def save(self, record: T, path: Path) -> None:
        """Writes it as JSON.

        Raises:
            ConfigError: If the disk refuses.
        """
        try:
            with written_whole(path) as partial:
                partial.write_text(json.dumps(cattrs.unstructure(record), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{self.subject} could not be written to {path}.") from error
