"""What GREEN-CODE published (Ilager et al., arXiv 2501.11006), from the results in its repository.

Llama 3.2 3B and OPT 2.7B on a GPU in fp32, fine-tuned, with 20 % of a file as context and 15 tokens. Full depth and its
policy ran without a KV cache there, which is what the published savings are against; see `CACHED_J`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PaperModel = Literal["Llama 3.2 3B", "OPT 2.7B"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One row of a published table.

    Attributes:
        model: The model.
        language: "java" or "python".
        setting: "full depth", or the threshold of its policy.
        code_bleu: CodeBLEU.
        rouge_l: ROUGE-L.
        exact: Share of exact matches.
        energy_j: Joules of a completion, of the GPU alone.
        elapsed_s: Seconds of one.
        mean_layers: Layers that a token ran through; None for full depth.
    """

    model: PaperModel
    language: str
    setting: str
    code_bleu: float
    rouge_l: float
    exact: float
    energy_j: float
    elapsed_s: float
    mean_layers: float | None


CACHED_J = 113.5
"""Joules of a completion by the same Llama on Java at full depth with a KV cache, at 30 % of context; 530 without."""

_TABLES: dict[tuple[PaperModel, str], tuple[tuple[str, float, float, float, float, float, float | None], ...]] = {
    ("Llama 3.2 3B", "java"): (
        ("full depth", 0.4298, 0.4256, 0.0460, 427.2, 1.703, None),
        ("policy 0.92", 0.4071, 0.4098, 0.0410, 328.8, 1.319, 17.59),
        ("policy 0.90", 0.3949, 0.3918, 0.0430, 288.2, 1.157, 14.74),
        ("policy 0.80", 0.3683, 0.3170, 0.0320, 220.7, 0.891, 10.22),
        ("policy 0.60", 0.3563, 0.2925, 0.0130, 176.8, 0.715, 7.44),
    ),
    ("Llama 3.2 3B", "python"): (
        ("full depth", 0.4038, 0.4629, 0.1260, 600.6, 2.666, None),
        ("policy 0.92", 0.3558, 0.4456, 0.1008, 424.9, 1.912, 16.12),
        ("policy 0.90", 0.3505, 0.4389, 0.0907, 378.5, 1.708, 13.84),
        ("policy 0.80", 0.3356, 0.4154, 0.0645, 291.4, 1.320, 9.56),
        ("policy 0.60", 0.2911, 0.3619, 0.0403, 215.7, 0.985, 5.86),
    ),
    ("OPT 2.7B", "java"): (
        ("full depth", 0.3919, 0.3396, 0.0260, 543.7, 2.441, None),
        ("policy 0.92", 0.3909, 0.3467, 0.0300, 390.4, 1.757, 21.52),
        ("policy 0.90", 0.3614, 0.3138, 0.0130, 349.4, 1.575, 18.95),
        ("policy 0.80", 0.3310, 0.2810, 0.0040, 267.9, 1.213, 14.29),
        ("policy 0.60", 0.3115, 0.2636, 0.0010, 208.2, 0.947, 10.79),
    ),
    ("OPT 2.7B", "python"): (
        ("full depth", 0.2805, 0.3655, 0.0554, 625.9, 2.795, None),
        ("policy 0.92", 0.2424, 0.3327, 0.0262, 374.1, 1.680, 17.93),
        ("policy 0.90", 0.2285, 0.3191, 0.0192, 339.3, 1.524, 15.92),
        ("policy 0.80", 0.2067, 0.3028, 0.0141, 283.9, 1.277, 12.59),
        ("policy 0.60", 0.2040, 0.2764, 0.0111, 230.3, 1.039, 9.75),
    ),
}

PUBLISHED = tuple(
    PublishedRow(
        model=model,
        language=language,
        setting=setting,
        code_bleu=code_bleu,
        rouge_l=rouge_l,
        exact=exact,
        energy_j=energy_j,
        elapsed_s=elapsed_s,
        mean_layers=mean_layers,
    )
    for (model, language), rows in _TABLES.items()
    for setting, code_bleu, rouge_l, exact, energy_j, elapsed_s, mean_layers in rows
)
