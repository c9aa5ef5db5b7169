"""One recorded suggestion, decided anew: what other decisions would have cost and given.

It keeps the decoder's own accounts (`engine.decoding.trajectory`): passes of the current row with its lookup drafts,
rows that wait at their exit and go along later, verification. Because fills are exact, the state that a row sees
depends only on the text before it, so a recording serves every sequence of decisions that stays on its text. An exit
that chooses another token leaves it. Where exits are final the suggestion is then lost: what was kept stays kept, and
what is likely still to be spent on it is charged. Where they are drafts, the mistake is charged and taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.decoding.judging_pace import JUDGED_AT_ONCE
from engine.decoding.work import further_context
from engine.policy.base import Action, OperatingPoint
from engine.policy.operating_point import text_chance, zero_chance
from engine.prefix import common_prefix
from engine.training.policy.rewards import reward
from engine.types import DEFAULT_GREEN_MODE

if TYPE_CHECKING:
    from engine.training.policy.recordings import Recording
    from engine.training.policy.rewards import Prices

N_HINDSIGHT = 8
"""Numbers of `Rollout.hindsight`; all 0 where it is not known."""

_MAX_WAITING = OperatingPoint(energy_weight=0.0, lossless=True).max_waiting
_AFTER_ERROR = 3  # tokens that are still decoded behind a wrong one before a policy that may stop does
_WASTED_DRAFTS = 1  # drafts behind a wrong one, on average, before verification takes them back


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvParams:
    """What does not change during a suggestion.

    Attributes:
        prices: What each unit of work costs.
        check_layers: Where the policy is asked.
        mean_chars: Mean characters of a token.
        zero_chance: Chance from which on a token of the project's is taken, where energy counts.
        text_chance: Chance that a text must have to go on, where energy counts.
    """

    prices: Prices
    check_layers: tuple[int, ...]
    mean_chars: float
    zero_chance: float = zero_chance(DEFAULT_GREEN_MODE)
    text_chance: float = text_chance(DEFAULT_GREEN_MODE)


class Rollout:
    """A suggestion in progress, between two decisions.

    Attributes:
        energy_weight: The weight w of energy; 0 for lossless.
        may_stop: Whether STOP ends it; else it means CONTINUE.
        energy: Energy spent so far, in tokens at full depth, without the prompt.
        n_emitted: Tokens so far.
        n_layers: Layers that chose them, summed; those of the token that comes with the prompt are not counted.
        text_chance: The chance that all of them are right; 1 for lossless.
        is_over: Nothing is left to decide.
        stopped: The policy ended it.
        row: The row that is asked for.
        check: The index of the check layer where it is asked.
    """

    def __init__(
        self, recording: Recording, params: EnvParams, *, energy_weight: float, may_stop: bool, with_end_rules: bool
    ) -> None:
        self._recording, self._params, self._prices = recording, params, params.prices
        self._n_prompt = len(recording.prompt_ids)
        self._choices: list[list[int]] = recording.choices.tolist()
        self.energy_weight = energy_weight
        self.may_stop = may_stop and energy_weight > 0.0
        self._kept = recording.kept_ruled if with_end_rules else recording.kept_free
        self._end = recording.end if with_end_rules else len(recording.ids)
        self._doubted = recording.doubted if with_end_rules and energy_weight > 0.0 else self._end + 1
        # What the last layer reads of the head: only lossless text is chosen from the whole vocabulary at once.
        self._head_share = 1.0 if energy_weight == 0.0 else self._prices.shortlist
        self._n_unsure = 0  # tokens that the whole head has not judged yet
        self.energy = 0.0
        self.text_chance = 1.0
        self.n_emitted = self.n_layers = 0
        self._n_text = 0  # tokens of it that are on the recorded text
        self._kept_beside = 0  # characters, of a text that has left it
        self.is_over = self.stopped = False
        self._waiting: dict[int, int] = {}  # depth -> rows
        self.row = self.check = 0
        self._depth = self._current = self._behind = self._right = 0
        self._take_guesses()
        if not self.is_over:
            self._read_prompt()
        if not self.is_over:
            self._begin_pass()
        if self.is_over:
            self._judge()

    @property
    def n_waiting(self) -> int:
        """Rows before the current one that wait for deeper layers."""
        return sum(self._waiting.values()) + self._current

    @property
    def n_drafts(self) -> int:
        """Lookup drafts that run along behind the current row."""
        return self._behind

    @property
    def guess_chance(self) -> float:
        """The chance with which the project alone would have the next token right."""
        return self._recording.guess_chances[self.n_emitted]

    @property
    def kept_chars(self) -> int:
        """Characters kept of what is emitted so far."""
        return max(self._kept[self._n_text], self._kept_beside)

    @property
    def hindsight(self) -> list[float]:
        """What only the recording knows, for a critic in training; `N_HINDSIGHT` numbers of the order of 1.

        The recording is part of the state of this decision process, so a baseline that sees it leaves PPO's gradient
        unbiased, and takes the luck of the place out of it (asymmetric actor-critic, Pinto et al., arXiv 1710.06542).
        """
        n, end, ids = self.n_emitted, self._end, self._recording.ids[self.n_emitted :]
        return [
            1.0,
            (self._kept[end] - self._kept[n]) / self._params.mean_chars / 8,
            (self._kept[min(n + 1, end)] - self._kept[n]) / self._params.mean_chars,
            1.0 if self._recording.on_track[n + 1] else 0.0,
            (end - n) / 24,
            1.0 if common_prefix(self._said, ids) == len(self._said) else 0.0,
            1.0 if ids[0] in self._choices[self.row][self.check + 1 :] else 0.0,
            self._right / 4,
        ]

    @property
    def _said(self) -> list[int]:
        """The exit's choices for the current row and those behind it whose text is the recorded one."""
        return [row[self.check] for row in self._choices[self.row : self.row + 1 + self._right]]

    def act(self, action: Action) -> float:
        """Takes one decision and gives its reward."""
        energy, kept = self.energy, self.kept_chars
        if action is Action.STOP and not self.may_stop:
            action = Action.CONTINUE
        if action is Action.EXIT and self.n_waiting >= _MAX_WAITING:
            action = Action.VERIFY if self.energy_weight == 0.0 else Action.CONTINUE
        match action:
            case Action.STOP:
                self.is_over = self.stopped = True
            case Action.EXIT:
                self._exit()
            case Action.VERIFY:
                self._finish(check=True)
            case Action.CONTINUE:
                if self.check + 1 < len(self._params.check_layers):
                    self.check += 1
                    self._run_to(self._params.check_layers[self.check])
                    self.energy += self._prices.check
                else:
                    self._finish(check=self.energy_weight == 0.0)
        if self.is_over:
            self._judge()
        return reward(
            self.energy_weight,
            kept_tokens=(self.kept_chars - kept) / self._params.mean_chars,
            energy=self.energy - energy,
        )

    def _begin_pass(self) -> None:
        """Runs the last token and its lookup drafts up to the first check layer."""
        if self._n_unsure >= JUDGED_AT_ONCE:
            self._judge()
        n_before = self.n_emitted
        self._take_guesses()
        self._waiting[0] = self._waiting.get(0, 0) + self.n_emitted - n_before
        if self.is_over:
            return
        self.row = self.n_emitted - 1
        self._behind = self._recording.n_drafts[self.n_emitted]
        self._right = self._recording.n_right_drafts[self.n_emitted]
        self._depth = self._current = self.check = 0
        self._run_to(self._params.check_layers[0])
        self.energy += self._prices.check

    def _take_guesses(self) -> None:
        """Takes tokens from the project, as far as it is sure of them; no layer runs for them."""
        while not self.is_over and self.energy_weight > 0.0 and self.guess_chance >= self._params.zero_chance:
            if self._recording.guesses_right[self.n_emitted]:
                self._emit_one(self.guess_chance)
            else:
                self._kept_beside = self._recording.guesses_kept[self.n_emitted]
                self._lose(self._prices.n_layers, 0)

    def _read_prompt(self) -> None:
        """Reads the prompt, and what the project said behind it along with it; its last row chooses a token."""
        self.energy += self.n_emitted * self._prices.n_layers * self._prices.row
        self.energy += self._head_share * self._prices.head
        self._emit(1, 0)

    def _run_to(self, depth: int) -> None:
        for bound in (*(layer for layer in self._params.check_layers if self._depth < layer < depth), depth):
            self._current += self._waiting.pop(self._depth, 0)
            further_rows = self._current + self._behind
            self.energy += (bound - self._depth) * self._layer(further_rows, self.row + self._behind)
            self._depth = bound

    def _layer(self, further_rows: int, last_row: int) -> float:
        """One layer pass over the last row and those before it."""
        prices, last = self._prices, self._n_prompt + last_row
        return (
            prices.layer
            + further_rows * prices.row
            + (last + 1) * prices.context
            + further_context(further_rows, last - further_rows) * prices.context_row
        )

    def _exit(self) -> None:
        """Ends the pass: what the exit says is emitted as far as it confirms the drafts, and one token more."""
        layer, said = self._params.check_layers[self.check], self._said
        self.energy += self._prices.shortlist * (self._prices.head + self._behind * self._prices.head_row)
        n_right = common_prefix(said, self._recording.ids[self.n_emitted :])
        self._emit(n_right, layer)
        self._current += n_right
        if self.is_over:
            self._settle(layer)
        elif n_right < len(said):
            self._err(layer)
        else:
            self._waiting[layer] = self._waiting.get(layer, 0) + self._current
            self._begin_pass()

    def _err(self, layer: int) -> None:
        """An exit chose another token than is recorded."""
        if self.energy_weight == 0.0:
            self.energy += _WASTED_DRAFTS * self._exit_token(layer)
            self._behind = self._right = 0  # what was drafted behind the wrong token is lost
            self._finish(check=True)
            return
        self._lose(layer, layer)

    def _lose(self, depth: int, layer: int) -> None:
        """Leaves the recorded text by a token from `layer`; what is still decoded takes `depth` layers a token."""
        left = self._end - self.n_emitted - 1
        if self.may_stop:
            left = min(left, _AFTER_ERROR)
        self.energy += left * self._exit_token(depth)
        self.n_emitted += 1 + left
        self.n_layers += layer + left * depth
        self.is_over = True

    def _exit_token(self, layer: int) -> float:
        return layer * self._layer(0, self.n_emitted) + self._prices.shortlist * self._prices.head

    def _finish(self, *, check: bool) -> None:
        """Runs every row to full depth, where the head judges the drafts, with `check` the waiting rows too."""
        n_layers = self._prices.n_layers
        self._run_to(n_layers)
        judged = self._behind + (self._current if check else 0)
        self.energy += self._head_share * (self._prices.head + judged * self._prices.head_row)
        self._emit(1 + self._right, n_layers)
        if not self.is_over:
            self._begin_pass()

    def _emit(self, count: int, layer: int) -> None:
        for _ in range(count):
            if self.is_over:
                break
            self._emit_one(self._recording.chances[self.n_emitted])
            self.n_layers += layer
            self._n_unsure += self._head_share < 1.0

    def _emit_one(self, chance: float) -> None:
        self.n_emitted += 1
        self._n_text = self.n_emitted
        if self.energy_weight > 0.0:
            self.text_chance *= chance
        if self.n_emitted >= self._doubted:
            self._n_text, self.is_over = 0, True
        elif self.energy_weight > 0.0 and self.text_chance < self._params.text_chance:
            self._n_text, self.is_over = self.n_emitted - 1, True
        else:
            self.is_over = self.n_emitted >= self._end

    def _judge(self) -> None:
        """The whole head judges, in one pass, what was chosen from the shortlist."""
        if self._n_unsure:
            self.energy += self._prices.head + (self._n_unsure - 1) * self._prices.head_row
            self._n_unsure = 0

    def _settle(self, layer: int) -> None:
        """At the end of a lossless suggestion the waiting drafts are verified."""
        if self.energy_weight > 0.0:
            return
        self._waiting[layer] = self._waiting.get(layer, 0) + self._current
        depth, n_rows = min(self._waiting), sum(self._waiting.values())
        self.energy += (self._prices.n_layers - depth) * self._layer(n_rows - 1, self.n_emitted - 2)
        self.energy += self._prices.head + (n_rows - 1) * self._prices.head_row


def full_depth_energy(recording: Recording, params: EnvParams) -> float:
    """The energy of the same text at full depth, without drafts or checks, in tokens at full depth."""
    context = further_context(recording.end - 1, len(recording.prompt_ids)) * params.prices.n_layers
    return params.prices.head + (recording.end - 1) * 1.0 + context * params.prices.context
