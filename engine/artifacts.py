"""What is trained for a model: shipped for the default one, and kept among the user's data where it was trained there.

Knows where such files lie and which of two counts, not what is in them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engine import config
from engine.errors import PolicyError
from engine.files import is_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One kind of what is trained for a model.

    Attributes:
        folder: The kind's folder among the user's data, such as "policies".
        file_name: What the file is called, in a folder that is named after the model.
        packaged: Where those that are shipped lie.
        former_name: What an earlier release called the file; it still counts where there is none of today's name.
    """

    folder: str
    file_name: str
    packaged: Path
    former_name: str | None = None

    def own_path(self, model_name: str) -> Path:
        """Where one that was trained on this machine is kept."""
        return config.data_dir() / self.folder / config.folder_name(model_name) / self.file_name

    def path(self, model_name: str) -> Path | None:
        """The user's own file, else the shipped one, else None."""
        own, names = self.own_path(model_name), [self.file_name]
        if self.former_name is not None:
            names.append(self.former_name)
        shipped = self.packaged / config.folder_name(model_name) / self.file_name
        return next((path for path in (*map(own.with_name, names), shipped) if is_file(path)), None)

    def find(self, model_name: str, load: Callable[[Path], T]) -> T | None:
        """What `load` reads from that file; None where there is none, or where the shipped one does not fit.

        Raises:
            PolicyError: If the user's own does not fit.
        """
        path = self.path(model_name)
        if path is None:
            return None
        try:
            return load(path)
        except PolicyError as error:
            if path.parent == self.own_path(model_name).parent:
                raise
            # Another conversion of the same model, perhaps. The user's remedy is in the message.
            logger.warning("What is shipped for %s is not used: %s", model_name, error)
            return None
