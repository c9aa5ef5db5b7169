"""The seam between the decoder and whoever decides: one method, and the actions.

A policy sees one exit candidate of one pass at a time. It knows nothing of caches, layers or text. The parts of the
decision process are known ones: exits as in GREEN-CODE (arXiv 2501.11006), verification as in LayerSkip
(arXiv 2404.16710), the exact fill of skipped layers as in EE-LLM (arXiv 2312.04916).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray


class Action(Enum):
    """What the decoder does next with the pass at hand: a token, and the drafts that run along behind it."""

    CONTINUE = "continue"  # run the next segment of layers
    EXIT = "exit"  # emit what this exit says, as far as it confirms the drafts; the deeper layers wait
    VERIFY = "verify"  # run this pass and all waiting tokens through the remaining layers, and check
    STOP = "stop"  # end the suggestion before this token


class Fill(Enum):
    """How the keys and values of layers that a token skipped come to be."""

    EXACT = "exact"  # later, in one batch with the next token that goes deeper
    PROPAGATE = "propagate"  # at once, from the exit's hidden state (CALM, arXiv 2207.07061); approximate


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What the user's slider means to the decoder.

    Attributes:
        energy_weight: The w of the reward (1 - w) quality - w energy; see `engine.policy.operating_point`.
        lossless: Every token emitted at an exit is a draft that is verified before it counts.
        fill: How skipped layers are filled where exits are final.
        max_waiting: No exit is taken while so many tokens wait for deeper layers; bounds the draft length.
        lookup: Most tokens that are drafted from what the text said before, and run along in the next pass; 0 for none.
        zero_chance: Least chance of being right with which a token of the project's is taken before any layer, where
            text may differ from full depth's; None for never.
        text_chance: Least chance that all of a text is right with which it goes on; 0 for whatever the chance.
        runs_layers: False ends the text before the first token that would need a layer.
        window_share: How much of the window onto a document is read where a project has its say: its index knows what
            stands above, so what is left out leaves the model before its first layer.
        prompt_depth: Share of the layers behind which a prompt's far tokens leave, at the next exit; deeper keys and
            values are computed from there.
        whole_head: Chooses each token from the whole vocabulary at once, as plain decoding does; else from a listing,
            and the whole head judges several of them in one pass.
    """

    energy_weight: float
    lossless: bool
    fill: Fill = Fill.EXACT
    max_waiting: int = 8
    lookup: int = 8
    zero_chance: float | None = None
    text_chance: float = 0.0
    runs_layers: bool = True
    window_share: float = 1.0
    prompt_depth: float = 1.0
    whole_head: bool = False


PLAIN_DECODING = OperatingPoint(energy_weight=0.0, lossless=True, lookup=0, whole_head=True)
"""Plain decoding with a KV cache: the baseline that savings are told against."""


@dataclass(slots=True, kw_only=True)
class ExitCandidate:
    """What a policy may look at: one exit of one pass.

    Attributes:
        hidden: Gives the hidden state at this exit, normed exactly as for the LM head, [D], a copy in this machine's
            memory. Counted as a policy check: who never looks, such as full depth, costs nothing.
        exit_index: Position of this exit among the model's exits, from 0.
        exit_layer: Layers run so far.
        n_waiting: Tokens before this one that wait for deeper layers.
        n_emitted: Tokens emitted so far in this completion.
        n_drafts: Tokens drafted by lookup that run along behind this one.
        energy_weight: The w of the operating point.
        text_chance: Gives the chance that all tokens so far are right; 1 where it is not known.
        guess_chance: Gives the chance that the project alone would have the next one right; 0 where it knows nothing.
        probability: Evaluates the LM head at this exit and returns the probability of the tokens that EXIT would emit,
            the least of them. It costs as much as several layers and is counted; the learned policy never calls it.
        tokens: Evaluates the LM head as well and returns these tokens, for who knows what is right.
    """

    hidden: Callable[[], NDArray[np.float32]]
    exit_index: int
    exit_layer: int
    n_waiting: int
    n_emitted: int
    n_drafts: int
    energy_weight: float
    text_chance: Callable[[], float]
    guess_chance: Callable[[], float]
    probability: Callable[[], float]
    tokens: Callable[[], list[int]]


class ExitPolicy(Protocol):
    """Decides at each exit candidate. The decoder enforces `max_waiting` and lossless verification itself."""

    @property
    def name(self) -> str:
        """Its name on the command line, such as "fixed:24"."""
        ...

    def decide(self, candidate: ExitCandidate) -> Action:
        """Chooses what the decoder does next."""
        ...
