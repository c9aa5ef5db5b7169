"""The supervised start: probes that foresee agreement and correctness, and a policy that acts on what they foresee.

Two labels a state: does this exit choose what the last layer chooses, and will the token that the last layer chooses
still be kept. From their probabilities follows the value of each action one step ahead; the network learns to imitate
the better action at any energy weight. PPO starts from there, knowing already where to look in the hidden state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from engine.policy.base import Action
from engine.policy.learned import ACTIONS, N_CONTEXT, context_features
from engine.training.policy.network import PROBE_WIDTH, PolicyNetwork, Standardization
from engine.training.policy.rewards import KEPT_WORTH, WEIGHT_MAX, WEIGHT_MIN, Prices
from engine.training.states import block_states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.early_exit import EarlyExitModel
    from engine.training.policy.recordings import Recording
    from engine.training.states import Block
    from engine.types import ProgressSink

_BATCH = 512
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-2
_DROPOUT = 0.2  # of the state's dimensions; there are more of them than a few thousand states can pin down
_LAST_SHARE = 0.5  # of the epochs see recordings only: their states are those that the policy will meet
_LEAST_CHANCE = 1e-3  # below it a text is as good as wrong
_HEAD_CHUNK = 128  # tokens whose logits are held at once
_SOFTNESS = 0.1  # of a full-depth token's energy: actions that close in value are both kept alive for PPO
_MOST_AHEAD = 8.0  # tokens
_LOSSLESS_WASTE = 1.5  # passes to the exit and heads that a wrong draft costs in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Labelled states, one row a token.

    Attributes:
        states: Standardised, [N, K, D] in fp16.
        agrees: Whether each exit chooses what the last layer does, [N, K].
        kept: Whether the last layer's choice is what stands in the text and so was all before it, [N].
        n_emitted: Tokens emitted before, [N].
        text_chance: The chance that these are right, [N].
        guess_chance: The chance with which the project alone would have the next one right, [N].
    """

    states: torch.Tensor
    agrees: torch.Tensor
    kept: torch.Tensor
    n_emitted: torch.Tensor
    text_chance: torch.Tensor
    guess_chance: torch.Tensor

    @property
    def known(self) -> torch.Tensor:
        """What is known of each row beside its state, [N, 3]."""
        columns = (
            self.n_emitted.float().log2() / 4,
            self.text_chance.clamp_min(_LEAST_CHANCE).log10(),
            self.guess_chance,
        )
        return torch.stack(columns, dim=1)


def recorded_examples(recordings: Sequence[Recording], standardization: Standardization) -> Examples:
    """The rows of recordings with their labels."""
    states = torch.cat([standardization.apply(each.states).half() for each in recordings])
    agrees = torch.cat([each.choices == torch.tensor(each.ids[1:]).unsqueeze(1) for each in recordings])
    kept = torch.tensor([flag for each in recordings for flag in each.on_track[2:]])
    n_emitted = torch.tensor([n for each in recordings for n in range(1, len(each.ids))])
    chances = [torch.tensor(each.chances).cumprod(0)[:-1] for each in recordings]
    guesses = [torch.tensor(each.guess_chances[1:]) for each in recordings]
    return Examples(
        states=states,
        agrees=agrees.float(),
        kept=kept.float(),
        n_emitted=n_emitted,
        text_chance=torch.cat(chances),
        guess_chance=torch.cat(guesses),
    )


