"""One evaluation from held-out text to its report. The parts do the work: places, arms, runs, report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.energy.cost_model import default_cost_model
from engine.evaluation.arms import all_arms, chosen_arms
from engine.evaluation.places import paper_places, sample_places
from engine.evaluation.report import Setting, write_report
from engine.evaluation.runs import run_arms
from engine.policy.learned import find_learned_policy
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.model.loading import LoadedModel
    from engine.training.source_text import SourceFile

_ORACLE_PATTERNS = frozenset({"all", "oracle"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What to evaluate.

    Attributes:
        protocol: "kept", as developers type, or "paper", GREEN-CODE's.
        n_places: Places in all.
        seeds: Independent draws that share them.
        max_new_tokens: Upper bound on the tokens of a suggestion.
        arms: Names, groups or patterns of arms; see `engine.evaluation.arms`.
    """

    protocol: Literal["kept", "paper"]
    n_places: int
    seeds: int
    max_new_tokens: int
    arms: tuple[str, ...]


def evaluate(
    loaded: LoadedModel,
    files: Sequence[SourceFile],
    evaluation: Evaluation,
    output: Path,
    *,
    progress: ProgressSink = no_progress,
) -> str:
    """Evaluates a model on held-out files, writes the report, and returns its table in Markdown.

    Raises:
        ConfigError: If an arm does not exist, or the report cannot be written.
        PolicyError: If the user's own policy does not fit the model.
        TrainingError: If there is too little text.
    """
    model = loaded.model
    learned = find_learned_policy(loaded.name, model.fingerprint, model.exits_fingerprint)
    every = all_arms(model.exit_layers, model.n_layers, learned)
    with_oracle = bool(_ORACLE_PATTERNS & set(evaluation.arms))
    arms = chosen_arms(every, [pattern for pattern in evaluation.arms if pattern != "oracle"])
    draw = sample_places if evaluation.protocol == "kept" else paper_places
    places = draw(files, evaluation.n_places, seeds=evaluation.seeds, max_new_tokens=evaluation.max_new_tokens)
    cost_model = default_cost_model(model.geometry, loaded.device)
    results = run_arms(
        loaded,
        places,
        arms,
        cost_model,
        max_new_tokens=evaluation.max_new_tokens,
        with_oracle=with_oracle,
        progress=progress,
    )
    setting = Setting(
        protocol=evaluation.protocol,
        model=loaded.name,
        exits=model.exits_fingerprint,
        device=loaded.device_name,
        cost_model=cost_model.source,
        n_layers=model.n_layers,
        seeds=evaluation.seeds,
        max_new_tokens=evaluation.max_new_tokens,
        notes=() if learned else ("No learned policy fits this model: the slider is its stand-in, fixed exits.",),
    )
    return write_report(output, setting, places, arms, results)
