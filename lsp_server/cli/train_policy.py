"""The command `green-code train policy`; registered by `lsp_server.cli.app`, on whose `train` group it stands."""

from __future__ import annotations

import importlib.util
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, DeviceChoice, EngineConfig
from engine.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from engine.types import ProgressSink


def register(train_app: typer.Typer, progress_bar: Callable[[], AbstractContextManager[ProgressSink]]) -> None:
    """Adds the command to the `train` group.

    Args:
        train_app: The group.
        progress_bar: Opens a bar that counts steps.
    """

    @train_app.command("policy")
    def train_policy(
        model: Annotated[
            str, typer.Option("--model", help=f"{DEFAULT_MODEL}, a Hugging Face id, or a folder.", metavar="ID")
        ] = DEFAULT_MODEL,
        device: Annotated[DeviceChoice, typer.Option("--device", help="Where the model runs.")] = "auto",
        places: Annotated[int, typer.Option("--places", min=4, help="Suggestions to learn from.")] = 1000,
        steps: Annotated[int, typer.Option("--steps", min=0, help="Decisions of PPO on recordings.")] = 300_000,
        closed_loop_steps: Annotated[
            int, typer.Option("--closed-loop-steps", min=0, help="Decisions of PPO on the real decoder.")
        ] = 4000,
        seed: Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")] = 0,
        output: Annotated[
            Path | None, typer.Option("--output", help="The file to write; where the model finds it if left out.")
        ] = None,
    ) -> None:
        """Teaches a policy when to leave, check and stop, for any green mode: a quarter of an hour on two cores."""
        if importlib.util.find_spec("stable_baselines3") is None:
            raise TrainingError("Training a policy needs more packages: pip install 'green-code[train]'.")
        _train_policy(
            progress_bar,
            EngineConfig(model=model, device=device),
            places=places,
            steps=steps,
            closed_loop_steps=closed_loop_steps,
            seed=seed,
            output=output,
        )


def _train_policy(
    progress_bar: Callable[[], AbstractContextManager[ProgressSink]],
    config: EngineConfig,
    *,
    places: int,
    steps: int,
    closed_loop_steps: int,
    seed: int,
    output: Path | None,
) -> None:
    from engine.corpus.datasets import gather_corpus
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model
    from engine.policy.learned import own_policy_path
    from engine.training.policy.ppo import PpoPlan
    from engine.training.policy.slider import validation_table
    from engine.training.policy.train import PolicyPlan, train_policy

    plan = PolicyPlan(
        places=places,
        validation_places=max(4, min(150, places // 4)),
        table_places=min(40, max(4, places // 4)),
        text_tokens=min(24_000, 60 * places),
        ppo=PpoPlan(steps=steps),
        closed_loop_steps=closed_loop_steps,
        seed=seed,
    )
    with progress_bar() as progress:
        corpus = gather_corpus(progress=progress)
        files = resolve_model(config.model, progress=progress)
        loaded = load_model(files.name, files.path, config)
        path = output or own_policy_path(files.name)
        trained = train_policy(loaded, corpus, path, plan=plan, progress=progress)
    console = Console()
    for stage, reward in trained.stages.items():
        kept = " (kept)" if stage == trained.chosen else ""
        console.print(f"Mean validation reward, {stage}: {reward:.3f}{kept}", highlight=False, soft_wrap=True)
    console.print(validation_table(trained.table), highlight=False, markup=False, soft_wrap=True)
    console.print(f"The policy is in {path}", highlight=False, soft_wrap=True)
