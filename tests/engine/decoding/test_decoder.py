import random
from collections import deque
from dataclasses import replace

import pytest
import torch

from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.decoding.tokens import DecodedToken
from engine.model.families import FAMILIES
from engine.model.reference.kv_cache import LayeredKVCache
from engine.model.reference.trained_exits import TrainedExits
from engine.model.stored_exits import TrainedExitsInfo
from engine.policy.base import Action, ExitCandidate, ExitPolicy, Fill, OperatingPoint
from engine.policy.baselines import ConfidenceThreshold, FixedExit, FullDepth
from engine.policy.operating_point import plan_for
from engine.types import FinishReason, NeverCancelled, Phase
from tests.engine.decoding.fakes import CancelAfter, RandomPolicy
from tests.tiny_models import early_exit_model, greedy, tiny_model

LOSSLESS = OperatingPoint(energy_weight=0.0, lossless=True)
LOSSY = OperatingPoint(energy_weight=0.5, lossless=False)
PROPAGATE = OperatingPoint(energy_weight=1.0, lossless=False, fill=Fill.PROPAGATE)
TO_LENGTH = StopCondition(max_new_tokens=24)
PROMPT = [5, 17, 3, 88, 42, 9, 9, 61, 30, 12, 77, 2]


def decode(
    decoder: Decoder,
    policy: ExitPolicy,
    point: OperatingPoint,
    prompt: list[int] = PROMPT,
    stop: StopCondition = TO_LENGTH,
) -> list[DecodedToken]:
    return list(decoder.generate(prompt, policy=policy, point=point, stop=stop, cancellation=NeverCancelled()))


def ids(tokens: list[DecodedToken]) -> list[int]:
    return [token.token_id for token in tokens]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
class TestEveryFamily:
    def test_full_depth_equals_transformers_generate(self, family: str, seed: int) -> None:
        model = tiny_model(family, seed)

        tokens = decode(Decoder(early_exit_model(model)), FullDepth(), LOSSLESS)

        assert ids(tokens) == greedy(model, PROMPT, 24)
        assert {token.exit_layer for token in tokens} == {6}

    @pytest.mark.parametrize(
        "policy",
        [
            FixedExit(1),
            FixedExit(4),
            ConfidenceThreshold(0.5),
            RandomPolicy(0, (Action.CONTINUE, Action.EXIT)),
            RandomPolicy(1, (Action.CONTINUE, Action.EXIT, Action.VERIFY)),
        ],
        ids=lambda policy: policy.name,
    )
    def test_lossless_equals_transformers_generate_whatever_the_exits(
        self, family: str, seed: int, policy: ExitPolicy
    ) -> None:
        model = tiny_model(family, seed)
        early_exit = early_exit_model(model, exit_layers=range(1, 6))

        tokens = decode(Decoder(early_exit), policy, LOSSLESS)

        assert ids(tokens) == greedy(model, PROMPT, 24)

    def test_the_stand_in_for_a_policy_leaves_at_one_exit_and_at_0_at_none(self, family: str, seed: int) -> None:
        model = tiny_model(family, seed)
        early_exit = early_exit_model(model, exit_layers=(2, 4))
        lossless, greenest = (plan_for(mode, None, (2, 4, 6)) for mode in (0, 100))

        tokens = decode(Decoder(early_exit), greenest.policy, replace(greenest.point, text_chance=0.0))

        exits = [token.exit_layer for token in tokens]
        assert {*exits} == {4, 6}  # the nearest to 0.7 of the layers; all where waiting rows have become too many
        assert exits.count(4) > 0.75 * len(exits)
        assert ids(decode(Decoder(early_exit), lossless.policy, lossless.point)) == greedy(model, PROMPT, 24)

    def test_exact_fill_leaves_the_cache_that_full_depth_would(self, family: str, seed: int) -> None:
        model = early_exit_model(tiny_model(family, seed), exit_layers=(2, 4))
        exits = decode(Decoder(model), RandomPolicy(seed, (Action.CONTINUE, Action.EXIT)), LOSSY)
        text = PROMPT + ids(exits)
        warm, cold = Decoder(model), Decoder(model)
        decode(warm, RandomPolicy(seed, (Action.CONTINUE, Action.EXIT)), LOSSY)

        after_exits = decode(warm, FullDepth(), LOSSLESS, prompt=text)

        assert warm.reused_tokens > len(PROMPT)
        assert ids(after_exits) == ids(decode(cold, FullDepth(), LOSSLESS, prompt=text))

    def test_propagated_keys_and_values_are_those_of_the_layer(self, family: str, seed: int) -> None:
        model = early_exit_model(tiny_model(family, seed), exit_layers=(5,))
        ran, propagated = LayeredKVCache(6), LayeredKVCache(6)
        with torch.inference_mode():
            hidden = model.run_layers(model.embed(PROMPT, 0), 0, 5, ran)
            model.run_layers(model.embed(PROMPT, 0), 0, 5, propagated)
            model.run_layers(hidden, 5, 6, ran)
            model.propagate(hidden, 5, propagated)

        # From the input of the last layer, propagation and running it must store the same.
        torch.testing.assert_close(propagated.layer(5), ran.layer(5))


