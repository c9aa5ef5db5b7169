"""What the command line prints: completions in colour, JSON, tables. It runs nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from engine.sentences import Sentence
from engine.types import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, JustifyMethod

    from engine.engine import Engine
    from engine.errors import EngineError
    from engine.evaluation.begun_words import WordShares
    from engine.evaluation.decode_report import DecodeReport
    from engine.evaluation.shapes import ShapeReport
    from engine.model.sizes import ModelSizes
    from engine.model.sources.store import StoredModel
    from engine.recommendation import Machine, Recommendation
    from engine.types import Completion, EnergyReading
    from lsp_server.cli.tested_versions import UntriedVersion
    from lsp_server.protocol import SessionEnergy
    from lsp_server.replay.replay import ReplayRun
    from lsp_server.translation import Say

BASELINE_WORDS = "full depth with KV cache"
UNKNOWN = "-"

_CONTEXT_LINES = 3
_WIDE = 150  # columns of a table of models with reasons; a narrower terminal breaks its lines


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
            "energy_range_j": energy.range_j,
            "energy_provenance": energy.provenance.value,
            "energy_source": energy.source,
            "energy_by_phase_j": {phase.value: joules for phase, joules in energy.by_phase.items()},
            "baseline_energy_j": completion.baseline_energy_j,
            "baseline": BASELINE_WORDS,
            "saved_j": completion.saved_j,
            "saved_range_j": completion.saved_range_j,
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
    console.print(Text.assemble(("\n".join(before), "dim"), (completion.text, "bold green")))
    if not completion.text:
        console.print("  nothing worth showing", style="dim italic")
    if completion.tokens:
        if completion.layers_total is not None:
            console.print("  each token, and the layers it took:", style="dim", highlight=False)
        console.print(_exit_layers(completion), soft_wrap=True)
    console.print(f"  {_cost(completion)}", highlight=False, soft_wrap=True)


def show_engine(console: Console, engine: Engine, green_mode: int) -> None:
    """One line on what completes."""
    console.print(
        f"[bold]{escape(engine.model_name)}[/] on {escape(engine.device_name)}, {engine.layers_total} layers, "
        f"green mode {green_mode}",
        soft_wrap=True,
    )


def show_typed(console: Console, run: ReplayRun, session: SessionEnergy) -> None:
    """What a person typed, what of it was suggested, and what that cost."""
    share, costs = round(100 * run.kept_chars / run.typed_chars), run.costs
    typed = f"{counted(run.typed_chars, 'character')}, {run.kept_chars} of them ({share} %) from suggestions"
    computed = f"{counted(costs.computed, 'suggestion')} computed, {costs.reused} from memory"
    lines = [
        f"{typed}; {counted(run.keys, 'key')} struck",
        f"{computed}, {counted(costs.skipped, 'place')} left alone",
    ]
    if session.mean_exit_layer is not None:
        layers = f"a token took {session.mean_exit_layer:.1f} of {session.layers_total} layers"
        lines.append(f"{layers}; 0 where the project has said the same before")
    if costs.computed:
        lines.append(", ".join(_typed_energy(run, session)))
    if costs.provenance == Provenance.MODELLED.value:
        lines.append(
            f"No energy counter could be read here. Joules are {costs.provenance}: {session.source}; "
            "`green-code calibrate --power-w W` fits them to what this machine takes."
        )
    console.rule("[bold]in all", align="left", style="dim")
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _typed_energy(run: ReplayRun, session: SessionEnergy) -> Iterator[str]:
    energy_j = run.costs.energy_j
    if energy_j is None:
        yield "energy unknown"
        return
    yield f"{energy_j:.3g} J {run.costs.provenance}"
    if run.kept_chars:
        yield f"{energy_j / run.kept_chars:.2g} J a kept character"
    if run.costs.wasted_j is not None and energy_j:
        yield f"{round(100 * run.costs.wasted_j / energy_j)} % for text of which nothing was kept"
    if session.saved_j is not None and session.baseline_energy_j:
        saved = min(99, round(100 * session.saved_j / session.baseline_energy_j))
        ends = between(session.saved_low_j, session.saved_high_j)
        told = f"{joules(session.saved_j)} ({ends})" if ends else joules(session.saved_j)
        yield f"{told} or {saved} % less than the same suggestions at {BASELINE_WORDS} (modelled)"


def show_parts(console: Console, engine: Engine, say: Say = str) -> None:
    """Model, device and meter of an engine, and what was refused and why, in the reader's language."""
    model = Sentence(
        "{name}, {n} layers, exits after {exits}",
        name=engine.model_name,
        n=engine.layers_total,
        exits=", ".join(map(str, engine.exit_layers)),
    )
    refused = [Sentence("not used: {reason}", reason=reason) for reason in engine.meters_refused]
    for title, lines in (
        (Sentence("model"), (model, engine.format_refused)),
        (Sentence("device"), (engine.device_name, engine.kernels_refused)),
        (Sentence("energy"), (engine.energy_source, *refused)),
    ):
        start = f"[green]{say(title):<8}[/]"
        for line in filter(None, lines):
            console.print(f"{start}{escape(say(line))}", highlight=False, soft_wrap=True)
            start = " " * 8


