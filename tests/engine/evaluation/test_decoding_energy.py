import gzip
import json
import zipfile
from pathlib import Path

import pytest

from engine.energy.meter import StatedPowerMeter
from engine.errors import ConfigError
from engine.evaluation.answers import PLAIN, PRODUCT, STOPPED, Answers, AnswerSample
from engine.evaluation.decoding_energy import summarise
from engine.evaluation.decoding_energy_page import write_decoding_energy
from engine.evaluation.human_eval import FunctionProblem, function_length, read_functions
from engine.evaluation.long_bench import draw_long_problems, read_long_problems, without_middle
from engine.evaluation.phase_costs import DECODED, PhaseSample, measure_phases
from engine.evaluation.resuming import KeptSamples
from engine.evaluation.spending import Spending, Spent
from engine.model.loaded import LoadedModel
from engine.types import Provenance

PROBLEM = FunctionProblem(
    task_id="HumanEval/0",
    head='def add(a, b):\n    """Adds."""\n',
    solution="    return a + b\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
    entry_point="add",
)


@pytest.fixture
def spending() -> Spending:
    return Spending("cpu", None)


def kept_phases(folder: Path) -> KeptSamples[PhaseSample]:
    return KeptSamples(folder / "phases.jsonl", PhaseSample, lambda sample: sample.key, {"model": "tiny"})


def kept_answers(folder: Path) -> KeptSamples[AnswerSample]:
    return KeptSamples(folder / "answers.jsonl", AnswerSample, lambda sample: sample.key, {"model": "tiny"})


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        ("return a + b\n", None),
        ("return a + b\n\n\ndef other():\n    pass", "return a + b\n\n"),
        ("return a + b\n# that was it\n", "return a + b"),
        ("x = f(\n)\n    return x", None),
        (
            'text = """\nin the first column\n"""\n    return text\nprint(1)',
            'text = """\nin the first column\n"""\n    return text',
        ),
    ],
)
def test_a_function_ends_before_the_first_line_outside_of_it(body: str, ended: str | None) -> None:
    length = function_length(body)

    assert (None if length is None else body[:length]) == ended


def test_a_problem_is_read_and_its_own_solution_makes_a_program(tmp_path: Path) -> None:
    row = {
        "task_id": PROBLEM.task_id,
        "prompt": PROBLEM.head,
        "canonical_solution": PROBLEM.solution,
        "test": PROBLEM.test,
        "entry_point": PROBLEM.entry_point,
    }
    (tmp_path / "h.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))

    assert read_functions(tmp_path / "h.jsonl.gz") == [PROBLEM]
    assert "    return a + b\n" in PROBLEM.program("return a + b")


def test_another_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"prompt": 1}\n')

    with pytest.raises(ConfigError, match=r"should be HumanEval\.jsonl"):
        read_functions(tmp_path / "other.jsonl")
    with pytest.raises(ConfigError, match=r"should be LongBench's"):
        read_long_problems(tmp_path / "other.jsonl")


def long_row(task: str, item: int) -> str:
    answers = ["return answer"]
    return json.dumps({"dataset": task, "_id": f"{item}", "input": "IN", "context": "CODE", "answers": answers})


def test_long_problems_are_read_from_a_file_or_the_benchmarks_archive(tmp_path: Path) -> None:
    lcc, repository = [long_row("lcc", n) for n in range(3)], [long_row("repobench-p", n) for n in range(3)]
    (tmp_path / "lcc.jsonl").write_text("\n".join([*lcc, long_row("trec", 9)]))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("data/lcc.jsonl", "\n".join(lcc))
        archive.writestr("data/repobench-p.jsonl", "\n".join(repository))

    of_file, of_archive = read_long_problems(tmp_path / "lcc.jsonl"), read_long_problems(tmp_path / "data.zip")

    assert of_file == of_archive[:3]
    assert of_file[0].prompt == "Please complete the code given below. \nCODENext line of code:\n"
    assert "CODEIN" in of_archive[-1].prompt
    assert [problem.item for problem in draw_long_problems(of_archive, 2)] == ["0", "1", "0", "1"]
    assert of_file[0].score("\n# a comment\nreturn answer\nmore") == 1
    assert of_file[0].score("xyz") < 0.5


def test_what_is_too_long_loses_its_middle() -> None:
    assert without_middle(range(10), 5) == [0, 1, 7, 8, 9]
    assert without_middle(range(5), 5) == [0, 1, 2, 3, 4]


def test_a_token_is_dearer_behind_a_longer_prompt(loaded: LoadedModel, spending: Spending, tmp_path: Path) -> None:
    samples = measure_phases(loaded, spending, [8, 256], 2, kept_phases(tmp_path))

    shortest, longest = summarise(samples, [], spending.yardstick([])).phases
    assert (shortest.prompt_tokens, longest.prompt_tokens) == (8, 256)
    assert shortest.modelled_amplification == 0
    assert longest.modelled_amplification > 0.05
    assert longest.prefill.value > shortest.prefill.value
    assert shortest.token.value == pytest.approx(
        sum(sample.decode.cpu_s for sample in samples if sample.prompt_tokens == 8) / 2 / DECODED
    )


def test_a_prompt_that_is_too_long_for_the_model_is_refused(
    loaded: LoadedModel, spending: Spending, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="too long for this model; the most is 479"):
        measure_phases(loaded, spending, [8, 4096], 2, kept_phases(tmp_path))