def test_exits_shorten_the_work_and_are_reported() -> None:
    decoder = Decoder(early_exit_model(tiny_model("llama"), exit_layers=(2, 4)))

    tokens = decode(decoder, FixedExit(2), PROPAGATE)

    assert [token.exit_layer for token in tokens] == [6] + [2] * 23
    decode_work = decoder.work.by_phase()[Phase.DECODE]
    assert decode_work.layer_passes == 23 * 2
    assert decode_work.propagated_layers == 23 * 4


@pytest.mark.parametrize("point", [LOSSLESS, LOSSY, PROPAGATE], ids=["lossless", "lossy", "propagate"])
def test_every_position_that_attention_reads_is_counted(point: OperatingPoint, monkeypatch: pytest.MonkeyPatch) -> None:
    model = early_exit_model(tiny_model("llama"), exit_layers=(2, 4))
    decoder, read, attended, run_layers = Decoder(model), 0, 0, model.run_layers

    def watched(hidden: torch.Tensor, start: int, stop: int, cache: LayeredKVCache) -> torch.Tensor:
        nonlocal read, attended
        contexts = [cache.lengths[start] + row + 1 for row in range(hidden.shape[1])]
        read += (stop - start) * contexts[-1]
        attended += (stop - start) * sum(contexts)
        hidden = run_layers(hidden, start, stop, cache)
        assert cache.lengths[start] == contexts[-1]
        return hidden

    monkeypatch.setattr(model, "run_layers", watched)
    decode(decoder, RandomPolicy(0, (Action.CONTINUE, Action.EXIT)), point)
    counts = decoder.work.by_phase()
    decode(decoder, RandomPolicy(1, (Action.CONTINUE, Action.EXIT)), point, prompt=[*PROMPT, 4, 5])
    again = decoder.work.by_phase()

    assert decoder.reused_tokens > 0
    works = [*counts.values(), *again.values()]
    assert sum(work.context_passes for work in works) == read
    assert sum(work.context_tokens for work in works) == attended
    assert counts[Phase.PREFILL].context_tokens == 6 * sum(range(1, len(PROMPT) + 1))


def test_waiting_rows_are_bounded() -> None:
    point = OperatingPoint(energy_weight=0.5, lossless=False, max_waiting=3)
    decoder = Decoder(early_exit_model(tiny_model("llama"), exit_layers=(2, 4)))

    tokens = decode(decoder, FixedExit(2), point)

    assert [token.exit_layer for token in tokens[:9]] == [6, 2, 2, 2, 6, 2, 2, 2, 6]


def test_verify_takes_wrong_drafts_back_where_exits_are_final() -> None:
    model = tiny_model("llama")
    verify_deep = RandomPolicy(3, (Action.VERIFY,))

    tokens = decode(Decoder(early_exit_model(model, exit_layers=(2, 4))), verify_deep, LOSSY)

    assert ids(tokens) == greedy(model, PROMPT, 24)