def text_examples(
    model: EarlyExitModel,
    blocks: Sequence[Block],
    check_layers: Sequence[int],
    standardization: Standardization,
    *,
    progress: ProgressSink,
) -> Examples | None:
    """Takes every token of real text as a suggestion's first: many more states for the same time.

    Args:
        model: The model whose states are taken.
        blocks: The text, in tokens.
        check_layers: The exits that the policy looks at.
        standardization: Mean and deviation of the states, by check layer.
        progress: Is called for each block.

    Returns:
        The examples; None where there is no text.
    """
    columns = [model.exit_layers.index(layer) for layer in check_layers]
    states, agrees, kept = [], [], []
    for done, block in enumerate(blocks):
        progress("Reading text for the policy's start", done, len(blocks))
        seen = block_states(model, block.token_ids)
        exits = torch.stack([torch.from_numpy(model.to_numpy(seen.exits[column])) for column in columns], dim=1)
        for at in range(0, len(seen.next_ids), _HEAD_CHUNK):
            part = slice(at, at + _HEAD_CHUNK)
            last = torch.tensor(model.choices(model.logits(seen.last[None, part], model.n_layers)))
            choices = [
                torch.tensor(model.choices(model.logits(seen.exits[column][None, part], layer)))
                for column, layer in zip(columns, check_layers, strict=True)
            ]
            agrees.append((torch.stack(choices, dim=1) == last.unsqueeze(1)).float())
            kept.append((last == torch.tensor(seen.next_ids[part])).float())
        states.append(standardization.apply(exits).half())  # [T, K, D]
    if not states:
        return None
    n_rows = sum(map(len, states))
    return Examples(
        states=torch.cat(states),
        agrees=torch.cat(agrees),
        kept=torch.cat(kept),
        n_emitted=torch.ones(n_rows, dtype=torch.long),
        text_chance=torch.ones(n_rows),
        guess_chance=torch.zeros(n_rows),
    )


