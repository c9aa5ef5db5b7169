"""START HERE for evaluation: `run_arms()` decodes every arm at every place and says what each cost and gave.

Arms take turns at each place, in another order at each, so that a machine that grows slow or warm is fair to all of
them; the prompt stays in the KV cache, so that they differ in decoding only. What the numbers mean together is
`engine.evaluation.statistics`' affair.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.completion.kept import kept_characters
from engine.completion.shape import is_complete
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.cost_model import phase_energy_j
from engine.evaluation.arms import BASELINE, ORACLE, ORACLE_OF_EXITS, ORIGINAL, Arm, Situation
from engine.evaluation.metrics import edit_similarity, rouge_l, same_line
from engine.evaluation.oracle import Oracle
from engine.evaluation.places import suggested
from engine.model.loaded import synchronize
from engine.policy.base import OperatingPoint
from engine.policy.baselines import FullDepth
from engine.prefix import common_prefix
from engine.types import NeverCancelled, Phase, ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.energy.cost_model import DeviceCostModel
    from engine.evaluation.places import Place
    from engine.model.loaded import LoadedModel
    from engine.policy.base import Action, ExitCandidate, ExitPolicy
    from engine.types import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One arm at one place: what came out, and what it took behind the prompt.

    Attributes:
        token_ids: The tokens, without an end token.
        text: What is offered at the cursor.
        raw: What was decoded, before anything was cut off.
        finish_reason: Why it ended.
        exit_layers: The layers that chose each token.
        work: By phase.
        decode_s: From the first token, which the prompt's last position gives, to the last, in seconds.
        cpu_s: Processor time of this process meanwhile, all threads, in seconds.
        policy_s: Of `decode_s`, what the policy took, its look at the hidden state included.
    """

    token_ids: tuple[int, ...]
    text: str
    raw: str
    finish_reason: str
    exit_layers: tuple[int, ...]
    work: Mapping[Phase, Work]
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
        prefill_j: The prompt's positions that the cache did not hold.
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
    prefill_j: float
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


def everywhere(place: Place, baseline: Decoded) -> bool:
    """The condition of a protocol that leaves no place out."""
    return True


def babbles(place: Place, baseline: Decoded) -> bool:
    """Whether full depth goes on past the end of the line that it should complete."""
    return bool(baseline.text.partition("\n")[2].strip())


def run_arms(
    loaded: LoadedModel,
    places: Sequence[Place],
    arms: Sequence[Arm],
    cost_model: DeviceCostModel,
    *,
    max_new_tokens: int,
    with_oracle: bool,
    original: LoadedModel | None = None,
    wanted: Callable[[Place, Decoded], bool] = everywhere,
    progress: ProgressSink = no_progress,
) -> list[PlaceRun]:
    """Decodes every arm at every place.

    Args:
        loaded: The model.
        places: Where.
        arms: How; the first is the baseline that the others are compared with.
        cost_model: Joules of work.
        max_new_tokens: Upper bound on the tokens of a suggestion.
        with_oracle: Whether to find what hindsight would have saved, which takes an LM head at each exit.
        original: The model as it was before exits were trained, to decode with at full depth as well.
        wanted: Whether a place is of interest, given what the baseline says there; others are left out.
        progress: Told of the places done.
    """
    assert arms[0].name == BASELINE
    runs: list[PlaceRun] = []
    decoder = Decoder(loaded.model)
    other = None if original is None else Decoder(original.model)
    for index, place in enumerate(places):
        progress("Decoding", index, len(places))
        site = _Site(loaded, decoder, place, max_new_tokens)
        site.decode(
            arms[0].policy(Situation(seed=0, mean_layers={})), arms[0].point, max_new_tokens=1
        )  # fills the cache
        mean_layers: dict[str, float] = {}
        baseline: Decoded | None = None
        for arm in _order(arms, seed=index):
            situation = Situation(seed=1000 * place.seed + index, mean_layers=mean_layers)
            decoded = site.decode(arm.policy(situation), arm.point)
            if baseline is None:
                baseline = decoded
                if not wanted(place, baseline):
                    break
            if decoded.exit_layers:
                mean_layers[arm.name] = sum(decoded.exit_layers) / len(decoded.exit_layers)
            runs.append(_judged(arm.name, index, site, decoded, baseline, cost_model=cost_model))
        else:
            if baseline is not None and original is not None and other is not None:
                unadapted = _Site(original, other, place, max_new_tokens)
                decoded = unadapted.decode(FullDepth(), arms[0].point)
                runs.append(_judged(ORIGINAL, index, unadapted, decoded, baseline, cost_model=cost_model))
            if with_oracle and baseline is not None:
                runs += _oracles(site, index, baseline, cost_model)
    progress("Decoding", len(places), len(places))
    return runs


