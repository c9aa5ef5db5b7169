import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from engine.errors import ConfigError
from engine.evaluation import energy_considerations
from engine.evaluation.energy_considerations import StackSample, measure_stacks, summarise_stacks
from engine.evaluation.energy_considerations_page import write_energy_considerations
from engine.evaluation.request_bins import BinnedRequests, RequestBin, binned, heaviest, published_bins, read_sizes
from engine.evaluation.resuming import KeptSamples
from engine.evaluation.spending import Spending, Spent
from engine.evaluation.stacks import Measure, Stack, Stacks, in_safetensors, open_stacks
from engine.model.prepared.native import library
from tests.engine.model.sources.tiny_gguf import store_both_ways
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model

SPENDING = Spending("cpu", None)


def size(prompt: int, new: int, requests: int) -> RequestBin:
    return RequestBin(prompt_tokens=prompt, new_tokens=new, requests=requests)


def test_the_trace_that_ships_has_all_its_requests() -> None:
    assert sum(each.requests for each in published_bins("azure-code")) == 8819
    chat = published_bins("azure-chat")
    mean = sum(each.prompt_tokens * each.requests for each in chat) / sum(each.requests for each in chat)
    assert mean == pytest.approx(1154.7, rel=0.001)


def test_requests_are_binned_by_both_sizes_and_those_of_nothing_left_out() -> None:
    assert binned([(10, 4), (20, 8), (100, 8), (0, 5), (30, 0)]) == [size(15, 6, 2), size(100, 8, 1)]


@pytest.mark.parametrize(
    "columns", ["prompt_tokens,new_tokens", "TIMESTAMP,ContextTokens,GeneratedTokens", "Request tokens,Response tokens"]
)
def test_traces_are_read_by_their_own_columns(columns: str, tmp_path: Path) -> None:
    rest = "now," if columns.startswith("TIME") else ""
    (tmp_path / "trace.csv").write_text(f"{columns}\n{rest}12,3\n{rest}400,5\n")

    assert read_sizes(tmp_path / "trace.csv") == [(12, 3), (400, 5)]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "prompt_tokens,new_tokens\n1\n", "prompt_tokens,new_tokens\nx,y\n"])
def test_another_file_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text(text)

    with pytest.raises(ConfigError, match="cannot be read as requests"):
        read_sizes(tmp_path / "other.csv")


def test_the_heaviest_bins_are_run_and_what_is_cut_to_one_size_is_one_bin() -> None:
    bins = [size(4000, 10, 5), size(2000, 10, 15), size(100, 10, 40), size(10, 2, 40)]

    found = heaviest("a trace", bins, most_bins=2, most_prompt_tokens=1000, most_new_tokens=100)

    assert found.bins == (size(1000, 10, 20), size(100, 10, 40))
    assert found.covered == pytest.approx(0.6)
    assert found.shortened == pytest.approx(20 / 60)
    with pytest.raises(ConfigError, match="no request in a trace"):
        heaviest("a trace", [], most_bins=3, most_prompt_tokens=10, most_new_tokens=10)


def stacks_of(ways: dict[str, int], calls: list[tuple[str, int, int]]) -> Stacks:
    """Ways that note what they are asked for; the value is the batch."""

    def way(name: str, batch: int) -> Stack:
        return Stack(name=name, batch=batch, run=lambda ids, n_new: calls.append((name, len(ids), n_new)))

    names = list(ways)
    return Stacks(
        ways=tuple(way(name, batch) for name, batch in ways.items()),
        steps=tuple(Measure(name=f"to {behind}", before=before, behind=behind) for before, behind in pairwise(names)),
        without=(),
        remarks=("One thing is missing.",),
        encode=lambda text: [ord(char) for char in text],
        max_positions=1000,
        device_name="CPU",
    )


def kept(folder: Path) -> KeptSamples[StackSample]:
    return KeptSamples(folder / "stacks.jsonl", StackSample, lambda sample: sample.key, {"model": "tiny"})


REQUESTS = BinnedRequests(name="a trace", bins=(size(40, 5, 3), size(20, 2, 1)), covered=1.0, shortened=0.25)


def test_every_bin_is_run_in_every_way_in_each_round_once(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    stacks = stacks_of({"slow": 1, "fast": 1}, calls)

    samples = measure_stacks(stacks, REQUESTS, "x" * 99, rounds=2, spending=SPENDING, kept=kept(tmp_path))

    assert len(samples) == 8
    assert calls.count(("slow", 40, 5)) == calls.count(("fast", 40, 5)) == 2
    assert len(calls) == 8 + 2  # each way is warmed up
    calls.clear()
    assert measure_stacks(stacks, REQUESTS, "x" * 99, rounds=2, spending=SPENDING, kept=kept(tmp_path)) == samples
    assert calls == []


def test_processes_elsewhere_are_counted_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_considerations, "_LOOK_S", 0.001)
    looks: list[float] = []

    def elsewhere_s() -> float:
        """A second more at each look, six times; then its processes are quiet."""
        looks.append(min(len(looks), 6.0))
        return looks[-1]

    way = Stack(name="served", run=lambda ids, n_new: None, elsewhere_s=elsewhere_s)
    stacks = replace(stacks_of({}, []), ways=(way,))

    samples = measure_stacks(stacks, REQUESTS, "x" * 99, rounds=1, spending=SPENDING, kept=kept(tmp_path))

    assert [each.spent.cpu_s >= 1.0 for each in samples] == [True, False]
    assert looks[:8] == [0, 1, 2, 3, 4, 5, 6, 6]


