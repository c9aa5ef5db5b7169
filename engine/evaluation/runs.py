"""START HERE for evaluation: `run_arms()` decodes every arm at every place and says what each cost and gave.

Arms take turns at each place, in another order at each, so that a machine that grows slow or warm is fair to all of
them; the prompt stays in the KV cache, so that they differ in decoding only, and in how much of the window they read.
`engine.evaluation.statistics` says what the numbers mean together.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.completion.kept import kept_characters
from engine.completion.prompt import build_prompt
from engine.completion.site import offered
from engine.completion.window import window_start
from engine.energy.cost_model import energy_j, phase_energy_j
from engine.evaluation.arms import BASELINE, ORACLE, ORACLE_OF_EXITS, ORIGINAL, Arm, Situation
from engine.evaluation.metrics import edit_similarity, rouge_l, same_line
from engine.evaluation.oracle import Oracle
from engine.policy.base import PLAIN_DECODING, OperatingPoint
from engine.policy.baselines import FullDepth
from engine.prefix import common_prefix
from engine.text import TextDecoder
from engine.types import FinishReason, Phase, ProgressSink, PromptOptions, Work, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.energy.cost_model import DeviceCostModel
    from engine.evaluation.places import Place
    from engine.model.loaded import LoadedModel
    from engine.policy.base import Action, ExitCandidate, ExitPolicy
    from engine.text import DecodedText, TextRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One arm at one place: what came out, and the time it took where the prompt but for its last position was read.

    Attributes:
        said: What came out.
        prompt: What reading the prompt took.
        decode_s: Seconds from that position, which gives the first token, to the end. When tokens are certain is not
            asked: several that are judged at once come late.
        cpu_s: Processor time of this process meanwhile, all threads, in seconds.
        policy_s: The part of `decode_s` that the policy took, its look at the hidden state included.
    """

    said: DecodedText
    prompt: Work
    decode_s: float
    cpu_s: float
    policy_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRun:
    """One arm at one place in numbers; lengths in characters, joules modelled.

    Attributes:
        arm: Its name.
        place: Index of the place.
        decode_j: Decoding, policy and verification; the prompt apart.
        prompt_j: All of the prompt, read from an empty cache.
        layer_passes: Layers read behind the prompt.
        head_passes: Times the LM head was read.
        weight_bytes: What these passes read of the weights.
        tokens: Tokens decoded.
        layers: Sum over the tokens of the layers that chose them.
        kept: What a developer keeps who types what stands in the file.
        kept_of_full: What they would keep if they wanted full depth's text.
        exact_line: 1 where the first line is the one in the file.
        edit_similarity: 0 to 1, with the reference.
        rouge_l: F1 of the longest common subsequence of words and signs.
        agreed: Tokens in the common prefix with full depth.
        identical: 1 where the tokens are those of full depth.
        finish_reason: Why it ended.
        text: What is offered at the cursor.
        passed: 1 where the program with this text passes its tests; None where there are none.
    """

    arm: str
    place: int
    decode_j: float
    prompt_j: float
    layer_passes: int
    head_passes: float
    weight_bytes: float
    decode_s: float
    cpu_s: float
    policy_s: float
    tokens: int
    layers: int
    kept: int
    kept_of_full: int
    exact_line: int
    edit_similarity: float
    rouge_l: float
    agreed: int
    identical: int
    finish_reason: str
    text: str
    passed: int | None = None


def everywhere(place: Place, baseline: DecodedText) -> bool:
    """The condition of a protocol that leaves no place out."""
    return True


def babbles(place: Place, baseline: DecodedText) -> bool:
    """Whether full depth goes on past the end of the line that it should complete."""
    return bool(baseline.text.partition("\n")[2].strip())