def test_stop_ends_before_the_token_at_hand() -> None:
    class StopAtThird:
        name = "stop-at-third"

        def decide(self, candidate: ExitCandidate) -> Action:
            return Action.STOP if candidate.n_emitted == 3 else Action.EXIT

    decoder = Decoder(early_exit_model(tiny_model("llama"), exit_layers=(2, 4)))

    tokens = decode(decoder, StopAtThird(), LOSSY)

    assert len(tokens) == 3
    assert decoder.finish_reason is FinishReason.POLICY


def test_text_ends_at_an_end_token_which_is_not_part_of_it() -> None:
    model = tiny_model("llama")
    expected = greedy(model, PROMPT, 24)
    stop = StopCondition(max_new_tokens=24, end_ids=frozenset({expected[5]}))
    decoder = Decoder(early_exit_model(model, exit_layers=(2, 4)))

    tokens = decode(decoder, FixedExit(2), LOSSLESS, stop=stop)

    assert ids(tokens) == expected[: expected.index(expected[5])]
    assert decoder.finish_reason is FinishReason.STOP


def test_a_draft_that_is_taken_back_does_not_end_the_text() -> None:
    model = tiny_model("llama")
    expected = greedy(model, PROMPT, 24)
    drafts = decode(Decoder(early_exit_model(model, exit_layers=(2,))), FixedExit(2), PROPAGATE)
    wrong = next(token_id for token_id in ids(drafts) if token_id not in expected)
    stop = StopCondition(
        max_new_tokens=24, rule=lambda token_ids: FinishReason.STOP if token_ids[-1] == wrong else None
    )

    decoder = Decoder(early_exit_model(model, exit_layers=(2,)))
    tokens = decode(decoder, FixedExit(2), LOSSLESS, stop=stop)

    assert ids(tokens) == expected


def test_typing_on_prefills_only_what_is_new() -> None:
    decoder = Decoder(early_exit_model(tiny_model("llama")))
    decode(decoder, FullDepth(), LOSSLESS)

    decode(decoder, FullDepth(), LOSSLESS, prompt=[*PROMPT, 96, 95])

    assert decoder.reused_tokens == len(PROMPT)
    assert decoder.work.by_phase()[Phase.PREFILL].prefill_tokens == 2


def test_a_long_prompt_in_chunks_equals_transformers_generate() -> None:
    model = tiny_model("gemma3_text")
    prompt = random.Random(1).choices(range(97), k=450)

    tokens = decode(Decoder(early_exit_model(model)), FullDepth(), LOSSLESS, prompt=prompt)

    assert ids(tokens) == greedy(model, prompt, 24)


@pytest.mark.parametrize("n_questions", range(0, 60, 3))
def test_a_cancelled_request_leaves_a_sound_cache(n_questions: int) -> None:
    model = tiny_model("llama")
    decoder = Decoder(early_exit_model(model, exit_layers=(2, 4)))
    cancelled = decoder.generate(
        PROMPT,
        policy=RandomPolicy(n_questions, (Action.CONTINUE, Action.EXIT)),
        point=LOSSLESS,
        stop=TO_LENGTH,
        cancellation=CancelAfter(n_questions),
    )
    seen = ids(list(cancelled))

    assert decoder.finish_reason is FinishReason.CANCELLED
    assert seen == greedy(model, PROMPT, 24)[: len(seen)]
    assert ids(decode(decoder, FullDepth(), LOSSLESS)) == greedy(model, PROMPT, 24)


@pytest.mark.parametrize("seed", range(4))
def test_far_tokens_that_left_at_an_exit_are_read_anew_for_text_that_must_be_full_depths(seed: int) -> None:
    model, rng = tiny_model("llama", seed), random.Random(seed)
    green = replace(LOSSY, prompt_depth=0.6)
    decoder = Decoder(early_exit_model(model, exit_layers=(2, 4)), keeps_rows=True)
    text = rng.choices(range(97), k=150)
    n_read_anew = n_reused = 0
    is_approximate = False
    for _ in range(24):
        if rng.random() < 0.5:
            text = [*text[: rng.randrange(20, len(text))], *rng.choices(range(97), k=rng.choice((1, 2, 70, 140)))]
        prompt = text[-400:]
        if rng.random() < 0.6:
            cancellation = CancelAfter(rng.randrange(8, 200))
            deque(
                decoder.generate(prompt, policy=FullDepth(), point=green, stop=TO_LENGTH, cancellation=cancellation),
                maxlen=0,
            )
            n_reused += decoder.reused_tokens > 0
            is_approximate = is_approximate or decoder.work.left_out.layer_passes > 0
        else:
            assert ids(decode(decoder, FullDepth(), LOSSLESS, prompt=prompt)) == greedy(model, prompt, 24)
            n_read_anew += is_approximate
            is_approximate = False
    assert n_read_anew
    assert n_reused