def sample(way: str, batch: int, each: RequestBin, round_: int, cpu_s: float) -> StackSample:
    return StackSample(
        way=way,
        batch=batch,
        prompt_tokens=each.prompt_tokens,
        new_tokens=each.new_tokens,
        round=round_,
        spent=Spent(elapsed_s=cpu_s, cpu_s=cpu_s, counter_j=None),
    )


def test_a_workload_weighs_its_bins_and_measures_share_what_is_saved(tmp_path: Path) -> None:
    stacks = stacks_of({"slow": 1, "middle": 4, "fast": 1}, [])
    costs = {"slow": (1, 8.0, 4.0), "middle": (4, 16.0, 16.0), "fast": (1, 1.0, 2.0)}
    samples = [
        sample(way, batch, each, round_, cpu_s)
        for way, (batch, long_s, short_s) in costs.items()
        for round_ in range(2)
        for each, cpu_s in zip(REQUESTS.bins, (long_s, short_s), strict=True)
    ]
    yardstick = SPENDING.yardstick([])

    found = summarise_stacks(samples, stacks, REQUESTS, yardstick)
    text = write_energy_considerations(
        tmp_path, found, REQUESTS, yardstick, model="tiny", device="CPU", setting="a test", remarks=stacks.remarks
    )

    assert [row.spent.value for row in found.rows] == [7.0, 4.0, 1.25]
    assert [row.saved.value for row in found.steps] == pytest.approx([3 / 7, 1 - 1.25 / 4])
    assert sum(row.share.value for row in found.steps) == pytest.approx(1)
    assert found.together.value == pytest.approx(1 - 1.25 / 7)
    assert "| saved of the baseline by all measures | up to 73 % | 82.1 % (82.1 to 82.1) |" in text
    assert "25 % are longer than was run here" in text
    assert (tmp_path / "reproduction.html").read_text().count("<svg") == 2
    assert json.loads((tmp_path / "reproduction.json").read_text())["workload"]["bins"][0]["requests"] == 3


def test_a_real_model_is_run_in_every_way_that_this_machine_has(
    own_cache: Path, own_data: Path, tmp_path: Path
) -> None:
    sizes = {"hidden_size": 128, "intermediate_size": 128, "max_position_embeddings": 64}
    tiny_model("llama", **sizes).save_pretrained(tmp_path / "tiny")
    PreTrainedTokenizerFast(tokenizer_object=LETTERS).save_pretrained(tmp_path / "tiny")
    requests = BinnedRequests(name="a trace", bins=(size(24, 5, 3),), covered=1.0, shortened=0.0)

    stacks = open_stacks("tiny", tmp_path / "tiny", "cpu", threads=1, batch_sizes=(2,))
    samples = measure_stacks(stacks, requests, "return x\n" * 9, rounds=2, spending=SPENDING, kept=kept(tmp_path))
    found = summarise_stacks(samples, stacks, requests, SPENDING.yardstick([]))

    names = [row.way for row in found.rows]
    assert names[:4] == [
        "transformers, fp32",
        "transformers, fp32, sampling",
        "transformers, fp32, drafts",
        "transformers, fp32, batch of 2",
    ]
    assert {"our loop, PyTorch, fp32", "our loop, ONNX Runtime, int8", "our loop, ONNX Runtime, int8, drafts"} <= {
        *names
    }
    assert ("our loop, our kernels, int8, green mode 20" in names) is (library.load() is not None)
    steps = found.steps
    assert [step.behind for step in steps[:-1]] == [step.before for step in steps[1:]]
    assert sum(step.share.value for step in steps) == pytest.approx(1)
    assert all(row.spent.value > 0 for row in found.rows)


def test_other_libraries_read_the_model_that_is_kept_as_gguf(tmp_path: Path) -> None:
    store_both_ways(tmp_path)

    with in_safetensors(tmp_path / "torch") as same, in_safetensors(tmp_path / "numpy") as other:
        assert same == tmp_path / "torch"
        ours = AutoModelForCausalLM.from_pretrained(other, dtype=torch.float32, local_files_only=True).state_dict()
        tokens = AutoTokenizer.from_pretrained(other, local_files_only=True).tokenize("in 12")
    theirs = AutoModelForCausalLM.from_pretrained(same, dtype=torch.bfloat16, local_files_only=True).state_dict()

    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name].float()) for name, weight in ours.items())
    assert tokens == ["in", "Ġ", "1", "2"]
    assert not other.exists()