def show_untried(console: Console, untried: Sequence[UntriedVersion] | None, say: Say = str) -> None:
    """The packages in versions that this release was not tested with."""
    if untried is None:
        told = say(Sentence("tested versions unknown: this installation does not list them"))
        console.print(f"  {told}", highlight=False)
    elif not untried:
        console.print(f"  {say(Sentence('every package in the version this was tested with'))}", highlight=False)
    for package in untried or ():
        line = Sentence("{name} {installed} is untried; this was tested with {tested}", **package._asdict())
        console.print(f"  [yellow]{escape(say(line))}[/]", highlight=False, soft_wrap=True)


def show_missing_model(console: Console, error: EngineError, say: Say = str) -> None:
    """Why there is no engine."""
    console.print(f"[red]{say(Sentence('model')):<8}[/]{escape(say(error.sentence))}", highlight=False, soft_wrap=True)


def show_models(console: Console, models: Sequence[StoredModel]) -> None:
    """A table of the models on this machine."""
    if not models:
        console.print("No model is on this machine yet; fetch the default one with `green-code models pull`.")
        return
    table = Table("model", "size", "licence", "source", box=None)
    for model in models:
        table.add_row(model.name, f"{model.size_bytes / 1e6:.0f} MB", model.licence or "unknown", model.source)
    console.print(table)


def show_needs(console: Console, name: str, sizes: ModelSizes, *, teaching_s: float | None = None) -> None:
    """What a model takes, before anything is done."""
    line = f"{name} has {sizes.n_params / 1e9:.2g} billion weights: about {sizes.needs.in_words()}"
    if teaching_s is not None:
        minutes, memory = max(1, round(teaching_s / 60)), sizes.needs.teaching_bytes / 1e9
        line += f"; teaching its exits takes about {minutes} min and {memory:.1f} GB of memory on this CPU"
    console.print(f"{line}.", highlight=False, markup=False, soft_wrap=True)


def show_recommendations(console: Console, recommendations: Sequence[Recommendation], machine: Machine) -> None:
    """The known models, what each would take here, and the one that is advised."""
    table = Table(box=None)
    for column in ("", "model", "both sides", "download", "memory", "a token, ms", "a token, J", "licence", "here"):
        justify: JustifyMethod = "right" if column.startswith(("download", "memory", "a token")) else "left"
        table.add_column(column, justify=justify, no_wrap=column == "model")  # a name that is cut names nothing
    for each in recommendations:
        table.add_row(
            "→" if each.is_advised else "",
            Text(each.model.name, "bold" if each.is_advised else ""),
            "yes" if each.model.format is not None else "no",
            f"{each.download_bytes / 1e9:.1f} GB",
            f"{each.model.sizes.needs.running_bytes / 1e9:.1f} GB",
            f"{each.token_ms:.0f}",
            f"{each.token_j:.2f}",
            each.model.licence,
            (each.why_not or ("advised" if each.is_advised else "well"))
            + (", needs PyTorch" if each.lacks_torch else ""),
        )
    console.width = max(console.width, _WIDE)
    console.print(table)
    speeds = f"{machine.core_bytes_per_s / 1e9:.1f} GB/s on one core, {machine.bytes_per_s / 1e9:.1f} GB/s on all"
    console.print(
        f"Predicted at full depth from each model's bytes and this machine's own bandwidth, {speeds}; joules are "
        "modelled. Both sides: whether it reads what stands behind the cursor.",
        highlight=False,
        soft_wrap=True,
    )


def decode_table(report: DecodeReport) -> Table:
    """Runners, green modes and depths of a measurement of decoding."""
    table = Table(title=f"{report.model} on {report.device}")
    for column in ("", "prefill of 256, ms", "a token, ms", "CPU ms a token"):
        table.add_column(column, justify="left" if not column else "right")
    for name, runner in report.runners.items():
        table.add_row(
            f"{name}, full depth" if name.startswith("green-code") else name,
            f"{runner.prefill_ms:.0f}",
            f"{runner.decode_ms:.1f}",
            f"{runner.decode_cpu_ms:.1f}",
        )
    for mode, token in report.by_green_mode.items():
        name = f"green-code, green mode {mode}, real suggestions"
        table.add_row(name, "", f"{token.decode_ms:.1f}", f"{token.decode_cpu_ms:.1f}")
    for depth, time_ms in report.by_depth_ms.items():
        table.add_row(f"green-code, exit after layer {depth}", "", f"{time_ms:.1f}", "")
    return table


