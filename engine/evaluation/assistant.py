"""transformers' own self-speculative decoding, `generate(assistant_early_exit=L)`, beside ours: time only.

It drafts with the first L layers and checks at full depth, as LayerSkip does (arXiv 2404.16710), on the same weights.
Its exits read the head as they are, without training, and it counts no work; so the clock is all that can be
compared, and each of the two libraries with itself: an early exit against the same library without one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.evaluation.findings import Finding
from engine.model.loaded import synchronize
from engine.model.reference.eager import backbone_of
from engine.text import TextDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.places import Place
    from engine.model.loaded import LoadedModel
    from engine.types import ProgressSink

_PLACES = 8  # each takes five generations with a prompt of its own


@dataclass(slots=True, kw_only=True)
class _Clock:
    """Sums over the places; seconds."""

    plain_s: float = 0.0
    assisted_s: float = 0.0
    same: int = 0


def time_assistant(
    loaded: LoadedModel, places: Sequence[Place], *, max_new_tokens: int, progress: ProgressSink
) -> list[Finding]:
    """Times it at the exits at a third and two thirds of depth; where the model's family cannot, says so.

    Args:
        loaded: The model, on torch.
        places: The places to decode at; the first few are taken.
        max_new_tokens: How many tokens to decode at each.
        progress: Is called for each place.
    """
    exits = loaded.model.exit_layers
    chosen = sorted({min(exits, key=lambda at: abs(at - share * loaded.model.n_layers)) for share in (1 / 3, 2 / 3)})
    clocks = {layer: _Clock() for layer in chosen}
    texts, timed = TextDecoder(loaded), places[:_PLACES]
    for index, place in enumerate(timed):
        progress("Timing transformers' early exit", index, len(timed))
        prompt_ids = texts.prompt_ids(place.site, max_new_tokens=max_new_tokens)
        try:
            plain, plain_s = _decode_time(loaded, prompt_ids, max_new_tokens)
            for layer, clock in clocks.items():
                assisted, assisted_s = _decode_time(loaded, prompt_ids, max_new_tokens, assistant_early_exit=layer)
                clock.plain_s += plain_s
                clock.assisted_s += assisted_s
                clock.same += assisted == plain
        except (IndexError, ValueError, TypeError, AttributeError) as error:  # families it was not written for
            reason = str(error).partition("\n")[0]
            return [Finding(question="transformers' assistant_early_exit", answer=f"fails: {reason}", values={})]
    return [_finding(layer, clock, len(timed)) for layer, clock in clocks.items()]


def _finding(layer: int, clock: _Clock, n_places: int) -> Finding:
    saved = 1.0 - clock.assisted_s / clock.plain_s if clock.plain_s > 0 else 0.0
    return Finding(
        question=f"transformers' assistant_early_exit={layer}: decoding time saved against its own generate",
        answer=f"{100 * saved:.1f} % ({clock.assisted_s:.2f} s for {clock.plain_s:.2f} s); "
        f"same text at {clock.same} of {n_places} places",
        values={"saved": saved, "plain_s": clock.plain_s, "assisted_s": clock.assisted_s, "same": clock.same},
    )


def _decode_time(
    loaded: LoadedModel, prompt_ids: Sequence[int], max_new_tokens: int, **options: int
) -> tuple[list[int], float]:
    """The tokens, and the seconds behind the first one: the prompt takes as long in every way to decode."""
    _, first_s = _timed(loaded, prompt_ids, 1, {})
    tokens, all_s = _timed(loaded, prompt_ids, max_new_tokens, options)
    return tokens, max(all_s - first_s, 0.0)


def _timed(
    loaded: LoadedModel, prompt_ids: Sequence[int], max_new_tokens: int, options: dict[str, Any]
) -> tuple[list[int], float]:
    import torch
    from transformers.utils import logging

    backbone = backbone_of(loaded.model.runner)
    ids = torch.tensor([list(prompt_ids)], device=backbone.device)
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns of its own calls to itself
    begun_s = time.perf_counter()
    try:
        output = backbone.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, do_sample=False, **options
        )
        synchronize(loaded.device)
    finally:
        logging.set_verbosity(level)
    return [int(idx) for idx in output[0, len(prompt_ids) :]], time.perf_counter() - begun_s