def run_arms(
    texts: TextDecoder,
    places: Sequence[Place],
    arms: Sequence[Arm],
    cost_model: DeviceCostModel,
    *,
    max_new_tokens: int,
    with_oracle: bool,
    original: LoadedModel | None = None,
    wanted: Callable[[Place, DecodedText], bool] = everywhere,
    progress: ProgressSink = no_progress,
) -> list[PlaceRun]:
    """Decodes every arm at every place.

    Args:
        texts: Decodes with the model, and holds the projects that the places name.
        places: The places to decode at.
        arms: The ways to decode; the first is the baseline that the others are compared with.
        cost_model: Joules of work.
        max_new_tokens: Upper bound on the tokens of a suggestion.
        with_oracle: Whether to find what hindsight would have saved, which takes an LM head at each exit.
        original: The model as it was before exits were trained, to decode with at full depth as well.
        wanted: Whether a place is of interest, given what the baseline says there; others are left out.
        progress: Is called for each place.
    """
    assert arms[0].name == BASELINE
    runs: list[PlaceRun] = []
    other = None if original is None else TextDecoder(original)
    if other is not None:
        other.projects = texts.projects
    for index, place in enumerate(places):
        progress("Decoding", index, len(places))
        bench = _Bench(texts, place, max_new_tokens)
        mean_layers: dict[str, float] = {}
        baseline: DecodedText | None = None
        for arm in _order(arms, seed=index):
            situation = Situation(seed=1000 * place.seed + index, mean_layers=mean_layers)
            timed = bench.decode(arm.policy(situation), arm.point)
            if baseline is None:
                baseline = timed.said
                if not wanted(place, baseline):
                    break
            if timed.said.exit_layers:
                mean_layers[arm.name] = sum(timed.said.exit_layers) / len(timed.said.exit_layers)
            runs.append(_judged(arm.name, index, bench, timed, baseline, cost_model=cost_model))
        else:
            if baseline is not None and original is not None and other is not None:
                unadapted = _Bench(other, place, max_new_tokens)
                timed = unadapted.decode(FullDepth(), arms[0].point)
                runs.append(_judged(ORIGINAL, index, unadapted, timed, baseline, cost_model=cost_model))
            if with_oracle and baseline is not None:
                runs += _oracles(bench, index, baseline, cost_model)
    progress("Decoding", len(places), len(places))
    return runs


def _order(arms: Sequence[Arm], seed: int) -> list[Arm]:
    """The baseline first, as the others are compared with it; then the rest in a random order."""
    rest = list(arms[1:])
    random.Random(seed).shuffle(rest)  # noqa: S311 - nothing secret
    return [arms[0], *sorted(rest, key=lambda arm: arm.runs_last)]


class _Bench:
    """One place, to decode at again and again with a watch in hand.

    Attributes:
        loaded: The model.
        place: The place.
        run: The product's own way to decode there, behind all of the window.
    """

    def __init__(self, texts: TextDecoder, place: Place, max_new_tokens: int) -> None:
        self.loaded, self.place, self._max_new_tokens = texts.loaded, place, max_new_tokens
        self._texts = texts
        # By where the window begins and how deep its far tokens ran: what decodes behind it, and what reading it took.
        self._runs: dict[tuple[int, float], tuple[TextRun, Work]] = {}
        self.run, _ = self._read_for(PLAIN_DECODING)

    def decode(
        self, policy: ExitPolicy, point: OperatingPoint, *, max_new_tokens: int | None = None, may_give_up: bool = True
    ) -> Timed:
        """Decodes once; by default to the product's own length limit, and unlikely texts as far as the product does."""
        run, prompt = self._read_for(point)
        timed = _TimedPolicy(policy)
        begun_s, cpu_begun_s = time.perf_counter(), time.process_time()
        said = run.decode(
            timed,
            point,
            max_new_tokens=max_new_tokens or self._max_new_tokens,
            may_give_up=may_give_up,
        )
        decode_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_begun_s
        return Timed(said=said, prompt=prompt, decode_s=decode_s, cpu_s=cpu_s, policy_s=timed.elapsed_s)

    def _read_for(self, point: OperatingPoint) -> tuple[TextRun, Work]:
        """What reads the prompt as an operating point does, and has read it, with what that took."""
        site = self.place.site
        share = self._texts.window_share(site.in_project, point)
        key = start, _ = window_start(site.prefix, PromptOptions(), share), point.prompt_depth
        if key not in self._runs:
            if share < 1.0:
                site = replace(site, prompt=build_prompt(site.prefix, site.suffix, start=start))
            # As if the model were not asked: each gets a cache of its own, and reads all of its prompt.
            run = self._texts.at(site, max_new_tokens=self._max_new_tokens, reads=False)
            read = replace(PLAIN_DECODING, lossless=False, prompt_depth=point.prompt_depth)
            said = run.decode(FullDepth(), read, max_new_tokens=1)
            self._runs[key] = run, said.work[Phase.PREFILL]
        return self._runs[key]


