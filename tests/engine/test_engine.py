"""The real default model: its text is transformers' own, its work and joules add up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.completion.cleanup import is_complete
from engine.completion.prompt import prompt_for
from engine.completion.shape import shape_at
from engine.config import DEFAULT_MODEL
from engine.decoding.work import further_context
from engine.energy.cost_model import energy_j
from engine.engine import Engine
from engine.errors import ConfigError
from engine.model.reference.gguf import convert_gguf
from engine.model.reference.trained_exits import find_trained_exits, model_fingerprint
from engine.model.sources.llama_gguf import GGUF_FILE
from engine.outlook import Outlook
from engine.types import PROJECT_ALONE, Completion, CompletionRequest, FinishReason, Phase, ProjectDocument, Provenance

pytestmark = pytest.mark.model

SOURCE = '''"""Geometry."""

import math


def area(radius: float) -> float:
    return math.pi * radius ** 2


def circumference(radius: float) -> float:
    return 2 * math.pi * radius


class Rectangle:
    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height

    def area(self) -> float:
        return self.width * self.height

    def perimeter(self) -> float:
        return 2 * (self.width + self.height)
'''
MAX_NEW_TOKENS = 12
PLACES = ["return math", "2 * math.pi", "self.width =", "def area(self)", "return 2 * (self", "class Rect"]


def prefix_to(marker: str) -> str:
    return SOURCE[: SOURCE.index(marker) + len(marker)]


@pytest.fixture(scope="module")
def greedy_texts(default_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What transformers' own generate writes at each place in n tokens, n from 0 on, with the exits' weights.

    It has read the weights itself. It reads up to the word at the cursor, and its first token may only be one that
    begins with that word.
    """
    converted = tmp_path_factory.mktemp("converted")
    convert_gguf(default_model_path / GGUF_FILE, converted)
    model = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32).eval()
    trained_exits = find_trained_exits(DEFAULT_MODEL, model_fingerprint(model))
    assert trained_exits is not None
    with torch.no_grad():
        for name, (up, down) in trained_exits.updates.items():
            model.get_parameter(name).add_(up @ down)
    tokenizer = AutoTokenizer.from_pretrained(default_model_path)
    every_id = list(range(len(tokenizer)))
    spellings = tokenizer.batch_decode([[token_id] for token_id in every_id])
    texts = {}
    for place in PLACES:
        prompt = prompt_for(CompletionRequest(prefix=prefix_to(place)))
        inputs = tokenizer(prompt.text, return_tensors="pt")
        n_prompt = inputs.input_ids.shape[1]
        first_ids = [token_id for token_id in every_id if spellings[token_id].startswith(prompt.typed)]
        output = model.generate(
            **inputs,
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            prefix_allowed_tokens_fn=lambda _, ids, n=n_prompt, first=first_ids: first if len(ids) == n else every_id,
        )
        new_ids = output[0, n_prompt:]
        texts[place] = [
            tokenizer.decode(new_ids[:count], skip_special_tokens=True) for count in range(len(new_ids) + 1)
        ]
    return texts


def ended(place: str, texts: list[str]) -> str:
    """The first of the growing texts that is complete, else the last."""
    request = CompletionRequest(prefix=prefix_to(place))
    shape = shape_at(request.prefix, request.suffix, prompt_for(request), single_line=None)
    return next((text for text in texts if is_complete(text, shape)), texts[-1])


@pytest.mark.parametrize("policy", ["full-depth", "fixed:24", "fixed:15", "confidence:0.6"])
@pytest.mark.parametrize("place", PLACES)
def test_lossless_text_in_fp32_is_the_one_of_transformers(
    reference_engine: Engine, greedy_texts: dict[str, list[str]], place: str, policy: str
) -> None:
    assert lossless(reference_engine, place, policy) == ended(place, greedy_texts[place])


