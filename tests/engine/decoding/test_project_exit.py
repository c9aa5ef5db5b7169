"""Tokens that a project says, before any layer: what they cost, and what they do to the text."""

import numpy as np
import pytest

from engine.decoding.decoder import Decoder
from engine.decoding.healing import Constraint
from engine.decoding.stopping import StopCondition
from engine.decoding.tokens import DecodedToken
from engine.policy.base import Fill, OperatingPoint
from engine.policy.baselines import FixedExit, FullDepth
from engine.project.continuations import Continuations
from engine.project.project_text import ProjectText
from engine.project.trust import TRUST
from engine.types import FinishReason, NeverCancelled, Phase
from tests.tiny_models import early_exit_model, tiny_model

PROMPT = [5, 17, 3, 88, 42, 9, 9, 61, 30, 12, 77, 2]
SAID = [40, 41, 42, 43, 44, 45, 46, 47]  # what the project says behind the prompt, and a random model never would
LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True, zero_chance=0.5)
LOSSY = OperatingPoint(energy_weight=0.5, lossless=False, zero_chance=0.5)
WITHOUT_ZERO = OperatingPoint(energy_weight=0.5, lossless=False)
ALONE = OperatingPoint(energy_weight=0.5, lossless=False, zero_chance=0.5, runs_layers=False)
PROPAGATE = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE, zero_chance=0.5)


def project(said: list[int] = SAID, n_times: int = 6) -> Continuations:
    """Of a workspace in which the prompt was always followed by the same."""
    n_vocabulary = early_exit_model(tiny_model("llama", 0)).n_vocabulary
    text = ProjectText(lambda name: [*PROMPT, *said, ord(name)], n_vocabulary)
    for number in range(n_times):
        text.replace(str(number), chr(number + 1))
    text.sort()
    return Continuations(text.without(), TRUST.load(TRUST.packaged), PROMPT, n_vocabulary)


def decode(
    decoder: Decoder, point: OperatingPoint, *, said: Continuations | None, n_tokens: int = 16, policy: object = None
) -> list[DecodedToken]:
    return list(
        decoder.generate(
            PROMPT,
            policy=policy or FullDepth(),  # type: ignore[arg-type]
            point=point,
            stop=StopCondition(max_new_tokens=n_tokens),
            cancellation=NeverCancelled(),
            project=said,
        )
    )


@pytest.fixture
def decoder() -> Decoder:
    return Decoder(early_exit_model(tiny_model("llama", 0)))


def test_a_sure_project_is_taken_without_a_layer_and_without_reading_the_prompt(decoder: Decoder) -> None:
    tokens = decode(decoder, LOSSY, said=project(), n_tokens=len(SAID))

    assert [token.token_id for token in tokens] == SAID
    assert {token.exit_layer for token in tokens} == {0}
    assert all(not work.layer_passes and not work.prefill_tokens for work in decoder.work.by_phase().values())
    assert decoder.cached_ids == []


def test_what_the_model_says_behind_it_is_what_it_would_say_had_it_read_all(decoder: Decoder) -> None:
    mixed = decode(decoder, LOSSY, said=project())
    alone = Decoder(early_exit_model(tiny_model("llama", 0)))
    behind = [
        token.token_id
        for token in alone.generate(
            [*PROMPT, *SAID],
            policy=FullDepth(),
            point=WITHOUT_ZERO,
            stop=StopCondition(max_new_tokens=1),
            cancellation=NeverCancelled(),
        )
    ]

    assert [token.token_id for token in mixed][: len(SAID)] == SAID
    # The tokens that ended the files have no longer agreement than the model's own choice outweighs.
    work = decoder.work.by_phase()
    assert work[Phase.PREFILL].prefill_tokens == len(PROMPT)
    assert work[Phase.VERIFICATION].layer_tokens >= 6 * len(SAID)  # they were taken along when the prompt was read
    assert len(behind) == 1


@pytest.mark.parametrize("point", [LOSSY, PROPAGATE], ids=["exact", "propagated"])
@pytest.mark.parametrize("policy", [FullDepth(), FixedExit(2)], ids=lambda policy: policy.name)
def test_tokens_taken_at_zero_change_nothing_of_the_text_where_the_mixture_agrees(
    decoder: Decoder, point: OperatingPoint, policy: object
) -> None:
    at_zero = decode(decoder, point, said=project(), n_tokens=len(SAID), policy=policy)
    through_layers = decode(
        Decoder(early_exit_model(tiny_model("llama", 0))), WITHOUT_ZERO, said=project(), n_tokens=len(SAID)
    )

    assert [token.token_id for token in at_zero] == [token.token_id for token in through_layers]


def test_lossless_text_is_that_of_full_depth_with_the_same_project(decoder: Decoder) -> None:
    drafted = decode(decoder, LOSSLESS, said=project())
    plain = OperatingPoint(energy_weight=0.0, lossless=True, lookup=0)
    one_by_one = decode(Decoder(early_exit_model(tiny_model("llama", 0))), plain, said=project())

    assert [token.token_id for token in drafted] == [token.token_id for token in one_by_one]
    assert {token.exit_layer for token in drafted} == {6}


def test_drafts_of_the_project_save_passes(decoder: Decoder) -> None:
    decode(decoder, LOSSLESS, said=project(), n_tokens=len(SAID))
    other = Decoder(early_exit_model(tiny_model("llama", 0)))
    decode(other, OperatingPoint(energy_weight=0.0, lossless=True, lookup=0), said=project(), n_tokens=len(SAID))

    assert decoder.work.by_phase()[Phase.DECODE].layer_passes < other.work.by_phase()[Phase.DECODE].layer_passes


class OnlyFirst(Constraint):
    """Lets one token be chosen first, and everything behind it."""

    def __init__(self, token_id: int) -> None:
        self._first = np.array([token_id])

    def allowed(self, token_ids: object) -> "np.ndarray[tuple[int], np.dtype[np.int64]] | None":
        return self._first if not token_ids else None


def test_what_is_typed_already_outweighs_the_project(decoder: Decoder) -> None:
    tokens = list(
        decoder.generate(
            PROMPT,
            policy=FullDepth(),
            point=LOSSY,
            stop=StopCondition(max_new_tokens=2),
            cancellation=NeverCancelled(),
            constraint=OnlyFirst(90),
            project=project(),
        )
    )

    assert tokens[0].token_id == 90


def test_without_a_project_nothing_is_taken_at_zero(decoder: Decoder) -> None:
    tokens = decode(decoder, LOSSY, said=None)

    assert {token.exit_layer for token in tokens} == {6}


def test_a_project_that_is_alone_says_what_it_is_sure_of_and_no_more(decoder: Decoder) -> None:
    tokens = decode(decoder, ALONE, said=project())

    assert [token.token_id for token in tokens] == SAID
    assert decoder.finish_reason is FinishReason.POLICY
    assert all(not work.layer_passes and not work.head_passes for work in decoder.work.by_phase().values())


def test_a_project_that_is_alone_and_not_sure_says_nothing(decoder: Decoder) -> None:
    decode(decoder, LOSSY, said=None, n_tokens=2)
    known = decoder.cached_ids

    assert decode(decoder, ALONE, said=None) == []
    assert (decoder.finish_reason, decoder.n_decoded) == (FinishReason.POLICY, 0)
    assert known[: len(PROMPT) - 1] == decoder.cached_ids  # the prompt as read stays for who asks the model
