"""Samples of a long run, kept in a file as they come, so that a run that was stopped goes on where it was.

Each line of the file is a sample in JSON; the first line says what was run. A line cut short by a kill is forgotten.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cattrs

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SampleT = TypeVar("SampleT", bound="Any")


class KeptSamples(Generic[SampleT]):
    """Samples of one kind, each under a key of its own.

    Attributes:
        found: Samples by key, in the order in which they came.
    """

    def __init__(
        self, path: Path, kind: type[SampleT], key: Callable[[SampleT], str], setting: Mapping[str, Any]
    ) -> None:
        """Reads what an earlier run left.

        Args:
            path: The file.
            kind: The samples' class, a dataclass.
            key: What tells them apart.
            setting: What is run; JSON can hold it.

        Raises:
            ConfigError: The file is of another run, or cannot be read or written.
        """
        self.found: dict[str, SampleT] = {}
        self._path, self._key = path, key
        head = json.dumps(setting, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
            whole = lines[:-1]  # behind the last line end stands nothing, or half a line
            if whole and whole[0] != head:
                raise ConfigError(f"{path} is of another run; remove it, or name another folder with --output.")
            for line in whole[1:]:
                sample = cattrs.structure(json.loads(line), kind)
                self.found[key(sample)] = sample
            path.write_text("".join(f"{line}\n" for line in whole or [head]), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
        except (ValueError, cattrs.BaseValidationError) as error:
            raise ConfigError(f"{path} is damaged; remove it to begin anew.") from error

    def take(self, key: str, run: Callable[[], SampleT]) -> SampleT:
        """The sample under this key; it is run and kept where there is none.

        Raises:
            ConfigError: It cannot be written.
        """
        if key not in self.found:
            sample = run()
            assert self._key(sample) == key
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(sample)) + "\n")
            except OSError as error:
                raise ConfigError(f"{self._path} cannot be written: {error.strerror}.") from None
            self.found[key] = sample
        return self.found[key]