def shape_table(report: ShapeReport) -> Table:
    """What a model of random weights takes."""
    peak = "" if report.peak_bytes is None else f", {report.peak_bytes / 1e6:,.0f} MB at the peak before"
    peer = report.peer
    table = Table(
        title=f"{report.name}'s sizes, random weights, {report.device}: {report.resident_bytes / 1e6:,.0f} MB with an "
        f"engine{peak}; 256 tokens of prompt {report.prefill_ms:,.0f} ms",
        caption=f"Of {peer.name}'s time: full-depth decode {peer.decode}, prefill {peer.prefill}" if peer else None,
    )
    for column in ("layers", "a token, ms", "a token, J (modelled)"):
        table.add_column(column, justify="right")
    for depth, time_ms in report.by_depth_ms.items():
        table.add_row(str(depth), f"{time_ms:.1f}", f"{report.by_depth_j[depth]:.3f}")
    return table


def words_table(rows: Sequence[WordShares]) -> Table:
    """What is offered inside words, by green mode and letters typed."""
    table = Table(title=f"{rows[0].n_words} words: share, with 95 % intervals over files and words")
    for column in ("green mode", "letters typed", "right", "wrong", "nothing"):
        table.add_column(column, justify="right")
    for row in rows:
        shares = (row.right, row.wrong, row.nothing)
        table.add_row(str(row.green_mode), str(row.letters), *(share.as_percent() for share in shares))
    return table


def windows_table(lines: Sequence[tuple[str, ...]]) -> Table:
    """What windows took, each with an engine of its own, and all with a shared one."""
    table = Table()
    table.add_column("")
    for column in ("each its own", "shared", "beside it"):
        table.add_column(column, justify="right")
    for line in lines:
        table.add_row(*line)
    return table


def _exit_layers(completion: Completion) -> Text:
    line = Text("  ")
    for token in completion.tokens:
        line.append(token.text.replace("\n", "⏎").replace(" ", "·") or "∅", "reverse dim")
        if token.exit_layer is None or completion.layers_total is None:
            continue
        share = token.exit_layer / completion.layers_total
        colour = "green" if share < 0.75 else "yellow" if share < 1.0 else "red"  # noqa: PLR2004 - thirds of a traffic light
        line.append(f"{token.exit_layer} ", colour)
    return line


def _cost(completion: Completion) -> str:
    energy = completion.energy
    parts = [counted(len(completion.tokens), "token"), f"{completion.elapsed_s:.2f} s", _joules(energy)]
    if completion.mean_exit_layer is not None:
        parts.insert(1, f"mean exit {completion.mean_exit_layer:.1f} of {completion.layers_total} layers")
    return " · ".join([*parts, _saved(completion)])


def _joules(energy: EnergyReading) -> str:
    if energy.energy_j is None:
        return "energy unknown"
    told = f"{energy.energy_j:.2f} J {energy.provenance.value}"
    return told if energy.range_j is None else f"{told} ({between(*energy.range_j)})"


def _saved(completion: Completion) -> str:
    saved_j, ends_j, baseline_j = completion.saved_j, completion.saved_range_j, completion.baseline_energy_j
    if saved_j is None or ends_j is None or not baseline_j:
        return f"saving against {BASELINE_WORDS} unknown"
    percent = round(100 * saved_j / baseline_j)
    if not percent:
        return f"as much as {BASELINE_WORDS} (modelled)"
    word, sign = ("saved", 1) if percent > 0 else ("more", -1)
    told_j = f"{joules(sign * saved_j)} ({between(*sorted(sign * end_j for end_j in ends_j))})"
    return f"{abs(percent)} % {word}, {told_j}, against {BASELINE_WORDS} (modelled)"


def counted(n: int, thing: str) -> str:
    """How many of a thing, whose name takes an s."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def joules(energy_j: float | None) -> str:
    """Joules for people; a dash where they are not known."""
    if energy_j is None:
        return UNKNOWN
    return f"{energy_j / 1000:.2f} kJ" if abs(energy_j) >= 1000 else f"{energy_j:.3g} J"  # noqa: PLR2004


def between(low_j: float | None, high_j: float | None) -> str:
    """Between which joules the truth is likely to lie, "1.2 to 18 J"; "" where that is not known."""
    if low_j is None or high_j is None:
        return ""
    unit, scale = ("kJ", 1000.0) if max(abs(low_j), abs(high_j)) >= 1000 else ("J", 1.0)  # noqa: PLR2004
    return f"{two_digits(low_j / scale)} to {two_digits(high_j / scale)} {unit}"


def two_digits(value: float) -> str:
    """A number with two significant digits and no exponent."""
    return f"{float(f'{value:.2g}'):.15g}"
