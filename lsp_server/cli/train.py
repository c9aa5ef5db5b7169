"""The commands `green-code train ...`: the exits, the policy, and where the server asks."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig
from engine.errors import TrainingError
from lsp_server.cli.options import DeviceOption, Model, output_file, progress_bar

if TYPE_CHECKING:
    from engine.training.exits import TrainingPlan

Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn.")]

app = typer.Typer(
    help="Trains exits, the exit policy, when to ask, and how far to trust a project; all on this machine.",
    no_args_is_help=True,
)


@app.command()
def exits(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    language: Annotated[
        Literal["python", "java"] | None, typer.Option("--language", help="One language only; both if left out.")
    ] = None,
    benchmark: Annotated[
        Path | None, typer.Option("--benchmark", help="HumanEval's file: its problems are kept out of the text.")
    ] = None,
    train_tokens: Annotated[int, typer.Option("--train-tokens", min=1000, help="How much to learn from.")] = 80_000,
    joint_tokens: Annotated[
        int, typer.Option("--joint-tokens", min=0, help="Then train exits and layers together on so much text.")
    ] = 0,
    joint_minutes: Annotated[
        float | None, typer.Option("--joint-minutes", min=0.01, help="Take less of that text, to be done in this time.")
    ] = None,
    joint_blocks: Annotated[int, typer.Option("--joint-blocks", min=1, help="Blocks of that text a step.")] = 2,
    bf16: Annotated[
        bool,
        typer.Option("--bf16", help="With --joint-tokens: in bf16, half the time on CPUs with instructions for it."),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="With --joint-tokens: compiled, a third less time, with a C++ compiler.")
    ] = False,
    further: Annotated[
        bool, typer.Option("--further", help="Go on from the exits that the model has, with text they did not learn.")
    ] = False,
    output: Annotated[Path | None, output_file("The file to write; where the model finds it if left out.")] = None,
) -> None:
    """Teaches a model's exits to decode, in a few minutes; a killed run goes on, unless several processes train.

    With --joint-tokens low-rank updates of its layers are trained as well; its own weights stay as they are.
    """
    if joint_tokens:
        _require("peft")
    from engine.training.exits import TrainingPlan
    from engine.training.joint_plan import JointPlan

    seconds = None if joint_minutes is None else 60 * joint_minutes
    joint = JointPlan(batch_blocks=joint_blocks, bf16=bf16, compiled=compiled, seconds=seconds)
    plan = TrainingPlan(train_tokens=train_tokens, joint_tokens=joint_tokens, joint=joint)
    teach_exits(
        model,
        device,
        plan=plan,
        languages=(language,) if language else None,
        benchmark=benchmark,
        output=output,
        further=further,
    )


@app.command()
def policy(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    places: Annotated[int, typer.Option("--places", min=4, help="Suggestions to learn from.")] = 1000,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Decisions of PPO on recordings.")] = 300_000,
    closed_loop_steps: Annotated[
        int, typer.Option("--closed-loop-steps", min=0, help="Decisions of PPO on the real decoder.")
    ] = 4000,
    seed: Seed = 0,
    output: Annotated[Path | None, output_file("The file to write; where the model finds it if left out.")] = None,
) -> None:
    """Teaches a policy when to leave, check and stop, for any green mode: a quarter of an hour on two cores."""
    _require("stable_baselines3")
    from engine.corpus.datasets import gather_corpus
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model
    from engine.policy.learned import POLICY
    from engine.training.policy.plan import PolicyPlan
    from engine.training.policy.policy_training import train_policy
    from engine.training.policy.ppo import PpoPlan
    from engine.training.policy.slider import validation_table

    plan = PolicyPlan(
        places=places,
        validation_places=max(4, min(150, places // 4)),
        table_places=min(40, max(4, places // 4)),
        text_tokens=min(24_000, 60 * places),
        ppo=PpoPlan(steps=steps),
        closed_loop_steps=closed_loop_steps,
        seed=seed,
    )
    with progress_bar(counting=True) as progress:
        files = resolve_model(model, progress=progress)
        corpus = gather_corpus(progress=progress)
        loaded = load_model(files.name, files.path, EngineConfig(model=model, device=device))
        path = output or POLICY.own_path(files.name)
        trained = train_policy(loaded, corpus, path, plan=plan, progress=progress)
    console = Console()
    for stage, reward in trained.stages.items():
        kept = " (kept)" if stage == trained.chosen else ""
        console.print(f"Mean validation reward, {stage}: {reward:.3f}{kept}", highlight=False, soft_wrap=True)
    console.print(validation_table(trained.table), highlight=False, markup=False, soft_wrap=True)
    console.print(f"The policy is in {path}", highlight=False, soft_wrap=True)


@app.command()
def acceptance(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    n_files: Annotated[int, typer.Option("--files", min=5, help="Files to ask in, 24 places each.")] = 200,
    seed: Seed = 0,
    output: Annotated[Path | None, output_file("The file to write; where the server finds it if left out.")] = None,
) -> None:
    """Teaches the server where a suggestion is likely kept, so that it need not ask elsewhere: ten minutes."""
    _require("sklearn")
    from engine.completion.acceptance import ACCEPTANCE
    from engine.corpus.datasets import gather_corpus
    from engine.model.sources.store import resolve_model
    from engine.training.acceptance_fit import ask_places, fit_acceptance

    path = output or ACCEPTANCE.own_path
    with progress_bar(counting=True) as progress:
        resolve_model(model, progress=progress)  # refuses what is no model before text is gathered
        corpus = gather_corpus(progress=progress)
        config = EngineConfig(model=model, device=device)
        asked = ask_places(config, corpus.files["train"], n_files, seed=seed, progress=progress)
    fitted = fit_acceptance(asked, model=model, corpus=corpus)
    ACCEPTANCE.save(fitted.model, path)
    Console().print(
        f"{len(asked)} places, {fitted.model.mean:.0%} of their suggestions would be kept. In files not seen: "
        f"AUC {fitted.auc:.3f}; the likelier half of the places holds {fitted.kept_by_half:.0%} of them.\n"
        f"It is in {path}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def project(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    blocks: Annotated[int, typer.Option("--blocks", min=1, help="Files to read of each package.")] = 10,
    language: Annotated[
        Literal["python", "typescript"] | None,
        typer.Option("--language", help="One language only; both if left out."),
    ] = None,
    seed: Seed = 0,
    output: Annotated[Path | None, output_file("The file to write; where the server finds it if left out.")] = None,
) -> None:
    """Teaches how far to trust what a project says, beside the model and alone: ten minutes."""
    from engine.corpus.datasets import RECENT_LANGUAGES, gather_recent
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model
    from engine.project.trust import TRUST
    from engine.training.trust_fit import fit_trust
    from engine.training.trust_observations import observe
    from engine.training.trust_quality import trust_table

    path = output or TRUST.own_path
    with progress_bar(counting=True) as progress:
        found = resolve_model(model, progress=progress)
        files = gather_recent((language,) if language else RECENT_LANGUAGES, progress=progress)
        loaded = load_model(found.name, found.path, EngineConfig(model=model, device=device), progress=progress)
        observed = observe(loaded, files, blocks_a_package=blocks, seed=seed, progress=progress)
        fitted = fit_trust(observed, model=model, progress=progress)
    TRUST.save(fitted.trust, path)
    console = Console()
    console.print("In packages not seen:", highlight=False)
    console.print(trust_table(fitted.by_language), highlight=False, markup=False, soft_wrap=True)
    console.print(f"How far to trust a project is in {path}", highlight=False, soft_wrap=True)


def teach_exits(
    model: str,
    device: DeviceChoice,
    *,
    plan: TrainingPlan | None = None,
    languages: tuple[Literal["python", "java"], ...] | None = None,
    benchmark: Path | None = None,
    output: Path | None = None,
    further: bool = False,
) -> None:
    """Fetches a model if need be, trains its exits, and says how good each of them is before and after.

    Args:
        model: A model of the hub, or a folder with one.
        device: Where the model runs.
        plan: How much is done; None for the default.
        languages: Languages of the training text; None for all.
        benchmark: A file with problems that must not occur in the text.
        output: The file to write; None for where the model finds it.
        further: Whether to go on from the exits that the model has.

    Raises:
        EngineError: If the model or the text cannot be had, or the training fails.
    """
    from engine.corpus.datasets import CORPUS_LANGUAGES, gather_corpus
    from engine.model.families import FAMILIES
    from engine.model.loading import load_model
    from engine.model.reference.trained_exits import find_trained_exits
    from engine.model.sources.model_folder import settings_of
    from engine.model.sources.store import resolve_model
    from engine.model.trained_exit_files import TRAINED_EXITS
    from engine.training.agreement import quality_table
    from engine.training.exits import TrainingPlan, train_exits
    from engine.training.model_card import model_card

    plan, wanted = plan or TrainingPlan(), languages or CORPUS_LANGUAGES
    with progress_bar() as progress:
        files = resolve_model(model, progress=progress)
    with progress_bar(counting=True) as progress:
        corpus = gather_corpus(languages=wanted, benchmarks=(benchmark,) if benchmark else (), progress=progress)
        config = EngineConfig(model=model, device=device)
        loaded = load_model(files.name, files.path, config, with_trained_exits=False, reference=True)
        path = output or TRAINED_EXITS.own_path(files.name)
        start = find_trained_exits(files.name, loaded.model.fingerprint) if further else None
        if further and start is None:
            raise TrainingError(f"The model {files.name} has no trained exits to go on from: leave out --further.")
        if start is not None and start.updates:
            plan = replace(plan, joint=plan.joint.going_on())
        trained = train_exits(loaded, corpus, path, plan=plan, start=start, progress=progress)
    licence = FAMILIES[settings_of(files.path)["model_type"]].licence
    path.with_suffix(".md").write_text(model_card(trained, licence=licence, languages=wanted), encoding="utf-8")
    console = Console()
    console.print(quality_table(trained.before, trained.after), highlight=False, markup=False, soft_wrap=True)
    if trained.refused is not None:
        console.print(
            "The joint training made the last layer worse; the layers stay as they were. On the validation text:\n"
            + quality_table(*trained.refused),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    console.print(
        f"The trained exits are in {path}, and what to know of them is beside it", highlight=False, soft_wrap=True
    )


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise TrainingError("This training needs more packages: pip install 'green-code[train]'.")
