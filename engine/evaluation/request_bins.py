"""Requests binned by the tokens of prompt and answer, as in Energy Considerations of LLM Inference (arXiv 2504.17674).

They come from a published trace, from a file, or from whoever knows some. Knows no model and no ledger.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Trace = Literal["azure-code", "azure-chat"]

_TRACES = Path(__file__).with_name("azure_2023.csv")
_PROMPT_EDGES = (64, 256, 1024, 2048, 4096)
_NEW_EDGES = (8, 32, 128, 512)
# What a trace may call the tokens of prompt and answer: ours, Azure's, BurstGPT's.
_COLUMNS = (
    ("prompt_tokens", "new_tokens"),
    ("ContextTokens", "GeneratedTokens"),
    ("Request tokens", "Response tokens"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBin:
    """Requests of about the same size: mean tokens of prompt and answer, and how many there are."""

    prompt_tokens: int
    new_tokens: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedRequests:
    """What a workload is taken to be.

    Attributes:
        name: Where it comes from, for people.
        bins: The bins that count, the heaviest first.
        covered: The share of all requests that are in them.
        shortened: The share of the requests in them that are longer than is run here.
    """

    name: str
    bins: tuple[RequestBin, ...]
    covered: float
    shortened: float


def published_bins(trace: Trace) -> list[RequestBin]:
    """The bins of a trace that ships with us."""
    with _TRACES.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            RequestBin(**{size: int(row[size]) for size in ("prompt_tokens", "new_tokens", "requests")})
            for row in rows
            if row["trace"] == trace
        ]


def read_sizes(path: Path) -> list[tuple[int, int]]:
    """Tokens of prompt and answer of each request in a file of CSV, such as Azure's or BurstGPT's traces.

    Raises:
        ConfigError: The file cannot be read as one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_sizes(csv.DictReader(file)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        known = "; ".join(" and ".join(names) for names in _COLUMNS)
        raise ConfigError(f"{path} cannot be read as requests: CSV with the columns {known}.") from error


def binned(sizes: Iterable[tuple[int, int]]) -> list[RequestBin]:
    """The bins of requests by their sizes; those without prompt or answer are left out."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for prompt, new in sizes:
        if prompt > 0 and new > 0:
            groups[bisect_left(_PROMPT_EDGES, prompt), bisect_left(_NEW_EDGES, new)].append((prompt, new))
    return [
        RequestBin(
            prompt_tokens=round(sum(prompt for prompt, _ in group) / len(group)),
            new_tokens=round(sum(new for _, new in group) / len(group)),
            requests=len(group),
        )
        for _, group in sorted(groups.items())
    ]


def heaviest(
    name: str, bins: Sequence[RequestBin], *, most_bins: int, most_prompt_tokens: int, most_new_tokens: int
) -> BinnedRequests:
    """The bins cut to what is run here, and of these the ones with most tokens in all.

    Raises:
        ConfigError: There is no request.
    """
    if not bins:
        raise ConfigError(f"There is no request in {name}.")
    cut: dict[tuple[int, int], list[RequestBin]] = defaultdict(list)  # what is cut to one size is one bin
    for each in bins:
        cut[min(each.prompt_tokens, most_prompt_tokens), min(each.new_tokens, most_new_tokens)].append(each)
    chosen = sorted(cut, key=lambda size: sum(size) * _requests(cut[size]), reverse=True)[:most_bins]
    whole = [each for size in chosen for each in cut[size] if size == (each.prompt_tokens, each.new_tokens)]
    n_chosen = sum(_requests(cut[size]) for size in chosen)
    return BinnedRequests(
        name=name,
        bins=tuple(
            RequestBin(prompt_tokens=prompt, new_tokens=new, requests=_requests(cut[prompt, new]))
            for prompt, new in chosen
        ),
        covered=n_chosen / _requests(bins),
        shortened=1.0 - _requests(whole) / n_chosen,
    )


def _requests(bins: Iterable[RequestBin]) -> int:
    return sum(each.requests for each in bins)


def _sizes(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[int, int]]:
    for row in rows:
        prompt, new = next((names for names in _COLUMNS if names[0] in row), _COLUMNS[0])
        yield int(row[prompt]), int(row[new])
