"""What is said where PyTorch is needed and not there: an installation for a CPU leaves it out. Imports no torch."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import TYPE_CHECKING

from engine.errors import TorchMissingError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = ("torch", "transformers", "accelerate")


def is_torch_there() -> bool:
    """Whether PyTorch is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


@contextlib.contextmanager
def needs_torch(purpose: str) -> Iterator[None]:
    """Surrounds imports of what needs PyTorch.

    Args:
        purpose: What it is needed for, to begin a sentence with, such as "To run on a GPU".

    Raises:
        TorchMissingError: Where it is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        raise TorchMissingError(
            Sentence(
                "{purpose} PyTorch is needed, which is not installed here: add it with 'Green Code: Add PyTorch' in "
                "VS Code, or with `pip install {packages}`.",
                purpose=purpose,
                packages=" ".join(_PACKAGES),
            )
        ) from error
