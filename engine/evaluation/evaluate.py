"""One evaluation from held-out text to its report. The parts do the work: places, arms, runs, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from engine.config import EngineConfig
from engine.corpus.as_projects import give_packages
from engine.energy.cost_model import default_cost_model
from engine.errors import ConfigError
from engine.evaluation.arms import BASELINE, ORIGINAL, all_arms, chosen_arms
from engine.evaluation.assistant import time_assistant
from engine.evaluation.findings import findings_of
from engine.evaluation.infilling import draw_problems, judge_programs, read_problems
from engine.evaluation.places import paper_places, sample_places, without_shape
from engine.evaluation.report import Conditions, write_report
from engine.evaluation.runs import babbles, everywhere, run_arms
from engine.evaluation.statistics import Runs
from engine.model.loading import load_model
from engine.model.reference.eager import TorchRunner
from engine.model.sources.store import resolve_model
from engine.policy.learned import find_learned_policy
from engine.text import TextDecoder
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.corpus.source_text import SourceFile
    from engine.evaluation.infilling import Problem
    from engine.evaluation.places import Place
    from engine.model.loaded import LoadedModel
    from engine.policy.learned import LearnedPolicy

Protocol = Literal["kept", "paper", "babble", "infilling"]

DEFAULT_MAX_NEW_TOKENS: dict[Protocol, int] = {"kept": 24, "paper": 15, "babble": 48, "infilling": 48}

_DEFAULT_ARMS: dict[Protocol, tuple[str, ...]] = {
    "kept": ("all", ORIGINAL),
    "paper": ("all", ORIGINAL),
    "babble": ("slider", "full-depth+stop@*", "oracle"),
    "infilling": ("slider", "oracle"),
}
_NOT_ARMS = ("oracle", "assistant", ORIGINAL)  # what is asked for like an arm, and runs in its own way


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What to evaluate.

    Attributes:
        protocol: "kept", as developers type; "paper", GREEN-CODE's; "babble", where nothing but the policy ends a text
            that full depth goes on with; "infilling", a benchmark's missing lines, whose programs are run.
        n_places: Places in all.
        seeds: Independent draws that share them.
        max_new_tokens: Upper bound on the tokens of a suggestion; None for the protocol's own.
        arms: Names, groups or patterns of arms, see `engine.evaluation.arms`; also "oracle", "assistant" and "all";
            "original", which is not among "all"; none for the protocol's own.
        benchmark: The file with the missing lines, for "infilling".
        in_packages: Whether a file's package has its say, as its project; in "kept" and "babble".
    """

    protocol: Protocol
    n_places: int
    seeds: int
    max_new_tokens: int | None = None
    arms: tuple[str, ...] = ()
    benchmark: Path | None = None
    in_packages: bool = True