def test_what_a_runner_filled_before_it_failed_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model = early_exit_model(tiny_model("llama"), exit_layers=(2, 4))
    decoder = Decoder(model)
    prompt = random.Random(1).choices(range(97), k=300)
    n_left = 9

    def fails(hidden: torch.Tensor, start: int, stop: int, cache: LayeredKVCache) -> torch.Tensor:
        nonlocal n_left
        n_left -= 1
        if not n_left:
            raise MemoryError
        rows: torch.Tensor = model.runner.run_layers(hidden, start, stop, cache)
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(model, "run_layers", fails)
        with pytest.raises(MemoryError):
            decode(decoder, FullDepth(), replace(LOSSY, prompt_depth=0.6), prompt=prompt)

    assert not decoder.cached_ids
    assert ids(decode(decoder, FullDepth(), LOSSLESS, prompt=prompt)) == greedy(tiny_model("llama"), prompt, 24)


def test_far_tokens_save_the_layers_behind_their_exit() -> None:
    model = early_exit_model(tiny_model("llama"), exit_layers=(2, 4))
    prompt = random.Random(1).choices(range(97), k=300)
    early, whole = Decoder(model), Decoder(model)
    decode(early, FullDepth(), replace(LOSSY, prompt_depth=0.6), prompt=prompt)
    decode(whole, FullDepth(), LOSSY, prompt=prompt)

    read, full = early.work.by_phase()[Phase.PREFILL], whole.work.by_phase()[Phase.PREFILL]
    assert read.layer_passes < full.layer_passes
    assert read + early.work.left_out.total() == full
    assert read.prefill_tokens < 0.9 * len(prompt) == 0.9 * full.prefill_tokens


def test_tokens_stream_before_the_text_is_complete() -> None:
    decoder = Decoder(early_exit_model(tiny_model("llama")))
    stream = decoder.generate(
        PROMPT,
        policy=FullDepth(),
        point=LOSSLESS,
        stop=TO_LENGTH,
        cancellation=NeverCancelled(),
    )

    next(stream)

    assert decoder.work.by_phase()[Phase.DECODE].tokens == 0  # the first comes from the prompt's last position


@pytest.mark.parametrize("policy", [FullDepth(), FixedExit(4)])
def test_a_short_list_is_asked_first_and_the_whole_head_judges_several_tokens_at_once(policy: ExitPolicy) -> None:
    backbone, shortlist = tiny_model("llama"), [1, 4, 50, 96]
    plain = early_exit_model(backbone)
    info = TrainedExitsInfo(
        model="tiny",
        fingerprint=plain.fingerprint,
        exit_layers=(),
        corpus_sha256="",
        train_tokens=1,
        created="2026-01-31",
        agreement=(),
    )
    listed = early_exit_model(backbone, (2, 4), TrainedExits(info, {}, shortlist=torch.tensor(shortlist)))
    decoder = Decoder(listed)

    assert ids(decode(decoder, policy, LOSSLESS)) == greedy(backbone, PROMPT, 24)
    tokens = decode(decoder, policy, LOSSY)
    work, share = decoder.work.by_phase(), (4 + len(set(PROMPT))) / 97
    assert ids(tokens) != ids(tokens)[:1] * 24
    assert work[Phase.DECODE].head_passes == pytest.approx(share * round(work[Phase.DECODE].head_passes / share))
    judged = work[Phase.VERIFICATION]
    assert judged.head_passes == round(judged.head_passes) > 0
