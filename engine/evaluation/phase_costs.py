"""What reading a prompt takes, and what each token decoded behind it takes, apart and by the prompt's length.

The first half of Solovyeva and Castor's experiment (arXiv 2602.05712), with any supported model. Which tokens are read
does not matter to their cost.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.cost_model import default_cost_model, energy_j
from engine.errors import ConfigError
from engine.evaluation.spending import Spent  # noqa: TC001 - cattrs reads the annotations
from engine.types import Phase, ProgressSink, Work, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.resuming import KeptSamples
    from engine.evaluation.spending import Spending
    from engine.model.loaded import LoadedModel

DECODED = 32
"""Tokens of a window that measures decoding alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSample:
    """A prompt of some length read once, and `DECODED` tokens behind it; modelled joules beside what was measured."""

    prompt_tokens: int
    round: int
    prefill: Spent
    decode: Spent
    prefill_j: float
    decode_j: float

    @property
    def key(self) -> str:
        """What tells it from others."""
        return _key(self.prompt_tokens, self.round)


def measure_phases(
    loaded: LoadedModel,
    spending: Spending,
    lengths: Sequence[int],
    rounds: int,
    kept: KeptSamples[PhaseSample],
    *,
    progress: ProgressSink = no_progress,
) -> list[PhaseSample]:
    """Reads prompts of these lengths, and decodes behind each; the lengths take turns in each round.

    Raises:
        ConfigError: If a prompt is too long for the model.
    """
    most = loaded.model.max_positions - DECODED - 1
    if max(lengths) > most:
        raise ConfigError(f"A prompt of {max(lengths)} tokens is too long for this model; the most is {most}.")
    wanted = [(length, round_) for round_ in range(rounds) for length in _shuffled(lengths, seed=round_)]
    if any(_key(*each) not in kept.found for each in wanted):
        _measure(loaded, spending, min(lengths), 0)  # warms up: a first run allocates memory and chooses kernels
    samples = []
    for done, (length, round_) in enumerate(wanted):
        progress("Reading prompts and decoding behind them", done, len(wanted))
        samples.append(kept.take(_key(length, round_), partial(_measure, loaded, spending, length, round_)))
    progress("Reading prompts and decoding behind them", len(wanted), len(wanted))
    return samples


def _key(prompt_tokens: int, round_: int) -> str:
    return f"{prompt_tokens} {round_}"


def _measure(loaded: LoadedModel, spending: Spending, length: int, round_: int) -> PhaseSample:
    cost = default_cost_model(loaded.model.geometry, loaded.device, loaded.runtime)
    prompt_ids = [at % loaded.model.n_vocabulary for at in range(length)]
    read, prefill = spending.measure(lambda: _decode(Decoder(loaded.model), prompt_ids, 1))
    decoder = Decoder(loaded.model)
    _decode(decoder, prompt_ids, 1)  # fills the cache
    wrote, decode = spending.measure(lambda: _decode(decoder, prompt_ids, DECODED))
    return PhaseSample(
        prompt_tokens=length,
        round=round_,
        prefill=prefill,
        decode=decode,
        prefill_j=energy_j(cost, read),
        decode_j=energy_j(cost, wrote),
    )


def _decode(decoder: Decoder, prompt_ids: Sequence[int], n_tokens: int) -> Work:
    decoder.decode_plainly(prompt_ids, StopCondition(max_new_tokens=n_tokens))
    work = decoder.work.by_phase()
    return sum((work[phase] for phase in Phase), Work())


def _shuffled(lengths: Sequence[int], *, seed: int) -> list[int]:
    return random.Random(seed).sample(list(lengths), len(lengths))  # noqa: S311 - nothing secret
