"""GREEN-CODE's experiment with any supported model: early exit against full depth with and without a KV cache.

Each completion begins with an empty cache, so that reading the prompt counts as it does there. All ways to decode run
at the same places, in another order at each. Without a cache every token reads the whole text before it again.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from engine.completion.prompt import Prompt
from engine.completion.site import Site
from engine.corpus.code_x_glue import fetch_tokenised, read_tokenised
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.accounting import account
from engine.energy.cost_model import default_cost_model
from engine.energy.meter import EnergyWindow
from engine.errors import TrainingError
from engine.evaluation.arms import BASELINE, Situation, all_arms, chosen_arms
from engine.evaluation.code_x_glue_scores import edit_similarity_percent, exact_match, token_accuracy
from engine.evaluation.metrics import mean_code_bleu, rouge_l
from engine.evaluation.places import PAPER_CONTEXT, Place, paper_places
from engine.policy.learned import find_learned_policy
from engine.text import TextDecoder
from engine.types import Phase, ProgressSink, Provenance, Work, combine_provenance, no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from engine.corpus.code_x_glue import TokenisedCode
    from engine.corpus.packages import CorpusLanguage
    from engine.corpus.source_text import SourceFile
    from engine.energy.meter import EnergyMeter
    from engine.evaluation.arms import Arm
    from engine.model.loaded import LoadedModel

DataSet = Literal["held-out", "held-out-python", "held-out-java", "py150", "javacorpus"]

UNCACHED = "full-depth without a cache"
MAX_NEW_TOKENS = 15
_ARMS = ("fixed", "green:20", "green:50", "green:80", "green:100")
_LEAST_TOKENS, _MOST_TOKENS = 20, 600  # of the data set's own, before a cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One completion: what it cost, and what it said."""

    arm: str
    energy_j: float
    provenance: Provenance
    elapsed_s: float
    tokens: int
    layers: int
    text: str
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedRow:
    """One way to decode over all places.

    Attributes:
        arm: Its name.
        energy_j: Mean joules of a completion, the prompt included.
        provenance: How these were had.
        elapsed_s: Mean seconds of one.
        saved: Share of the energy of full depth with a KV cache.
        saved_uncached: Share of the energy of full depth without one, as the paper counts.
        mean_layers: Layers that a token ran through.
        rouge_l: ROUGE-L.
        code_bleu: CodeBLEU; None without a grammar for the language.
        exact: Share of completions that are the reference, token by token.
        edit_similarity: Mean, 0 to 100.
        token_accuracy: Share of the reference's tokens that are right where they stand.
    """

    arm: str
    energy_j: float
    provenance: Provenance
    elapsed_s: float
    saved: float
    saved_uncached: float
    mean_layers: float
    rouge_l: float
    code_bleu: float | None
    exact: float
    edit_similarity: float
    token_accuracy: float


def data_set_places(
    data_set: DataSet,
    loaded: LoadedModel,
    n_places: int,
    *,
    file: Path | None = None,
    held_out: Sequence[SourceFile] = (),
) -> list[Place]:
    """Places of the paper's protocol: the first fifth of a file as context, its next tokens as the reference.

    Raises:
        TrainingError: If the text cannot be had, or there is too little of it.
    """
    if data_set.startswith("held-out"):
        wanted = data_set.removeprefix("held-out").strip("-")
        sources = [source for source in held_out if wanted in {"", source.language}]
        return paper_places(sources, n_places, max_new_tokens=MAX_NEW_TOKENS)
    language: CorpusLanguage = "python" if data_set == "py150" else "java"
    codes = fetch_tokenised(language) if file is None else read_tokenised(file, language)
    places = list(islice(filter(None, (_place(at, code, loaded) for at, code in enumerate(codes))), n_places))
    if len(places) < n_places:
        raise TrainingError(f"There are {len(places)} places in this data set, not {n_places}; ask for fewer.")
    return places


def reproduce(
    loaded: LoadedModel,
    places: Sequence[Place],
    *,
    meter: EnergyMeter | None = None,
    progress: ProgressSink = no_progress,
) -> list[ReproducedRow]:
    """Decodes at every place in every way, and says what each cost and gave.

    Args:
        loaded: The model.
        places: Where to decode.
        meter: Measures what it can; joules are modelled where it cannot.
        progress: Is called for each place.
    """
    model = loaded.model
    learned = find_learned_policy(loaded.name, model.fingerprint, model.exits_fingerprint)
    arms = chosen_arms(all_arms(model.exit_layers, model.n_layers, learned), _ARMS)
    bench = _Bench(loaded, meter)
    samples: list[Sample] = []
    for index, place in enumerate(places):
        progress("Decoding", index, len(places))
        order = _shuffled([*arms, None], seed=index)
        samples += [replace(bench.decode(place, arm, seed=index), place=index) for arm in order]
    progress("Decoding", len(places), len(places))
    by_arm = {name: [s for s in samples if s.arm == name] for name in (UNCACHED, *(arm.name for arm in arms))}
    return [_row(name, by_arm, places) for name in by_arm]


