"""The commands `green-code reproduce ...`: published experiments, with any supported model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from engine.config import DEFAULT_MODEL, EngineConfig, data_dir
from engine.errors import ConfigError
from lsp_server.cli.options import DeviceOption, Model, PrecisionOption, listed, output_folder, progress_bar

if TYPE_CHECKING:
    from engine.config import Device
    from engine.corpus.source_text import SourceFile
    from engine.evaluation.request_bins import RequestBin, Trace
    from engine.evaluation.spending import Spending

_HELD_OUT_FILES = 60

DataSet = Literal["held-out", "held-out-python", "held-out-java", "py150", "javacorpus"]

Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; one for each physical core if left out.")
]
Rounds = Annotated[int, typer.Option("--rounds", min=2, help="How often each is measured, all taking turns.")]
Output = Annotated[Path, output_folder("The folder for page, table and numbers; a run goes on there.")]

app = typer.Typer(help="Runs published experiments again, with any supported model.", no_args_is_help=True)


@app.callback()
def reproduce() -> None:
    """Runs published experiments again, with any supported model."""


@app.command("green-code")
def green_code(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    data_set: Annotated[
        DataSet, typer.Option("--data-set", help="Held-out packages, or one of the paper's, from the hub or --file.")
    ] = "held-out",
    file: Annotated[
        Path | None, typer.Option("--file", help="The paper's data set in a file: text, JSON lines or Parquet.")
    ] = None,
    places: Annotated[int, typer.Option("--places", min=2, help="Completions of each kind.")] = 40,
    output: Annotated[Path, output_folder("The folder for page, table and numbers.")] = Path("reproduction"),
) -> None:
    """Early exit against full depth with and without a KV cache, as GREEN-CODE did it; its figures beside ours."""
    from engine.corpus.datasets import gather_corpus
    from engine.energy.detect import detect_meter
    from engine.evaluation.metrics import check_libraries
    from engine.evaluation.reproduction import data_set_places
    from engine.evaluation.reproduction import reproduce as run
    from engine.evaluation.reproduction_page import write_reproduction
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model

    check_libraries()
    with progress_bar(counting=True) as progress:
        files = resolve_model(model, progress=progress)
        config = EngineConfig(model=model, device=device, precision=precision)
        loaded = load_model(files.name, files.path, config, progress=progress)
        held_out: tuple[SourceFile, ...] = ()
        if data_set.startswith("held-out"):
            held_out = gather_corpus(progress=progress).files["test"]
        drawn = data_set_places(data_set, loaded, places, file=file, held_out=held_out)
        rows = run(loaded, drawn, meter=detect_meter(loaded.device).meter, progress=progress)
    text = write_reproduction(
        output, rows, model=loaded.name, device=loaded.device_name, data_set=data_set, n_places=len(drawn)
    )
    _show(text, output)


@app.command("decoding-energy")
def decoding_energy(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: Threads = None,
    prompt_tokens: Annotated[
        str, typer.Option("--prompt-tokens", help="Lengths of prompts to decode behind, comma-separated.")
    ] = "16,64,256,1024,2048",
    rounds: Rounds = 5,
    human_eval: Annotated[
        Path | None, typer.Option("--human-eval", help="HumanEval.jsonl, gzipped or not; from the hub if left out.")
    ] = None,
    problems: Annotated[
        int, typer.Option("--problems", min=0, help="Problems of HumanEval, and of each task of LongBench.")
    ] = 60,
    run_programs: Annotated[
        bool,
        typer.Option(
            "--run-programs", help="Runs what the model wrote, for pass@1: in a process with limits, without network."
        ),
    ] = False,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Of a function.")] = 256,
    long_bench: Annotated[
        str | None,
        typer.Option("--long-bench", help="LongBench's data.zip, lcc.jsonl or repobench-p.jsonl; or 'hub'."),
    ] = None,
    most_prompt_tokens: Annotated[
        int, typer.Option("--most-prompt-tokens", min=16, help="LongBench's longer prompts lose their middle.")
    ] = 2048,
    output: Output = Path("reproduction/decoding-energy"),
) -> None:
    """Prefill and decode apart, decode by the prompt's length, and babbling, as in Decoding the Energy."""
    from engine.evaluation.answers import Answers, AnswerSample
    from engine.evaluation.decoding_energy import summarise
    from engine.evaluation.decoding_energy_page import write_decoding_energy
    from engine.evaluation.human_eval import fetch_functions, read_functions
    from engine.evaluation.long_bench import draw_long_problems, fetch_long_problems, read_long_problems
    from engine.evaluation.metrics import check_libraries
    from engine.evaluation.phase_costs import PhaseSample, measure_phases
    from engine.evaluation.resuming import KeptSamples
    from engine.model.loading import load_model
    from engine.model.sources.store import resolve_model

    check_libraries()
    lengths = _numbers(prompt_tokens)
    functions = [] if not problems else fetch_functions() if human_eval is None else read_functions(human_eval)
    lines = (
        []
        if long_bench is None
        else fetch_long_problems()
        if long_bench == "hub"
        else read_long_problems(Path(long_bench))
    )
    with progress_bar(counting=True) as progress:
        files = resolve_model(model, progress=progress)
        config = EngineConfig(model=model, device=device, precision=precision, threads=threads)
        loaded = load_model(files.name, files.path, config, progress=progress)
        setting = {"model": loaded.name, "device": loaded.device_name, "fingerprint": loaded.model.fingerprint}
        spending = _spending(loaded.device)
        phases = measure_phases(
            loaded,
            spending,
            lengths,
            rounds,
            KeptSamples(output / "phases.jsonl", PhaseSample, lambda sample: sample.key, setting),
            progress=progress,
        )
        of_answers = {
            **setting,
            "run_programs": run_programs,
            "max_new_tokens": max_new_tokens,
            "most_prompt_tokens": most_prompt_tokens,
        }
        kept = KeptSamples(output / "answers.jsonl", AnswerSample, lambda sample: sample.key, of_answers)
        answers = Answers(loaded, spending)
        answered = answers.functions(
            functions[:problems], kept, max_new_tokens=max_new_tokens, run_programs=run_programs, progress=progress
        )
        answered += answers.lines(
            draw_long_problems(lines, problems), kept, most_prompt_tokens=most_prompt_tokens, progress=progress
        )
    spent = [each for phase in phases for each in (phase.prefill, phase.decode)] + [each.spent for each in answered]
    yardstick = spending.yardstick(spent)
    said = f"{rounds} rounds, {min(problems, len(functions))} functions of up to {max_new_tokens} tokens"
    text = write_decoding_energy(
        output,
        summarise(phases, answered, yardstick),
        yardstick,
        model=loaded.name,
        device=loaded.device_name,
        setting=said,
    )
    _show(text, output)


