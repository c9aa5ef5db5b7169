"""The models that are worth naming to people: their sizes, licences and prompt formats, as their makers publish them.

Any other model of a supported family works the same way. Sizes are those of each model's config.json.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import DEFAULT_MODEL
from engine.model.families import FAMILIES
from engine.model.sizes import ModelSizes


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model by name.

    Attributes:
        name: What to ask for it by.
        family: Its family in `engine.model.families`.
        format: Its prompt format in `engine.completion.fim`; None where it continues text and no more.
        licence: What its maker says.
        is_free: Whether anybody may use it for anything, without asking.
        sizes: Its sizes.
        download_bytes: What is fetched, where that is not 16 bits a weight.
    """

    name: str
    family: str
    format: str | None
    licence: str
    is_free: bool = True
    sizes: ModelSizes
    download_bytes: int | None = None


def _sizes(
    family: str, layers: tuple[int, int, int], heads: tuple[int, int, int], vocabulary: int, *, tied: bool = True
) -> ModelSizes:
    """Sizes of a model that is built as its family is.

    `layers` are how many, their width and the MLP's; `heads` those of queries, those of keys, and their width.
    """
    built = FAMILIES[family]
    (n_layers, width, mlp_width), (n_heads, n_kv_heads, head_dim) = layers, heads
    return ModelSizes(
        n_layers=n_layers,
        width=width,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        mlp_width=mlp_width,
        n_vocabulary=vocabulary,
        is_tied=tied,
        is_gated=built.is_gated,
        is_folded=built.is_folded,
        runs_rounded=bool(built.runtimes),
    )


CATALOGUE = (
    KnownModel(
        name=DEFAULT_MODEL,
        family="llama",
        format=None,
        licence="Apache-2.0",
        sizes=_sizes("llama", (30, 576, 1536), (9, 3, 64), 49_152),
        download_bytes=92_871_040,
    ),
    KnownModel(
        name="HuggingFaceTB/SmolLM2-360M",
        family="llama",
        format=None,
        licence="Apache-2.0",
        sizes=_sizes("llama", (32, 960, 2560), (15, 5, 64), 49_152),
    ),
    KnownModel(
        name="ibm-granite/granite-4.0-350m-base",
        family="granitemoehybrid",
        format="Granite 4",
        licence="Apache-2.0",
        sizes=_sizes("granitemoehybrid", (28, 1024, 2048), (16, 4, 64), 100_352),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-0.5B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="Apache-2.0",
        sizes=_sizes("qwen2", (24, 896, 4864), (14, 2, 64), 151_936),
    ),
    KnownModel(
        name="deepseek-ai/deepseek-coder-1.3b-base",
        family="llama",
        format="DeepSeek-Coder",
        licence="DeepSeek's own terms",
        sizes=_sizes("llama", (24, 2048, 5504), (16, 16, 128), 32_256, tied=False),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-1.5B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="Apache-2.0",
        sizes=_sizes("qwen2", (28, 1536, 8960), (12, 2, 128), 151_936),
    ),
    KnownModel(
        name="HuggingFaceTB/SmolLM2-1.7B",
        family="llama",
        format=None,
        licence="Apache-2.0",
        sizes=_sizes("llama", (24, 2048, 8192), (32, 32, 64), 49_152),
    ),
    KnownModel(
        name="ibm-granite/granite-4.0-1b-base",
        family="granitemoehybrid",
        format="Granite 4",
        licence="Apache-2.0",
        sizes=_sizes("granitemoehybrid", (40, 2048, 4096), (16, 4, 128), 100_352),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-3B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="research only",
        is_free=False,
        sizes=_sizes("qwen2", (36, 2048, 11_008), (16, 2, 128), 151_936),
    ),
    KnownModel(
        name="facebook/opt-2.7b",
        family="opt",
        format=None,
        licence="research only",
        is_free=False,
        sizes=_sizes("opt", (32, 2560, 10_240), (32, 32, 80), 50_272),
    ),
    KnownModel(
        name="bigcode/starcoder2-3b",
        family="starcoder2",
        format="StarCoder2",
        licence="OpenRAIL-M",
        is_free=False,
        sizes=_sizes("starcoder2", (30, 3072, 12_288), (24, 2, 128), 49_152),
    ),
    KnownModel(
        name="meta-llama/Llama-3.2-3B",
        family="llama",
        format=None,
        licence="Llama terms, on request",
        is_free=False,
        sizes=_sizes("llama", (28, 3072, 8192), (24, 8, 128), 128_256),
    ),
    KnownModel(
        name="JetBrains/Mellum-4b-base",
        family="llama",
        format="Mellum",
        licence="Apache-2.0",
        sizes=_sizes("llama", (30, 3072, 8256), (24, 24, 128), 98_304, tied=False),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-7B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="Apache-2.0",
        sizes=_sizes("qwen2", (28, 3584, 18_944), (28, 4, 128), 152_064, tied=False),
    ),
)