def _place(index: int, code: TokenisedCode, loaded: LoadedModel) -> Place | None:
    """The cursor of one file; None where too little stands before it or behind it."""
    cut = len(code.tokens) if code.answer else min(int(len(code.tokens) * PAPER_CONTEXT), _MOST_TOKENS)
    before, behind = code.tokens[:cut], code.answer.split() or list(code.tokens[cut:])
    if len(before) < _LEAST_TOKENS or not behind:
        return None
    encode = loaded.tokenization.encode
    n_behind = 1
    while n_behind < len(behind) and len(encode(" ".join(behind[: n_behind + 1]))) <= MAX_NEW_TOKENS:
        n_behind += 1
    prefix = " ".join(before)
    return Place(
        language=code.language,
        file=f"{code.language} {index}",
        kind="paper",
        seed=0,
        site=Site(prefix=prefix, suffix="", prompt=Prompt(text=prefix, typed=""), is_ruled=False),
        truth=" ".join(behind),
        reference=" ".join(behind[:n_behind]),
    )


class _Bench:
    """A model, and how its joules are had."""

    def __init__(self, loaded: LoadedModel, meter: EnergyMeter | None) -> None:
        self._loaded, self._meter = loaded, meter
        self._cost = default_cost_model(loaded.model.geometry, loaded.device, loaded.runtime)

    def decode(self, place: Place, arm: Arm | None, *, seed: int) -> Sample:
        """One completion from an empty cache; without an arm, at full depth without one at all."""
        run = TextDecoder(self._loaded).at(place.site, max_new_tokens=MAX_NEW_TOKENS)
        with EnergyWindow(self._meter) as window:
            begun_s = time.perf_counter()
            if arm is None:
                token_ids, work = _uncached(self._loaded, run.prompt_ids)
                text, layers = run.text_of(token_ids), len(token_ids) * self._loaded.model.n_layers
            else:
                policy = arm.policy(Situation(seed=seed, mean_layers={}))
                said = run.decode(policy, arm.point, max_new_tokens=MAX_NEW_TOKENS, may_give_up=False)
                token_ids, work, text, layers = list(said.token_ids), said.work, said.text, sum(said.exit_layers)
            elapsed_s = time.perf_counter() - begun_s
        reading = account(work, cost_model=self._cost, window=window, elapsed_s=elapsed_s, baseline=work).reading
        return Sample(
            arm=UNCACHED if arm is None else arm.name,
            energy_j=reading.energy_j or 0.0,
            provenance=reading.provenance,
            elapsed_s=elapsed_s,
            tokens=len(token_ids),
            layers=layers,
            text=text,
        )


def _uncached(loaded: LoadedModel, prompt_ids: Sequence[int]) -> tuple[list[int], Mapping[Phase, Work]]:
    """Full depth that forgets everything after each token."""
    stop = StopCondition(max_new_tokens=1, end_ids=loaded.tokenization.end_ids)
    token_ids: list[int] = []
    work = dict.fromkeys(Phase, Work())
    while len(token_ids) < MAX_NEW_TOKENS:
        decoder = Decoder(loaded.model)
        new = decoder.decode_plainly([*prompt_ids, *token_ids], stop)
        work = {phase: work[phase] + decoder.work.by_phase()[phase] for phase in Phase}
        if not new:
            break
        token_ids += new
    return token_ids, work


def _row(name: str, by_arm: Mapping[str, Sequence[Sample]], places: Sequence[Place]) -> ReproducedRow:
    samples = by_arm[name]
    references = [places[sample.place].reference for sample in samples]
    pairs = [(sample.text, reference) for sample, reference in zip(samples, references, strict=True)]
    right = [token_accuracy(said.split(), truth.split()) for said, truth in pairs]
    energy_j = _mean([sample.energy_j for sample in samples])
    cached, uncached = (_mean([sample.energy_j for sample in by_arm[arm]]) for arm in (BASELINE, UNCACHED))
    n_tokens = sum(sample.tokens for sample in samples)
    return ReproducedRow(
        arm=name,
        energy_j=energy_j,
        provenance=combine_provenance(sample.provenance for sample in samples),
        elapsed_s=_mean([sample.elapsed_s for sample in samples]),
        saved=1 - energy_j / cached if cached else 0.0,
        saved_uncached=1 - energy_j / uncached if uncached else 0.0,
        mean_layers=sum(sample.layers for sample in samples) / max(1, n_tokens),
        rouge_l=_mean([rouge_l(*pair) for pair in pairs]),
        code_bleu=mean_code_bleu(
            (sample.text, reference, places[sample.place].language)
            for sample, reference in zip(samples, references, strict=True)
        ),
        exact=_mean([float(exact_match(*pair)) for pair in pairs]),
        edit_similarity=_mean([edit_similarity_percent(*pair) for pair in pairs]),
        token_accuracy=sum(n for n, _ in right) / max(1, sum(of for _, of in right)),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _shuffled(arms: list[Arm | None], seed: int) -> list[Arm | None]:
    random.Random(seed).shuffle(arms)  # noqa: S311 - nothing secret
    return arms
