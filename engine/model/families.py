"""Which families of models are supported, and what runs each: the one table of them. Imports no torch.

A new family that is built like Llama is one row here. Where its parts lie or count otherwise, it gets an adapter, too
(`engine.model.reference.adapters`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.types import PreparedRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that are built alike.

    Attributes:
        name: What transformers calls it: the `model_type` of config.json.
        gguf_name: What GGUF calls it: `general.architecture`.
        runtimes: The fast runners that know its blocks; every family runs on torch.
    """

    name: str
    gguf_name: str
    runtimes: tuple[PreparedRuntime, ...] = ()


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(name="llama", gguf_name="llama", runtimes=("native", "onnx")),
        Family(name="qwen2", gguf_name="qwen2", runtimes=("native", "onnx")),
        Family(name="gemma3_text", gguf_name="gemma3", runtimes=("native",)),
        Family(name="opt", gguf_name="opt"),
    )
}


def supported_family(name: str, subject: str) -> Family:
    """The family of that name.

    Args:
        name: The family, as transformers calls it.
        subject: What is of that family, to begin a sentence with, such as "The model 'tiny'".

    Raises:
        UnsupportedModelError: If it is not supported.
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UnsupportedModelError(
            f"{subject} is of the family '{name}', which is not supported; the supported families are {known}."
        )
    return FAMILIES[name]


def family_of_gguf(architecture: str) -> str:
    """What transformers calls a family of GGUF; the same name where it is not supported."""
    return next((family.name for family in FAMILIES.values() if family.gguf_name == architecture), architecture)