class _TimedPolicy:
    """Another policy, and the time it takes.

    Attributes:
        elapsed_s: Seconds so far.
    """

    def __init__(self, policy: ExitPolicy) -> None:
        self._policy = policy
        self.elapsed_s = 0.0

    @property
    def name(self) -> str:
        """See `ExitPolicy.name`."""
        return self._policy.name

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        begun_s = time.perf_counter()
        action = self._policy.decide(candidate)
        self.elapsed_s += time.perf_counter() - begun_s
        return action


def _judged(
    arm: str,
    index: int,
    bench: _Bench,
    timed: Timed,
    baseline: DecodedText,
    *,
    cost_model: DeviceCostModel,
    charged: Sequence[Phase] = (Phase.DECODE, Phase.POLICY, Phase.VERIFICATION),
) -> PlaceRun:
    """What a run cost by the cost model, and how its text compares with the truth and with full depth."""
    said = timed.said
    joules = phase_energy_j(cost_model, said.work)
    layer_passes = sum(said.work[phase].layer_passes for phase in charged)
    head_passes = sum(said.work[phase].head_passes for phase in charged)
    place, geometry = bench.place, bench.loaded.model.geometry
    weights = layer_passes * geometry.layer_params + head_passes * geometry.head_params
    return PlaceRun(
        arm=arm,
        place=index,
        decode_j=sum(joules[phase] for phase in charged),
        prompt_j=energy_j(cost_model, timed.prompt),
        layer_passes=layer_passes,
        head_passes=head_passes,
        weight_bytes=weights * geometry.bytes_per_param,
        decode_s=timed.decode_s,
        cpu_s=timed.cpu_s,
        policy_s=timed.policy_s,
        tokens=len(said.token_ids),
        layers=sum(said.exit_layers),
        kept=kept_characters(said.text, place.truth),
        kept_of_full=kept_characters(said.text, baseline.text),
        exact_line=int(same_line(said.text, place.truth)),
        edit_similarity=edit_similarity(said.text, place.reference),
        rouge_l=rouge_l(said.text, place.reference),
        agreed=common_prefix(said.token_ids, baseline.token_ids),
        identical=int(said.token_ids == baseline.token_ids),
        finish_reason=said.finish_reason.value,
        text=said.text,
    )


def _oracles(bench: _Bench, index: int, baseline: DecodedText, cost_model: DeviceCostModel) -> list[PlaceRun]:
    """What hindsight saves by exits and by ending with the token of the last character kept; and by exits alone.

    The first token comes from the prompt in any case.
    """
    ids = baseline.token_ids
    point = OperatingPoint(energy_weight=1.0, lossless=False)
    charged = (Phase.DECODE, Phase.VERIFICATION)  # hindsight is free
    return [
        _judged(
            name,
            index,
            bench,
            # With all its tokens the text ends as full depth's did, by an end token where that had one.
            bench.decode(
                Oracle(ids),
                point,
                max_new_tokens=n_tokens if n_tokens < len(ids) else baseline.n_decoded,
                may_give_up=False,
            ),
            baseline,
            cost_model=cost_model,
            charged=charged,
        )
        for name, n_tokens in ((ORACLE, _n_useful(bench, baseline)), (ORACLE_OF_EXITS, len(ids)))
    ]


def _n_useful(bench: _Bench, baseline: DecodedText) -> int:
    """How many of the tokens already give all that is kept of full depth's text, were they the limit of its length."""
    place, ids = bench.place, baseline.token_ids
    kept = kept_characters(baseline.text, place.truth)
    shorter = (offered(place.site, bench.run.text_of(ids[:n]), FinishReason.LENGTH) for n in range(1, len(ids)))
    return next((n for n, text in enumerate(shorter, 1) if kept_characters(text, place.truth) >= kept), len(ids))
