"""Which families of models are supported, and what runs each: the one table of them. Imports no torch.

A new family that is built like Llama is one row here. Where its parts lie or count otherwise, it gets an adapter, too
(`engine.model.reference.adapters`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import UnsupportedModelError
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.types import PreparedRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that are built alike.

    Attributes:
        name: What transformers calls it: the `model_type` of config.json.
        gguf_name: What GGUF calls it: `general.architecture`; None where transformers reads no such files of it.
        title: Its name for people.
        models: Some of its models.
        runtimes: The fast runners that know its blocks; every family runs on torch.
        formats: The prompt formats of those of its models that fill in the middle, by their names in
            `engine.completion.fim`: which one a model has is told by its tokenizer.
        is_gated: Whether its MLP has a gate.
        is_folded: Whether numbers are folded into embedding and head while a model is prepared: copies, for a while.
        mlp_setting: What config.json calls the width of its MLP.
        licence: What its models are licensed under, as far as it is one thing; each model's card says what holds.
    """

    name: str
    gguf_name: str | None
    title: str
    models: str
    runtimes: tuple[PreparedRuntime, ...] = ()
    formats: tuple[str, ...] = ()
    is_gated: bool = True
    is_folded: bool = False
    mlp_setting: str = "intermediate_size"
    licence: str


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="llama",
            gguf_name="llama",
            title="Llama",
            models="SmolLM2, Llama 3.2, DeepSeek-Coder, Code Llama, Mellum, Seed-Coder, Granite Code",
            runtimes=("native", "onnx"),
            formats=("DeepSeek-Coder", "Code Llama", "Mellum", "Seed-Coder", "StarCoder"),
            licence="Apache-2.0, MIT, or the maker's own terms, as Llama's and DeepSeek's are",
        ),
        Family(
            name="qwen2",
            gguf_name="qwen2",
            title="Qwen2",
            models="Qwen2.5-Coder",
            runtimes=("native", "onnx"),
            formats=("Qwen2.5-Coder",),
            licence="Apache-2.0; the 3B models for research only",
        ),
        Family(
            name="qwen3",
            gguf_name="qwen3",
            title="Qwen3",
            models="Qwen3",
            runtimes=("native", "onnx"),
            formats=("Qwen2.5-Coder",),
            licence="Apache-2.0",
        ),
        Family(
            name="gemma3_text",
            gguf_name="gemma3",
            title="Gemma 3",
            models="Gemma 3",
            runtimes=("native",),
            licence="Gemma terms",
        ),
        Family(
            name="granite",
            gguf_name=None,
            title="Granite 3",
            models="Granite 3 dense",
            runtimes=("native", "onnx"),
            formats=("Granite 4",),
            is_folded=True,
            licence="Apache-2.0",
        ),
        Family(
            name="granitemoehybrid",
            gguf_name=None,
            title="Granite 4",
            models="Granite 4 without recurrent layers, such as granite-4.0-350m",
            runtimes=("native", "onnx"),
            formats=("Granite 4",),
            is_folded=True,
            mlp_setting="shared_intermediate_size",
            licence="Apache-2.0",
        ),
        Family(
            name="starcoder2",
            gguf_name="starcoder2",
            title="StarCoder2",
            models="StarCoder2",
            runtimes=("native", "onnx"),
            formats=("StarCoder2",),
            is_gated=False,
            is_folded=True,
            licence="OpenRAIL-M",
        ),
        Family(
            name="opt",
            gguf_name="opt",
            title="OPT",
            models="OPT",
            is_gated=False,
            mlp_setting="ffn_dim",
            licence="OPT-175B, for research only",
        ),
    )
}
_ATTENDS = frozenset({"attention", "full_attention", "sliding_attention"})


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
            Sentence(
                "{subject} is of the family '{name}', which is not supported; the supported families are {known}.",
                subject=subject,
                name=name,
                known=known,
            )
        )
    return FAMILIES[name]


def refuse_other_layers(settings: Mapping[str, Any], subject: str) -> None:
    """Refuses a model whose layers, by its configuration, are others than its family's.

    Args:
        settings: What config.json says.
        subject: As `supported_family` takes it.

    Raises:
        UnsupportedModelError: If some do not attend, such as recurrent ones, or have experts.
    """
    kinds = settings.get("layer_types") or settings.get("layers_block_type")
    others = sorted({str(kind) for kind in kinds} - _ATTENDS) if isinstance(kinds, list | tuple) else []
    if settings.get("model_type") == "granitemoehybrid" and kinds is None:
        others = ["mamba"]  # all of them, where nothing is said
    if others:
        raise UnsupportedModelError(
            Sentence(
                "{subject} has layers of the kind '{kind}', whose state cannot be taken back; only models all "
                "of whose layers attend are supported.",
                subject=subject,
                kind=others[0],
            )
        )
    if settings.get("num_local_experts"):
        raise UnsupportedModelError(
            Sentence("{subject} is a mixture of experts; only dense models are supported.", subject=subject)
        )


def refuse_other_gguf(architecture: str, subject: str) -> None:
    """Refuses a GGUF file of a family that is not supported, or of whose files transformers reads none.

    Args:
        architecture: The family, as GGUF calls it.
        subject: As `supported_family` takes it.

    Raises:
        UnsupportedModelError: If it is such a one.
    """
    known = [family.gguf_name for family in FAMILIES.values() if family.gguf_name is not None]
    if architecture not in known:
        raise UnsupportedModelError(
            Sentence(
                "{subject} is of the family '{architecture}', which is not supported as a GGUF file; the "
                "supported families are {known}.",
                subject=subject,
                architecture=architecture,
                known=", ".join(known),
            )
        )