class Foresight(nn.Module):
    """Reads a probe's features as two probabilities: this exit agrees; the token will be kept."""

    def __init__(self, n_checks: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_checks, 2, PROBE_WIDTH + 3))  # with `Examples.known`
        self.bias = nn.Parameter(torch.zeros(n_checks, 2))

    def forward(self, features: torch.Tensor, checks: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Features [B, P] to logits [B, 2]."""
        inputs = torch.cat((features, known), dim=1)
        return (self.weight[checks] @ inputs.unsqueeze(2)).squeeze(2) + self.bias[checks]


def warm_start(
    network: PolicyNetwork,
    recorded: Examples,
    text: Examples | None,
    prices: Prices,
    check_layers: Sequence[int],
    *,
    n_steps: int,
    progress: ProgressSink,
) -> Foresight:
    """Trains the network in place: first the probes, then the actions; returns what the probes foresee.

    Args:
        network: Is changed; the caller seeds torch before making it.
        recorded: Rows of recorded suggestions.
        text: Rows of plain text, for the first epochs only; their label is milder than that of a suggestion.
        prices: What each unit of work costs.
        check_layers: Exits that the policy looks at.
        n_steps: Batches for each of the two parts.
        progress: Is called for each batch.
    """
    foresight = Foresight(len(check_layers))
    _train_probes(network, foresight, recorded, text, n_steps=n_steps, progress=progress)
    rule = _Rule(prices, check_layers, recorded)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    generator = torch.Generator().manual_seed(1)
    for step in range(n_steps):
        if step % 50 == 0:
            progress("Teaching the policy its start", step, n_steps)
        rows, checks = _batch(recorded, generator)
        states = recorded.states[rows, checks].float()
        with torch.no_grad():
            features = network.probes.read(states, checks)
            foreseen = foresight(features, checks, recorded.known[rows]).sigmoid()
        context, weights, may_stop = _random_context(recorded, rows, generator)
        target = rule.action_probabilities(foreseen, checks, weights, may_stop)
        one_hot = functional.one_hot(checks, len(check_layers)).float()
        # The probes go on learning: what they foresee is the teacher's, which is held fixed above.
        scores = network(torch.cat((states, one_hot, context), dim=1))
        loss = functional.cross_entropy(scores, target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        schedule.step()
    return foresight


def _train_probes(
    network: PolicyNetwork,
    foresight: Foresight,
    recorded: Examples,
    text: Examples | None,
    *,
    n_steps: int,
    progress: ProgressSink,
) -> None:
    """Trains the probes to foresee whether an exit agrees and its token is kept."""
    parameters = [*network.probes.parameters(), *foresight.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    generator = torch.Generator().manual_seed(0)
    for step in range(n_steps):
        if step % 50 == 0:
            progress("Training the policy's probes", step, n_steps)
        from_text = text is not None and step % 2 == 0 and step < (1.0 - _LAST_SHARE) * n_steps
        examples = text if from_text and text is not None else recorded
        rows, checks = _batch(examples, generator)
        states = functional.dropout(examples.states[rows, checks].float(), _DROPOUT)
        logits = foresight(network.probes.read(states, checks), checks, examples.known[rows])
        labels = torch.stack((examples.agrees[rows, checks], examples.kept[rows]), dim=1)
        loss = functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        schedule.step()


def _batch(examples: Examples, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.randint(len(examples.kept), (_BATCH,), generator=generator)
    return rows, torch.randint(examples.agrees.shape[1], (_BATCH,), generator=generator)


def _random_context(
    recorded: Examples, rows: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Context features [B, C] with random weights and surroundings; the weights [B]; whether STOP is open [B]."""
    size = len(rows)
    uniform = torch.rand(size, generator=generator)
    weights = WEIGHT_MIN + (WEIGHT_MAX - WEIGHT_MIN) * uniform
    weights[torch.rand(size, generator=generator) < 0.15] = 0.0  # noqa: PLR2004 - a share of lossless ones
    may_stop = (torch.rand(size, generator=generator) < 0.75) & (weights > 0.0)  # noqa: PLR2004 - most of them
    n_waiting = torch.randint(0, 8, (size,), generator=generator)
    n_drafts = torch.randint(0, 9, (size,), generator=generator)
    columns = (n_waiting, recorded.n_emitted[rows], n_drafts, weights, may_stop)
    known = (torch.where(weights > 0.0, recorded.text_chance[rows], 1.0), recorded.guess_chance[rows])
    context = torch.tensor(
        [
            context_features(
                n_waiting=waiting,
                n_emitted=emitted,
                n_drafts=drafts,
                energy_weight=weight,
                may_stop=stop,
                text_chance=chance,
                guess_chance=guess,
            )
            for waiting, emitted, drafts, weight, stop, chance, guess in zip(
                *(column.tolist() for column in (*columns, *known)), strict=True
            )
        ]
    )
    assert context.shape[1] == N_CONTEXT
    return context, weights, may_stop


class _Rule:
    """The value of each action, one step ahead, from what is foreseen."""

    def __init__(self, prices: Prices, check_layers: Sequence[int], recorded: Examples) -> None:
        layers = torch.tensor(check_layers)
        self._to_end = (prices.n_layers - layers) * prices.layer + prices.head  # [K]
        self._waste = _LOSSLESS_WASTE * (layers * prices.layer + prices.head)
        self._rows = (prices.n_layers - layers) * prices.row + prices.head_row
        self._head = prices.head
        # Tokens still kept behind a kept one, on average: a geometric text.
        n_kept, n_suggestions = float(recorded.kept.sum()), float((recorded.n_emitted == 1).sum())
        share = n_kept / max(1.0, n_kept + n_suggestions)
        self._ahead = min(share / max(1.0 - share, 0.1), _MOST_AHEAD)

    def action_probabilities(
        self, foreseen: torch.Tensor, checks: torch.Tensor, weights: torch.Tensor, may_stop: torch.Tensor
    ) -> torch.Tensor:
        """Probabilities of the actions [B, A], soft where their values are close."""
        agrees, kept = foreseen.unbind(1)
        worth = (1.0 - weights) * KEPT_WORTH
        # Behind a kept token the suggestion goes on for as long as that pays.
        ahead = (worth - weights).clamp_min(0.0) * self._ahead
        on = kept * (worth + ahead) - weights * self._to_end[checks]
        leave = agrees * kept * (worth + ahead) - weights * self._head
        verify = on - weights * 0.02  # ties go to CONTINUE, which may still leave later
        stop = torch.where(may_stop, torch.zeros_like(on), torch.full_like(on, -1e3))
        lossless = weights == 0.0
        on = torch.where(lossless, -self._to_end[checks], on)
        verify = torch.where(lossless, -self._to_end[checks] - 0.02, verify)
        leave = torch.where(
            lossless,
            -self._head - self._rows[checks] - (1.0 - agrees) * (self._to_end[checks] + self._waste[checks]),
            leave,
        )
        softness = _SOFTNESS * torch.where(lossless, torch.ones_like(weights), weights).unsqueeze(1)
        values = {Action.CONTINUE: on, Action.EXIT: leave, Action.VERIFY: verify, Action.STOP: stop}
        return (torch.stack([values[action] for action in ACTIONS], dim=1) / softness).softmax(1)