def _order(arms: Sequence[Arm], seed: int) -> list[Arm]:
    """The baseline first, as the others are compared with it; then the rest in a random order."""
    rest = list(arms[1:])
    random.Random(seed).shuffle(rest)  # noqa: S311 - nothing secret
    return [arms[0], *sorted(rest, key=lambda arm: arm.runs_last)]


class _Site:
    """One place, ready to decode at again and again.

    Attributes:
        place: The place.
    """

    def __init__(self, loaded: LoadedModel, decoder: Decoder, place: Place, max_new_tokens: int) -> None:
        self.place = place
        self.loaded = loaded
        self._decoder, self._max_new_tokens = decoder, max_new_tokens
        room = max(1, loaded.model.max_positions - max_new_tokens)
        self._prompt_ids = loaded.tokenization.encode(place.prompt.text)[-room:]

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text that tokens add behind the prompt."""
        return self.loaded.tokenization.continuation(self._prompt_ids, token_ids)

    def decode(self, policy: ExitPolicy, point: OperatingPoint, *, max_new_tokens: int | None = None) -> Decoded:
        """Decodes once; by default to the product's own length limit."""
        timed = _TimedPolicy(policy)
        ids: list[int] = []
        exit_layers: list[int] = []
        shape = self.place.shape
        stop = StopCondition(
            max_new_tokens=max_new_tokens or self._max_new_tokens,
            end_ids=self.loaded.tokenization.end_ids,
            is_complete=lambda ids: shape is not None and is_complete(self.text_of(ids), shape),
        )
        begun_s = cpu_begun_s = 0.0
        for token in self._decoder.generate(
            self._prompt_ids, policy=timed, point=point, stop=stop, cancellation=NeverCancelled()
        ):
            if not ids:
                begun_s, cpu_begun_s = time.perf_counter(), time.process_time()
            ids.append(token.token_id)
            exit_layers.append(token.exit_layer)
        synchronize(self.loaded.device)
        decode_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_begun_s
        raw = self.text_of(ids)
        return Decoded(
            token_ids=tuple(ids),
            text=suggested(raw, self.place),
            raw=raw,
            finish_reason=self._decoder.finish_reason.value,
            exit_layers=tuple(exit_layers),
            work=self._decoder.work.by_phase(),
            decode_s=decode_s if ids else 0.0,
            cpu_s=cpu_s if ids else 0.0,
            policy_s=timed.elapsed_s,
        )


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
    site: _Site,
    decoded: Decoded,
    baseline: Decoded,
    *,
    cost_model: DeviceCostModel,
    charged: Sequence[Phase] = (Phase.DECODE, Phase.POLICY, Phase.VERIFICATION),
) -> PlaceRun:
    joules = phase_energy_j(cost_model, decoded.work)
    layer_passes = sum(decoded.work[phase].layer_passes for phase in charged)
    head_passes = sum(decoded.work[phase].head_passes for phase in charged)
    place, geometry = site.place, site.loaded.model.geometry
    weights = layer_passes * geometry.layer_params + head_passes * geometry.head_params
    return PlaceRun(
        arm=arm,
        place=index,
        decode_j=sum(joules[phase] for phase in charged),
        prefill_j=joules[Phase.PREFILL],
        layer_passes=layer_passes,
        head_passes=head_passes,
        weight_bytes=weights * geometry.bytes_per_param,
        decode_s=decoded.decode_s,
        cpu_s=decoded.cpu_s,
        policy_s=decoded.policy_s,
        tokens=len(decoded.token_ids),
        layers=sum(decoded.exit_layers),
        kept=kept_characters(decoded.text, place.truth),
        kept_of_full=kept_characters(decoded.text, baseline.text),
        exact_line=int(same_line(decoded.text, place.truth)),
        edit_similarity=edit_similarity(decoded.text, place.reference),
        rouge_l=rouge_l(decoded.text, place.reference),
        agreed=common_prefix(decoded.token_ids, baseline.token_ids),
        identical=int(decoded.token_ids == baseline.token_ids),
        finish_reason=decoded.finish_reason,
        text=decoded.text,
    )


def _oracles(site: _Site, index: int, baseline: Decoded, cost_model: DeviceCostModel) -> list[PlaceRun]:
    """What hindsight saves by exits and by ending with the token of the last character kept; and by exits alone.

    The first token comes from the prompt in any case.
    """
    place, ids = site.place, baseline.token_ids
    kept = kept_characters(baseline.text, place.truth)
    n_useful = 1
    while kept_characters(suggested(site.text_of(ids[:n_useful]), place), place.truth) < kept:
        n_useful += 1
    point = OperatingPoint(energy_weight=1.0, lossless=False)
    charged = (Phase.DECODE, Phase.VERIFICATION)  # hindsight is free
    return [
        _judged(
            name,
            index,
            site,
            site.decode(Oracle(ids), point, max_new_tokens=n_tokens),
            baseline,
            cost_model=cost_model,
            charged=charged,
        )
        for name, n_tokens in ((ORACLE, n_useful), (ORACLE_OF_EXITS, max(1, len(ids))))
    ]
