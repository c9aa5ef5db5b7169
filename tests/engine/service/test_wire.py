"""Records come through as they were."""

import json
from dataclasses import replace

import pytest

from engine.config import EngineConfig
from engine.errors import DeviceError, EngineError, EngineLostError, MeterError
from engine.outlook import Outlook
from engine.sentences import Sentence
from engine.service.wire import (
    SharedFacts,
    Values,
    completion_of,
    config_of,
    error_message,
    error_of,
    facts_of,
    packed,
    request_of,
    unpacked,
)
from engine.types import Completion, CompletionRequest, ProjectDocument, PromptOptions, Provenance, Snippet
from tests.fakes import fake_completion

REQUESTS = [
    CompletionRequest(prefix=""),
    CompletionRequest(
        prefix='x = "😋\ud83d',  # half of a letter, as documents may have
        suffix="\r\0",
        language_id="python",
        path="src/ä.py",
        repository="r",
        snippets=(Snippet(path="b.py", text="b"), Snippet(path="c.py", text="")),
        prompt=PromptOptions(window_chars=7, with_header=True),
        green_mode=100,
        policy="fixed:3",
        max_new_tokens=5,
        single_line=False,
        may_give_up=False,
        in_project=ProjectDocument(project="/p", file="a.py"),
    ),
]
COMPLETIONS = [
    fake_completion(),
    replace(fake_completion(), device=Sentence("{n} threads", n=2)),
    fake_completion("", energy_j=None, provenance=Provenance.NONE, exit_layers=()),
    replace(fake_completion(""), outlook=Outlook(text="\n", chance=0.25)),
    fake_completion("\ud800", provenance=Provenance.MODELLED, green_mode=0),
]


def travelled(record: Completion | CompletionRequest | EngineConfig | SharedFacts) -> Values:
    """A record, as it arrives in a message."""
    arrived: Values = unpacked(packed({"record": record}))["record"]
    return arrived


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_come_through(request_: CompletionRequest) -> None:
    assert request_of(travelled(request_)) == request_


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_completions_come_through(completion: Completion) -> None:
    assert completion_of(travelled(completion)) == completion


@pytest.mark.parametrize(
    "config", [EngineConfig(), EngineConfig(model="m", threads=2, exit_layers=(2, 4), shared=True)]
)
def test_configurations_come_through(config: EngineConfig) -> None:
    assert config_of(travelled(config)) == config


def test_facts_come_through() -> None:
    facts = SharedFacts(
        shared_as="0123",
        model_name="m",
        device_name="d",
        layers_total=3,
        energy_source="e",
        meters_refused=("One.", Sentence("{n} GPUs.", n=2)),
    )

    arrived = facts_of(travelled(facts))

    assert arrived == facts
    assert isinstance(arrived.meters_refused[1], Sentence)  # to be said in each window's language


class _OwnError(MeterError):
    """Of a kind that the other end does not know."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeviceError("No GPU."), DeviceError),
        (EngineLostError("Gone."), EngineLostError),
        (_OwnError("No."), MeterError),
    ],
)
def test_errors_keep_their_sentence_and_the_kind_that_is_known(error: EngineError, kind: type[EngineError]) -> None:
    arrived = error_of(unpacked(packed(error_message(error, 7))))

    assert (type(arrived), str(arrived)) == (kind, str(error))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", json.dumps("x").encode()])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no message|Expecting value|decode"):
        unpacked(data)
