"""The models that are worth naming to people: their sizes, licences and prompt formats, as their makers publish them.

Any other model of a supported family works the same way. Sizes are those of each model's config.json.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.config import DEFAULT_MODEL
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
    layers: int, width: int, heads: tuple[int, int, int], mlp: int, vocabulary: int, *, tied: bool = True
) -> ModelSizes:
    """Sizes of a model whose MLP has a gate; `heads` are those of queries, those of keys, and their width."""
    n_heads, n_kv_heads, head_dim = heads
    return ModelSizes(
        n_layers=layers,
        width=width,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        mlp_width=mlp,
        n_vocabulary=vocabulary,
        is_tied=tied,
    )


CATALOGUE = (
    KnownModel(
        name=DEFAULT_MODEL,
        family="llama",
        format=None,
        licence="Apache-2.0",
        sizes=_sizes(30, 576, (9, 3, 64), 1536, 49_152),
        download_bytes=92_871_040,
    ),
    KnownModel(
        name="HuggingFaceTB/SmolLM2-360M",
        family="llama",
        format=None,
        licence="Apache-2.0",
        sizes=_sizes(32, 960, (15, 5, 64), 2560, 49_152),
    ),
    KnownModel(
        name="ibm-granite/granite-4.0-350m-base",
        family="granitemoehybrid",
        format="Granite 4",
        licence="Apache-2.0",
        sizes=replace(_sizes(28, 1024, (16, 4, 64), 2048, 100_352), is_folded=True),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-0.5B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="Apache-2.0",
        sizes=_sizes(24, 896, (14, 2, 64), 4864, 151_936),
    ),
    KnownModel(
        name="deepseek-ai/deepseek-coder-1.3b-base",
        family="llama",
        format="DeepSeek-Coder",
        licence="DeepSeek's own terms",
        sizes=_sizes(24, 2048, (16, 16, 128), 5504, 32_256, tied=False),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-1.5B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="Apache-2.0",
        sizes=_sizes(28, 1536, (12, 2, 128), 8960, 151_936),
    ),
    KnownModel(
        name="HuggingFaceTB/SmolLM2-1.7B",
        family="llama",
        format=None,
        licence="Apache-2.0",
        sizes=_sizes(24, 2048, (32, 32, 64), 8192, 49_152),
    ),
    KnownModel(
        name="ibm-granite/granite-4.0-1b-base",
        family="granitemoehybrid",
        format="Granite 4",
        licence="Apache-2.0",
        sizes=replace(_sizes(40, 2048, (16, 4, 128), 4096, 100_352), is_folded=True),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-3B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="research only",
        is_free=False,
        sizes=_sizes(36, 2048, (16, 2, 128), 11_008, 151_936),
    ),
    KnownModel(
        name="facebook/opt-2.7b",
        family="opt",
        format=None,
        licence="research only",
        is_free=False,
        sizes=replace(_sizes(32, 2560, (32, 32, 80), 10_240, 50_272), is_gated=False, runs_rounded=False),
    ),
    KnownModel(
        name="bigcode/starcoder2-3b",
        family="starcoder2",
        format="StarCoder2",
        licence="OpenRAIL-M",
        is_free=False,
        sizes=replace(_sizes(30, 3072, (24, 2, 128), 12_288, 49_152), is_gated=False, is_folded=True),
    ),
    KnownModel(
        name="meta-llama/Llama-3.2-3B",
        family="llama",
        format=None,
        licence="Llama terms, on request",
        is_free=False,
        sizes=_sizes(28, 3072, (24, 8, 128), 8192, 128_256),
    ),
    KnownModel(
        name="JetBrains/Mellum-4b-base",
        family="llama",
        format="Mellum",
        licence="Apache-2.0",
        sizes=_sizes(30, 3072, (24, 24, 128), 8256, 98_304, tied=False),
    ),
    KnownModel(
        name="Qwen/Qwen2.5-Coder-7B",
        family="qwen2",
        format="Qwen2.5-Coder",
        licence="Apache-2.0",
        sizes=_sizes(28, 3584, (28, 4, 128), 18_944, 152_064, tied=False),
    ),
)