@pytest.mark.parametrize("place", PLACES)
def test_lossless_text_in_int8_is_the_one_of_full_depth(engine: Engine, place: str) -> None:
    texts = {lossless(engine, place, policy) for policy in ("full-depth", "fixed:24", "fixed:15", "confidence:0.6")}

    assert len(texts) == 1


def lossless(engine: Engine, place: str, policy: str) -> str:
    request = CompletionRequest(prefix=prefix_to(place), green_mode=0, policy=policy, max_new_tokens=MAX_NEW_TOKENS)
    return "".join(token.text for token in engine.complete(request).tokens)


def test_a_greener_mode_runs_fewer_layers_by_the_learned_policy(engine: Engine) -> None:
    def passes(mode: int) -> int:
        completions = [engine.complete(CompletionRequest(prefix=prefix_to(at), green_mode=mode)) for at in PLACES]
        assert {completion.policy for completion in completions} == {"learned" if mode else "full-depth"}
        return sum(completion.work[Phase.DECODE].layer_passes for completion in completions)

    assert passes(0) > passes(100)


def test_joules_are_work_times_the_cost_of_a_unit_where_no_counter_runs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "meter_report", replace(engine.meter_report, meter=None))
    monkeypatch.setattr(engine, "cost_model", replace(engine.cost_model, is_paced=False))
    cost = engine.cost_model
    completion = engine.complete(
        CompletionRequest(
            prefix=prefix_to("2 * math.pi"), green_mode=100, policy="fixed:15", single_line=True, may_give_up=False
        )
    )

    assert engine.energy_source == f"modelled: {completion.energy.source}"
    energy, work, n_tokens = completion.energy, completion.work, len(completion.tokens)
    assert completion.finish_reason is FinishReason.STOP
    assert n_tokens > 1
    assert completion.prompt_tokens is not None
    assert energy.provenance is Provenance.MODELLED
    assert energy.by_phase == {phase: energy_j(cost, done) for phase, done in work.items()}
    assert energy.energy_j == pytest.approx(sum(energy_j(cost, done) for done in work.values()))
    # Full depth reads every layer for each token but the first, which comes with the prompt, and the head for each.
    full_depth_j = n_tokens * cost.head_pass_j + (n_tokens - 1) * (30 * cost.layer_pass_j + cost.token_j)
    full_depth_j += 30 * further_context(n_tokens - 1, completion.prompt_tokens) * cost.context_pass_j
    prompt_j = energy_j(cost, work[Phase.PREFILL])
    assert completion.baseline_energy_j == pytest.approx(prompt_j + full_depth_j)
    assert completion.saved_j == pytest.approx(prompt_j + full_depth_j - (energy.energy_j or 0.0))
    assert work[Phase.DECODE].layer_passes < 30 * (n_tokens - 1)


def test_typing_on_reuses_the_prompt(engine: Engine) -> None:
    engine.complete(CompletionRequest(prefix=prefix_to("self.width =")))

    completion = engine.complete(CompletionRequest(prefix=prefix_to("self.width =") + " wi"))

    n_prompt, n_reused = completion.prompt_tokens or 0, completion.reused_tokens or 0
    assert n_reused > n_prompt / 2
    assert completion.work[Phase.PREFILL].prefill_tokens == n_prompt - n_reused


def test_text_grows_while_it_is_decoded(engine: Engine) -> None:
    seen: list[str] = []

    completion = engine.complete(
        CompletionRequest(prefix=prefix_to("return 2 * (self"), green_mode=0), on_text=seen.append
    )

    assert seen[-1] == completion.text
    assert all(completion.text.startswith(text) for text in seen)


