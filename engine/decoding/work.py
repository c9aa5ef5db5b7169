"""Counts what the decoder computes, by phase: the input of the cost model. Plain numbers, cheap in the hot path."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.types import Phase, Work


@dataclass(slots=True)
class PhaseCounter:
    """The running counts of one phase; the fields are those of `Work`."""

    prefill_tokens: int = 0
    tokens: int = 0
    layer_passes: int = 0
    layer_tokens: int = 0
    head_passes: float = 0.0
    head_tokens: float = 0.0
    propagated_layers: int = 0
    policy_checks: int = 0
    context_passes: int = 0
    context_tokens: int = 0

    def layers(self, *, passes: int, context: int) -> None:
        """Counts `passes` layer passes over one position each, which attends to `context` of them."""
        self.layer_passes += passes
        self.layer_tokens += passes
        self.context_passes += passes * context
        self.context_tokens += passes * context

    def further(self, *, passes: int, rows: int, start: int) -> None:
        """Counts `rows` further positions that go along in `passes` layer passes, with all from `start` on."""
        self.layer_tokens += passes * rows
        self.context_tokens += passes * further_context(rows, start)

    def head(self, share: float) -> None:
        """Counts one pass over that share of the LM head, for one position."""
        self.head_passes += share
        self.head_tokens += share

    def total(self) -> Work:
        """The counts so far."""
        return Work(**{name: getattr(self, name) for name in self.__slots__})


def further_context(rows: int, start: int) -> int:
    """Positions that the first `rows` of consecutive ones attend to, summed, where the first stands at `start`."""
    return rows * start + rows * (rows + 1) // 2


@dataclass(slots=True)
class WorkCounter:
    """One counter a phase.

    Attributes:
        left_out: What the prompt would have taken beyond `prefill`, had its far tokens run all layers.
    """

    prefill: PhaseCounter = field(default_factory=PhaseCounter)
    decode: PhaseCounter = field(default_factory=PhaseCounter)
    policy: PhaseCounter = field(default_factory=PhaseCounter)
    verification: PhaseCounter = field(default_factory=PhaseCounter)
    left_out: PhaseCounter = field(default_factory=PhaseCounter)

    def by_phase(self) -> dict[Phase, Work]:
        """The counts so far, by phase."""
        return {
            Phase.PREFILL: self.prefill.total(),
            Phase.DECODE: self.decode.total(),
            Phase.POLICY: self.policy.total(),
            Phase.VERIFICATION: self.verification.total(),
        }
