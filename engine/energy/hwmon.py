"""The GPU in use among the folders that Linux' drivers show of their devices (hwmon), and the numbers in its files.

Each folder names its driver, and its `device` is the place on the PCI bus. Knows no joules and no torch. See
https://docs.kernel.org/hwmon/sysfs-interface.html.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import MeterError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

HWMON_ROOT = Path("/sys/class/hwmon")


class ShownGpu(NamedTuple):
    """A GPU as its driver shows it.

    Attributes:
        maker: Whose it is, for people.
        address: Its place on the PCI bus, such as "0000:03:00.0".
        driver: The driver's name.
        folder: Where its files are.
    """

    maker: str
    address: str
    driver: str
    folder: Path

    def millionths(self, name: str) -> float:
        """The number in a file, in millionths: joules where it holds microjoules, watts where it holds microwatts.

        Raises:
            MeterError: The file cannot be read, or holds no number.
        """
        path, maker = self.folder / name, self.maker
        try:
            return int(path.read_text(encoding="ascii", errors="replace")) / 1e6
        except OSError as error:
            reason = error.strerror
            told = Sentence(
                "{path} of the {maker} GPU cannot be read: {reason}.", path=path, maker=maker, reason=reason
            )
            raise MeterError(told) from None
        except ValueError:
            raise MeterError(Sentence("{path} of the {maker} GPU holds no number.", path=path, maker=maker)) from None

    def first(self, names: Iterable[str]) -> float | None:
        """The first number above 0 in some files, as `millionths`; None where there is none."""
        for name in names:
            with contextlib.suppress(MeterError):
                if (number := self.millionths(name)) > 0:
                    return number
        return None


def find_gpu(root: Path, *, maker: str, drivers: Collection[str], pci_address: str | None) -> ShownGpu:
    """Finds the GPU in use.

    Args:
        root: The hwmon folder.
        maker: Whose GPU it is, for people.
        drivers: The names of the drivers that show whole GPUs.
        pci_address: The GPU's place; None is enough where one alone is shown.

    Raises:
        MeterError: There is no such GPU, or it is not known which is meant.
    """
    shown = (
        ShownGpu(maker, (folder / "device").resolve().name, driver, folder)
        for folder in sorted(root.glob("hwmon*"))
        if (driver := read_text(folder / "name")) in drivers
    )
    found = [gpu for gpu in shown if pci_address in {None, gpu.address}]
    if len(found) == 1:
        return found[0]
    raise MeterError(_absence(root, maker, pci_address, len(found)))


def limit_w(
    root: Path, names: Iterable[str], *, maker: str, drivers: Collection[str], pci_address: str | None
) -> float | None:
    """The watts that the driver lets the GPU in use take, from the first of some files that tells; else None."""
    try:
        return find_gpu(root, maker=maker, drivers=drivers, pci_address=pci_address).first(names)
    except MeterError:
        return None


def read_text(path: Path) -> str:
    """The word in a file; "" where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _absence(root: Path, maker: str, address: str | None, n_found: int) -> str:
    """Why no GPU is the one in use."""
    if n_found:
        return Sentence(
            "This machine has {n} {maker} GPUs, and which of them is in use is not known.", n=n_found, maker=maker
        )
    if sys.platform != "linux":
        return Sentence(
            "The energy of an {maker} GPU is read through Linux, and this machine runs another system.", maker=maker
        )
    if address is None:
        return Sentence("Linux shows no {maker} GPU under {root}.", maker=maker, root=root)
    return Sentence("Linux shows no {maker} GPU at {address} under {root}.", maker=maker, address=address, root=root)
