"""What the command line prints: completions in colour, JSON, tables. Computes nothing about models or energy itself."""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

import engine as engine_package
from engine.config import EngineConfig, cache_dir, data_dir
from engine.energy.accounting import add_readings
from engine.errors import EngineError
from engine.types import CompletionRequest, Phase, Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from engine.config import DeviceChoice
    from engine.energy.cost_model import DeviceCostModel
    from engine.engine import Engine
    from engine.model.sources.store import StoredModel
    from engine.types import Completion, EnergyReading

BASELINE = "full depth with KV cache"

_LANGUAGES = {
    ".c": "c", ".cpp": "cpp", ".cs": "csharp", ".go": "go", ".java": "java", ".js": "javascript", ".kt": "kotlin",
    ".py": "python", ".rb": "ruby", ".rs": "rust", ".sh": "shellscript", ".ts": "typescript",
}  # fmt: skip
_CUT_AFTER = re.compile(r"\S.*?(?:= |return |\(|\bif |\bin )")  # where people wait for a suggestion
_CONTEXT_LINES = 3


def language_of(path: Path) -> str:
    """The editor's language identifier for a file; "" when unknown."""
    return _LANGUAGES.get(path.suffix.lower(), "")


def demo_file() -> Path:
    """A source file that is on every machine with Green Code: its own decoder."""
    return Path(engine_package.__file__).parent / "decoding" / "decoder.py"


def completion_json(completion: Completion) -> str:
    """One line of JSON; unknown is null."""
    energy = completion.energy
    return json.dumps(
        {
            "text": completion.text,
            "finish_reason": completion.finish_reason.value,
            "tokens": [{"text": token.text, "exit_layer": token.exit_layer} for token in completion.tokens],
            "layers_total": completion.layers_total,
            "mean_exit_layer": completion.mean_exit_layer,
            "elapsed_s": completion.elapsed_s,
            "first_token_s": completion.first_token_s,
            "energy_j": energy.energy_j,
            "energy_provenance": energy.provenance.value,
            "energy_source": energy.source,
            "energy_by_phase_j": {phase.value: joules for phase, joules in energy.by_phase.items()},
            "baseline_energy_j": completion.baseline_energy_j,
            "baseline": BASELINE,
            "prompt_tokens": completion.prompt_tokens,
            "reused_tokens": completion.reused_tokens,
            "model": completion.model,
            "device": completion.device,
            "policy": completion.policy,
            "green_mode": completion.green_mode,
        }
    )


def show_completion(console: Console, prefix: str, completion: Completion) -> None:
    """The cursor's line with its ghost text, the exit layer of each token, and what it cost."""
    before = prefix.split("\n")[-_CONTEXT_LINES:]
    ghost = completion.text or "(nothing worth showing)"
    console.print(Text.assemble(("\n".join(before), "dim"), (ghost, "bold green" if completion.text else "dim italic")))
    if completion.tokens:
        console.print(_exit_layers(completion), soft_wrap=True)
    console.print(f"  {_cost(completion)}", highlight=False, soft_wrap=True)


def demo(
    console: Console, engine: Engine, path: Path, text: str, *, n_places: int, green_mode: int, policy: str | None
) -> None:
    """Completes places spread over a file, each without what follows on its line, and adds up what it cost."""
    console.print(
        f"[bold]{escape(engine.model_name)}[/] on {escape(engine.device_name)}, {engine.layers_total} layers, "
        f"green mode {green_mode}; joules: {_meter_line(engine)}",
        soft_wrap=True,
    )
    completions = []
    for line, column in _places(text, n_places):
        lines = text.split("\n")
        prefix = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])
        suffix = "\n" + "\n".join(lines[line:])
        console.rule(Text(f"{path.name}:{line}:{column}"), align="left", style="dim")
        completion = engine.complete(
            CompletionRequest(
                prefix=prefix, suffix=suffix, language_id=language_of(path), green_mode=green_mode, policy=policy
            )
        )
        show_completion(console, prefix, completion)
        console.print(Text(f"  the file goes on: {lines[line - 1][column - 1 :]}", "dim"), soft_wrap=True)
        completions.append(completion)
    console.rule("[bold]in all", align="left", style="dim")
    console.print(_totals(completions), soft_wrap=True)