def test_a_run_goes_on_where_it_was_stopped(loaded: LoadedModel, spending: Spending, tmp_path: Path) -> None:
    path = tmp_path / "phases.jsonl"
    first = measure_phases(loaded, spending, [8, 16], 2, kept_phases(tmp_path))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # killed while it wrote the third sample

    again = measure_phases(loaded, spending, [8, 16], 2, kept_phases(tmp_path))

    assert again[:2] == first[:2]
    assert [sample.key for sample in again] == [sample.key for sample in first]
    assert kept_phases(tmp_path).found.keys() == {sample.key for sample in first}


def test_a_run_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    kept_phases(tmp_path)

    with pytest.raises(ConfigError, match="is of another run"):
        KeptSamples(tmp_path / "phases.jsonl", PhaseSample, lambda sample: sample.key, {"model": "other"})


class SlowMeter(StatedPowerMeter):
    """Sees 10 W all the time, and tells of it every 5 ms."""

    provenance = Provenance.MEASURED
    refresh_s = 0.005


def test_a_counter_gets_as_many_runs_as_it_needs_and_what_it_sees_at_rest_is_taken_off() -> None:
    calls: list[int] = []
    spending = Spending("cpu", SlowMeter(10.0), idle_power_w=4.0)

    _, spent = spending.measure(lambda: calls.append(sum(range(1000))))

    assert len(calls) > 10
    assert spent.elapsed_s * len(calls) > 0.05
    assert spent.counter_j == pytest.approx(6.0 * spent.elapsed_s, rel=0.05)
    yardstick = spending.yardstick([spent])
    assert (yardstick.unit, yardstick.of(spent)) == ("J", spent.counter_j)
    assert "less 4.0 W taken at rest" in yardstick.told


def test_without_a_counter_cpu_seconds_stand_in(spending: Spending) -> None:
    result, spent = spending.measure(lambda: 7)

    assert (result, spent.counter_j) == (7, None)
    assert spending.yardstick([spent]).unit == "CPU s"


def test_functions_are_written_in_every_way_and_only_run_where_that_is_asked_for(
    loaded: LoadedModel, spending: Spending, tmp_path: Path
) -> None:
    answers = Answers(loaded, spending)
    samples = answers.functions([PROBLEM], kept_answers(tmp_path), max_new_tokens=24, run_programs=False)

    by_way = {sample.way: sample for sample in samples}
    assert by_way.keys() == {PLAIN, STOPPED, PRODUCT}
    assert all(sample.passed is None for sample in samples)
    assert by_way[PLAIN].tokens == 24
    assert by_way[STOPPED].tokens <= 24
    assert by_way[PLAIN].text.startswith(by_way[STOPPED].text)
    assert answers.functions([PROBLEM], kept_answers(tmp_path), max_new_tokens=24, run_programs=False) == samples


def answer(way: str, item: int, tokens: int, *, passed: bool, babbled: int = 0) -> AnswerSample:
    return AnswerSample(
        workload="HumanEval",
        item=f"HumanEval/{item}",
        way=way,  # type: ignore[arg-type]  # one of the ways
        prompt_tokens=100,
        tokens=tokens,
        babbled=babbled,
        prefill_j=1.0,
        decode_j=0.1 * tokens,
        spent=Spent(elapsed_s=0.01 * tokens, cpu_s=0.02 * tokens, counter_j=None),
        prefill_share=0.25,
        text="",
        passed=passed,
    )


def test_the_report_has_savings_passes_and_the_published_figures(spending: Spending, tmp_path: Path) -> None:
    answers = [
        *(answer(PLAIN, n, 200, passed=n == 0, babbled=150 if n else 0) for n in range(4)),
        *(answer(STOPPED, n, 50, passed=n == 0) for n in range(4)),
        *(answer(PRODUCT, n, 40, passed=False) for n in range(4)),
    ]
    spent = Spent(elapsed_s=1.0, cpu_s=1.0, counter_j=None)
    dearer = Spent(elapsed_s=1.5, cpu_s=1.25, counter_j=None)
    phases = [
        PhaseSample(prompt_tokens=n, round=r, prefill=cost, decode=cost, prefill_j=1.0, decode_j=j)
        for n, cost, j in ((16, spent, 1.0), (1024, dearer, 1.2))
        for r in range(2)
    ]
    yardstick = spending.yardstick([spent])

    found = summarise(phases, answers, yardstick)
    text = write_decoding_energy(tmp_path, found, yardstick, model="tiny", device="CPU", setting="a test")

    plain, stopped, product = found.ways
    assert stopped.saved.value == pytest.approx(0.75)
    assert stopped.saved_modelled.value == pytest.approx(15 / 21)
    assert (plain.passed, stopped.passed, product.passed) == (1, 1, 0)
    assert found.babbling is not None
    assert found.babbling.value == 0.75
    assert found.workloads[0].decode_share.value == pytest.approx(0.75)
    assert found.phases[1].amplification.value == pytest.approx(0.25)
    assert "1.3 % to 51.8 % | 25.0 % (25.0 to 25.0)" in text
    assert "44 to 89 % of those that babble | 75.0 %" in text
    assert "pass@1, ended with the function | not affected | 1 of 4" in text
    assert found.same_text == 1
    page = (tmp_path / "reproduction.html").read_text()
    assert page.count("<svg") == 2
    assert json.loads((tmp_path / "reproduction.json").read_text())["ways"][1]["passed"] == 1
