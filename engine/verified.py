"""`VerifiedPlace`: a request decoded as the product does, and at full depth, so that the saving can be verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.completion.site import site_for
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.model.loaded import synchronize
from engine.text import TextDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.loaded import LoadedModel
    from engine.policy.operating_point import Plan
    from engine.types import CompletionRequest, Phase, Work


class VerifiedPlace:
    """One place both ways; see `engine.energy.verification.BothWays`."""

    def __init__(self, loaded: LoadedModel, plan: Plan, request: CompletionRequest) -> None:
        self._loaded, self._plan, self._request = loaded, plan, request
        self._prompt_ids: list[int] = []
        self._n_decoded = 0

    def product(self) -> Mapping[Phase, Work]:
        """Runs it as the product does."""
        plan, max_new_tokens = self._plan, self._request.max_new_tokens
        self._loaded.model.use_cores(all_cores=plan.all_cores)
        run = TextDecoder(self._loaded).at(site_for(self._request), max_new_tokens=max_new_tokens)
        decoded = run.decode(plan.policy, plan.point, max_new_tokens=max_new_tokens)
        self._prompt_ids, self._n_decoded = run.prompt_ids, decoded.n_decoded
        return decoded.work

    def full(self) -> Mapping[Phase, Work]:
        """Runs as many tokens at full depth with a KV cache; called behind `product`."""
        decoder = Decoder(self._loaded.model)
        decoder.decode_plainly(self._prompt_ids, StopCondition(max_new_tokens=self._n_decoded))
        synchronize(self._loaded.device)
        return decoder.work.by_phase()