def evaluate(
    loaded: LoadedModel,
    files: Sequence[SourceFile],
    evaluation: Evaluation,
    output: Path,
    *,
    progress: ProgressSink = no_progress,
) -> str:
    """Evaluates a model, writes the report, and returns its tables in Markdown.

    Args:
        loaded: The model.
        files: Held-out text; not used for "infilling".
        evaluation: What to evaluate.
        output: The folder of the report.
        progress: Is called for each step.

    Raises:
        ConfigError: If an arm does not exist, the benchmark cannot be read, or the report cannot be written.
        PolicyError: If the user's own policy does not fit the model.
        TrainingError: If there is too little text.
    """
    model, protocol = loaded.model, evaluation.protocol
    learned = find_learned_policy(loaded.name, model.fingerprint, model.exits_fingerprint)
    patterns = evaluation.arms or _default_arms(protocol, learned)
    extras = {name for name in _NOT_ARMS if name in patterns or ("all" in patterns and name != ORIGINAL)}
    every = all_arms(model.exit_layers, model.n_layers, learned)
    arms = chosen_arms(every, [pattern for pattern in patterns if pattern not in _NOT_ARMS])
    max_new_tokens = evaluation.max_new_tokens or DEFAULT_MAX_NEW_TOKENS[protocol]
    problems, places = _places(files, evaluation, max_new_tokens)
    cost_model = default_cost_model(model.geometry, loaded.device, loaded.runtime)
    texts = TextDecoder(loaded)
    give_packages(texts.projects.text, files)
    results = run_arms(
        texts,
        places,
        arms,
        cost_model,
        max_new_tokens=max_new_tokens,
        with_oracle="oracle" in extras,
        original=_again(loaded, progress, with_trained_exits=False) if ORIGINAL in extras else None,
        wanted=babbles if protocol == "babble" else everywhere,
        progress=progress,
    )
    if problems:
        results = judge_programs(problems, results, progress=progress)
    used = sorted({run.place for run in results})
    if not used:
        raise ConfigError("Full depth goes on past the end of the line at none of these places; ask for more of them.")
    conditions = Conditions(
        protocol=protocol,
        source="programs of HumanEval" if problems else "files of held-out packages",
        model=loaded.name,
        exits=model.exits_fingerprint,
        device=loaded.device_name,
        cost_model=cost_model.source,
        n_layers=model.n_layers,
        seeds=evaluation.seeds,
        max_new_tokens=max_new_tokens,
        notes=_notes(learned, protocol, n_drawn=len(places), n_used=len(used)),
    )
    places = [places[index] for index in used]
    listed = [arm.name for arm in arms]  # in the table's order; oracles stand at the end
    results.sort(key=lambda run: listed.index(run.arm) if run.arm in listed else len(listed))
    results = [replace(run, place=used.index(run.place)) for run in results]
    findings = findings_of(Runs(results, BASELINE), arms)
    if "assistant" in extras:
        is_reference = isinstance(model.runner, TorchRunner)
        reference = loaded if is_reference else _again(loaded, progress, reference=True)
        findings += time_assistant(reference, places, max_new_tokens=max_new_tokens, progress=progress)
    return write_report(output, conditions, places=places, arms=arms, results=results, findings=findings)


def _again(
    loaded: LoadedModel, progress: ProgressSink, *, with_trained_exits: bool = True, reference: bool = False
) -> LoadedModel:
    """The same model, loaded otherwise.

    Args:
        loaded: The model as it is loaded now.
        progress: Is called while it loads.
        with_trained_exits: False for the weights that its makers gave it: training exits adapts the layers as well.
        reference: Whether transformers' own layers run it.
    """
    files = resolve_model(loaded.name, progress=progress)
    config = EngineConfig(model=loaded.name, device=loaded.device)
    return load_model(files.name, files.path, config, with_trained_exits=with_trained_exits, reference=reference)


def _default_arms(protocol: Protocol, learned: LearnedPolicy | None) -> tuple[str, ...]:
    """What is run where nothing was asked for; without a learned policy there is no STOP to lend."""
    return tuple(pattern for pattern in _DEFAULT_ARMS[protocol] if learned or "+stop" not in pattern)


def _places(
    files: Sequence[SourceFile], evaluation: Evaluation, max_new_tokens: int
) -> tuple[list[Problem], list[Place]]:
    """Where to decode, and the problems that these places are, if they are any."""
    n_places, seeds = evaluation.n_places, evaluation.seeds
    match evaluation.protocol:
        case "kept":
            return [], sample_places(
                files, n_places, seeds=seeds, max_new_tokens=max_new_tokens, in_packages=evaluation.in_packages
            )
        case "paper":
            return [], paper_places(files, n_places, seeds=seeds, max_new_tokens=max_new_tokens)
        case "babble":
            return [], list(
                map(without_shape, sample_places(files, n_places, seeds=seeds, in_packages=evaluation.in_packages))
            )
        case "infilling":
            if evaluation.benchmark is None:
                raise ConfigError("Infilling needs the benchmark's file; name it with --benchmark.")
            drawn = draw_problems(read_problems(evaluation.benchmark), n_places, seeds=seeds)
            return [problem for problem, _ in drawn], [place for _, place in drawn]


def _notes(learned: LearnedPolicy | None, protocol: Protocol, *, n_drawn: int, n_used: int) -> tuple[str, ...]:
    notes = []
    if learned is None:
        notes.append("No learned policy fits this model: the slider is its stand-in, fixed exits.")
    if protocol == "babble":
        notes.append(
            f"Nothing but the policy, the model's end of text and the length limit ends a text here. Of {n_drawn} "
            f"places those {n_used} count where full depth goes on past the end of the line."
        )
    if protocol == "paper":
        notes.append(
            "The published savings of 23 to 50 % are against a full-depth model without a KV cache; every saving here "
            "is against one with a KV cache."
        )
    return tuple(notes)