def doctor(console: Console, model: str, device: DeviceChoice) -> None:
    """What was found and what was refused; a part that fails is told and does not hide the others."""
    console.print(f"Green Code {version('green-code')}, Python {platform.python_version()}", highlight=False)
    for name in ("torch", "transformers", "pygls"):
        console.print(f"  {name} {version(name)}", highlight=False)
    console.print(f"  models in {cache_dir()}\n  ledger in {data_dir()}", highlight=False, soft_wrap=True)
    try:
        from engine.engine import load_engine

        engine = load_engine(EngineConfig(model=model, device=device))
    except EngineError as error:
        console.print(f"[red]model[/]   {escape(str(error))}", highlight=False, soft_wrap=True)
        return
    exits = ", ".join(map(str, engine.exit_layers))
    console.print(f"[green]model[/]   {escape(engine.model_name)}, {engine.layers_total} layers, exits after {exits}")
    console.print(f"[green]device[/]  {escape(engine.device_name)}", highlight=False)
    if engine.kernels_refused is not None:
        console.print(f"        {escape(engine.kernels_refused)}", highlight=False, soft_wrap=True)
    console.print(f"[green]energy[/]  {escape(_meter_line(engine))}", highlight=False, soft_wrap=True)
    for reason in engine.meter_report.refused:
        console.print(f"        not used: {escape(reason)}", highlight=False, soft_wrap=True)
    engine.close()


def show_cost_model(console: Console, model: DeviceCostModel) -> None:
    """The joules of each unit of work, as fitted."""
    table = Table("work", "joules", box=None)
    table.add_row("prompt token", f"{model.prefill_token_j:.4g}")
    table.add_row("decoded token, beside its layers", f"{model.token_j:.4g}")
    table.add_row("layer", f"{model.layer_pass_j:.4g}")
    table.add_row("LM head", f"{model.head_pass_j:.4g}")
    console.print(table)
    error = "unknown" if model.relative_error is None else f"{model.relative_error:.1%}"
    console.print(f"{model.source}; mean relative error {error}", highlight=False, soft_wrap=True)


def show_models(console: Console, models: Sequence[StoredModel]) -> None:
    """A table of the models on this machine."""
    if not models:
        console.print("No model is on this machine yet; fetch the default one with `green-code models pull`.")
        return
    table = Table("model", "size", "licence", "source", box=None)
    for model in models:
        table.add_row(model.name, f"{model.size_bytes / 1e6:.0f} MB", model.licence or "unknown", model.source)
    console.print(table)


def _places(text: str, n_places: int) -> list[tuple[int, int]]:
    """Lines and columns from 1, spread evenly over the lines that can be cut where a person would pause."""
    cuts = [
        (number, match.end() + 1)
        for number, line in enumerate(text.split("\n"), start=1)
        if (match := _CUT_AFTER.search(line)) and line[match.end() :].strip()
    ]
    later = cuts[len(cuts) // 10 :]  # the first lines give the model nothing to go on
    stride = max(1, len(later) // n_places)
    return later[::stride][:n_places]


def _exit_layers(completion: Completion) -> Text:
    line = Text("  ")
    for token in completion.tokens:
        share = token.exit_layer / completion.layers_total
        colour = "green" if share < 0.75 else "yellow" if share < 1.0 else "red"  # noqa: PLR2004 - thirds of a traffic light
        line.append(token.text.replace("\n", "⏎").replace(" ", "·") or "∅", "reverse dim")
        line.append(f"{token.exit_layer} ", colour)
    return line


def _cost(completion: Completion) -> str:
    energy = completion.energy
    parts = [f"{len(completion.tokens)} tokens", f"{completion.elapsed_s:.2f} s", _joules(energy)]
    if completion.mean_exit_layer is not None:
        parts.insert(1, f"mean exit {completion.mean_exit_layer:.1f} of {completion.layers_total} layers")
    return " · ".join([*parts, _saved(energy, completion.baseline_energy_j)])


def _joules(energy: EnergyReading) -> str:
    return "energy unknown" if energy.energy_j is None else f"{energy.energy_j:.2f} J {energy.provenance.value}"


def _saved(energy: EnergyReading, baseline_j: float | None) -> str:
    if energy.energy_j is None or not baseline_j:
        return f"saving against {BASELINE} unknown"
    percent = round(100 * (1.0 - energy.energy_j / baseline_j))
    if not percent:
        return f"as much as {BASELINE} (modelled)"
    return f"{abs(percent)} % {'saved' if percent > 0 else 'more'} against {BASELINE} (modelled)"


def _totals(completions: Sequence[Completion]) -> Text:
    energy = add_readings(completion.energy for completion in completions)
    baselines = [completion.baseline_energy_j for completion in completions]
    baseline_j = None if None in baselines else sum(joules for joules in baselines if joules is not None)
    n_tokens = sum(len(completion.tokens) for completion in completions)
    phases = ", ".join(f"{phase.value} {energy.by_phase.get(phase, 0.0):.2f} J" for phase in Phase)
    lines = [f"{n_tokens} tokens · {energy.elapsed_s:.2f} s · {_joules(energy)} · {_saved(energy, baseline_j)}"]
    if energy.energy_j is not None:
        lines.append(f"by phase (modelled): {phases}")
    if energy.provenance is Provenance.MODELLED:
        lines.append(f"No energy counter could be read here; joules are work × {energy.source}.")
    return Text("\n".join(lines))


def _meter_line(engine: Engine) -> str:
    report = engine.meter_report
    return report.source if report.meter is not None else f"modelled ({report.source})"