def test_a_project_is_asked_while_the_model_completes(engine: Engine) -> None:
    project = engine.project("shapes")
    project.replace("shapes.py", SOURCE)
    project.sort()
    place = ProjectDocument(project="shapes", file="other.py")
    asked = [CompletionRequest(prefix=prefix_to(marker), in_project=place, policy=PROJECT_ALONE) for marker in PLACES]
    alone = [engine.complete(request).text for request in asked]
    completing = replace(asked[0], policy=None, in_project=None, green_mode=0)
    expected = engine.complete(completing).text

    with ThreadPoolExecutor(1) as beside:
        texts = beside.submit(lambda: [engine.complete_from_project(request).text for request in asked * 5])
        completed = [engine.complete(completing).text for _ in range(5)]

    assert any(alone)
    assert texts.result() == alone * 5
    assert completed == [expected] * 5


def test_what_a_project_is_not_sure_of_is_no_text_but_told(engine: Engine) -> None:
    project = engine.project("colours")
    project.replace("colours.py", "".join(f"paint(colour={name})\n" for name in ("red", "green", "blue", "black")))
    project.sort()

    def by_project(prefix: str) -> Completion:
        place = ProjectDocument(project="colours", file="other.py")
        return engine.complete_from_project(CompletionRequest(prefix=prefix, in_project=place, policy=PROJECT_ALONE))

    unsure, begun, unknown = (by_project(prefix) for prefix in ("paint(colour=", "paint(colour=bl", "12"))

    assert (unsure.text, begun.text, unknown.text, unknown.outlook) == ("", "", "", Outlook())
    assert unsure.outlook is not None
    assert unsure.outlook.text in {"red", "green", "blue", "black", "bl"}
    assert 0.0 < unsure.outlook.chance < 0.8
    assert begun.outlook is not None
    assert begun.outlook.text in {"ue", "ack"}
    assert engine.complete(CompletionRequest(prefix="paint(colour=")).outlook is None


def test_others_are_served_while_a_prompt_is_read_and_neither_notices(engine: Engine) -> None:
    first, other = (CompletionRequest(prefix=f"# {place}\n{prefix_to(place)}", green_mode=0) for place in PLACES[:2])
    served: list[Completion] = []

    def serve_other() -> None:
        served.append(engine.complete(other))

    completion = engine.complete(first, meanwhile=lambda: None if served else serve_other)

    unread = Engine(engine._loaded)
    for one, alone in ((completion, unread.complete(first)), (served[0], unread.complete(other))):
        assert (one.text, one.work, one.reused_tokens) == (alone.text, alone.work, alone.reused_tokens)


def test_an_empty_document_costs_nothing(engine: Engine) -> None:
    completion = engine.complete(CompletionRequest(prefix=""))

    assert (completion.text, completion.finish_reason) == ("", FinishReason.STOP)
    assert completion.energy.energy_j == 0.0


def test_a_cancelled_request_tells_what_it_cost(engine: Engine) -> None:
    class CancelledSoon:
        questions = 0

        @property
        def is_cancelled(self) -> bool:
            self.questions += 1
            return self.questions > 25

    completion = engine.complete(
        # A text of its own: what another test has asked would be said again at once.
        CompletionRequest(prefix=f"import os\n{prefix_to('return math')}", policy="full-depth", single_line=False),
        cancellation=CancelledSoon(),
    )

    assert (completion.text, completion.finish_reason) == ("", FinishReason.CANCELLED)
    assert completion.energy.energy_j is not None
    assert completion.energy.energy_j > 0.0


@pytest.mark.parametrize("policy", ["fixed:1", "learnt", "confidence:x"])
def test_a_policy_that_means_nothing_is_told(engine: Engine, policy: str) -> None:
    with pytest.raises(ConfigError, match=policy.partition(":")[0]):
        engine.complete(CompletionRequest(prefix="x = ", policy=policy))


def test_characters_beyond_the_basic_plane_survive(engine: Engine) -> None:
    prefix = "names = ['Zoë', '💡', '🌿', '💡', '🌿', '"

    completion = engine.complete(CompletionRequest(prefix=prefix, green_mode=0, single_line=True))

    assert "\ufffd" not in completion.text
    completion.text.encode("utf-8")