@app.command("energy-considerations")
def energy_considerations(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    threads: Threads = None,
    requests: Annotated[
        str,
        typer.Option("--requests", help="azure-code, azure-chat, your own ledger, or a file of CSV, as BurstGPT's."),
    ] = "azure-code",
    most_bins: Annotated[int, typer.Option("--most-bins", min=1, help="The heaviest that are run.")] = 6,
    most_prompt_tokens: Annotated[int, typer.Option("--most-prompt-tokens", min=16)] = 1024,
    most_new_tokens: Annotated[int, typer.Option("--most-new-tokens", min=1)] = 128,
    batch_sizes: Annotated[
        str, typer.Option("--batch-sizes", help="Requests at once where a stack takes several, comma-separated.")
    ] = "4",
    vllm: Annotated[
        str | None,
        typer.Option("--vllm", help="A Python that has vLLM, such as VENV/bin/python; this one, if left out."),
    ] = None,
    rounds: Rounds = 3,
    output: Output = Path("reproduction/energy-considerations"),
) -> None:
    """A binned workload by software stack, precision, strategy and batch, as in Energy Considerations."""
    from engine.corpus.installed import installed_held_out
    from engine.evaluation.energy_considerations import StackSample, measure_stacks, summarise_stacks
    from engine.evaluation.energy_considerations_page import write_energy_considerations
    from engine.evaluation.metrics import check_libraries
    from engine.evaluation.request_bins import heaviest
    from engine.evaluation.resuming import KeptSamples
    from engine.evaluation.stacks import open_stacks
    from engine.model.loading import pick_device
    from engine.model.sources.store import resolve_model

    check_libraries()
    name, bins = _bins(requests)
    sizes = _numbers(batch_sizes)
    chosen = pick_device(device)
    with progress_bar(counting=True) as progress:
        files = resolve_model(model, progress=progress)
        stacks = open_stacks(
            files.name, files.path, chosen, threads=threads, batch_sizes=sizes, vllm=vllm, progress=progress
        )
        workload = heaviest(
            name,
            bins,
            most_bins=most_bins,
            most_prompt_tokens=min(most_prompt_tokens, stacks.max_positions - most_new_tokens - 1),
            most_new_tokens=most_new_tokens,
        )
        setting = {"model": files.name, "device": stacks.device_name}
        spending = _spending(chosen)
        samples = measure_stacks(
            stacks,
            workload,
            "\n".join(file.text for file in installed_held_out()[:_HELD_OUT_FILES]),
            rounds=rounds,
            spending=spending,
            kept=KeptSamples(output / "stacks.jsonl", StackSample, lambda sample: sample.key, setting),
            progress=progress,
        )
    yardstick = spending.yardstick([sample.spent for sample in samples])
    text = write_energy_considerations(
        output,
        summarise_stacks(samples, stacks, workload, yardstick),
        workload,
        yardstick,
        model=files.name,
        device=stacks.device_name,
        setting=f"{rounds} rounds",
        remarks=stacks.remarks,
    )
    _show(text, output)


def _bins(requests: str) -> tuple[str, list[RequestBin]]:
    """What a workload is called, and its bins."""
    from engine.evaluation.request_bins import binned, published_bins, read_sizes
    from lsp_server.books.ledger import LEDGER_FILE
    from lsp_server.books.reports import request_sizes

    if requests in {"azure-code", "azure-chat"}:
        trace: Trace = "azure-code" if requests == "azure-code" else "azure-chat"
        return f"Azure's {trace.partition('-')[2]} service of 16 November 2023", published_bins(trace)
    if requests == "ledger":
        return "your own ledger", binned(request_sizes(data_dir() / LEDGER_FILE))
    return requests, binned(read_sizes(Path(requests)))


def _spending(device: Device) -> Spending:
    """What measures runs on this machine; a counter first tells what it sees at rest."""
    from engine.energy.calibration import measure_idle_power_w
    from engine.energy.detect import detect_meter
    from engine.evaluation.spending import Spending

    meter = detect_meter(device).meter
    return Spending(device, meter, idle_power_w=0.0 if meter is None else measure_idle_power_w(meter) or 0.0)


def _numbers(text: str) -> list[int]:
    names = listed(text)
    if not names or not all(name.isdecimal() and int(name) > 1 for name in names):
        raise ConfigError(f"In '{text}' there should be whole numbers above 1, such as 16,256,1024.")
    return sorted({int(name) for name in names})


def _show(text: str, output: Path) -> None:
    console = Console()
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(f"The page, the table and all numbers are in {output}", highlight=False, soft_wrap=True)
