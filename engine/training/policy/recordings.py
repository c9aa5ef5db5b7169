"""Places in real files, and what the model says there at full depth with every exit's opinion on the way.

The decoder itself runs, with a policy that only looks. What is recorded is all that a rollout needs to tell what any
other sequence of decisions would have cost and given, as long as it stays on the recorded text.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engine.completion.kept import kept_characters
from engine.completion.site import ended_by_rules, is_doubtful, offered, site_for
from engine.corpus.as_projects import document_in_package
from engine.corpus.cursors import MIN_PREFIX_CHARS, draw_cursor
from engine.errors import TrainingError
from engine.files import written_whole
from engine.policy.base import Action, ExitCandidate, OperatingPoint
from engine.prefix import common_prefix
from engine.types import CompletionRequest, FinishReason, ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.completion.site import Site
    from engine.corpus.source_text import SourceFile
    from engine.project.continuations import Guess
    from engine.text import DecodedText, TextDecoder, TextRun
    from engine.types import ProjectDocument

MAX_NEW_TOKENS = 24
TRUTH_CHARS = 400  # more than so many tokens ever spell

_LOOKUP = OperatingPoint(energy_weight=0.0, lossless=True).lookup
_NESTED = 3  # places a window: they share its prefill
_NESTED_CHARS = 400  # within which they lie
_SAVE_EVERY = 40  # recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlace:
    """A cursor in a file: the text before it, and the text that a developer goes on to type.

    Attributes:
        prefix: The text before it.
        truth: The text that follows.
        project: Where the file belongs; None for the model alone.
    """

    prefix: str
    truth: str
    project: ProjectDocument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One suggestion at full depth. N tokens; row r is the pass that chose token r + 1, so there are N - 1 rows.

    Attributes:
        states: At each check layer, normed, [N - 1, K, D] in fp16.
        choices: What each check layer's exit would have chosen, [N - 1, K].
        prompt_ids: The prompt.
        ids: The tokens; the first came with the prompt. [N]
        kept_ruled: Characters kept of the first n tokens, n from 0 to N, where the product's end rules cut the text; of
            fewer than `end`, as if the policy had ended it there.
        kept_free: The same without end rules.
        end: Tokens after which the product's rules end the suggestion, at most N.
        doubted: Tokens after which the product gives the suggestion up because its first word is unlikely, where text
            may differ from full depth's; more than N where it never does.
        on_track: Whether the text of the first n tokens is what stands in the file, n from 0 to N.
        chances: The chance of each token among those that could have been chosen. [N]
        guess_chances: The chance with which the project alone would have had token n right, n from 0 to N - 1; 0 where
            it knows nothing. [N]
        guesses_right: Whether it would have said the token recorded. [N]
        guesses_kept: Characters kept where a text ends with it behind the first n tokens: another one than is recorded
            may be what stands in the file. [N]
        n_drafts: Tokens that the product would draft behind the first n tokens, n from 0 to N.
        n_right_drafts: How many of them, from the first on, are the tokens recorded.
        chars: Length of the text.
    """

    states: torch.Tensor
    choices: torch.Tensor
    prompt_ids: list[int]
    ids: list[int]
    kept_ruled: list[int]
    kept_free: list[int]
    end: int
    doubted: int
    on_track: list[bool]
    chances: list[float]
    guess_chances: list[float]
    guesses_right: list[bool]
    guesses_kept: list[int]
    n_drafts: list[int]
    n_right_drafts: list[int]
    chars: int


@dataclass(slots=True)
class _Watcher:
    """A policy that keeps the state at its check layers, and what the exits there would say, and always goes on."""

    check_layers: frozenset[int]
    states: list[NDArray[np.float32]] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    name: str = "watcher"

    def decide(self, candidate: ExitCandidate) -> Action:
        """See `ExitPolicy.decide`."""
        if candidate.exit_layer in self.check_layers:
            self.states.append(candidate.hidden())
            self.choices += candidate.tokens()  # one, as nothing is drafted
        return Action.CONTINUE


def places(files: Sequence[SourceFile], *, seed: int) -> Iterator[TrainingPlace]:
    """Cursors in files, a few in each window, by the rule of the evaluation; endless.

    Raises:
        TrainingError: If no file is long enough.
    """
    rng = random.Random(seed)  # noqa: S311 - a choice of places, not a secret
    long_enough = [file for file in files if len(file.text) > MIN_PREFIX_CHARS + 2 * _NESTED_CHARS]
    if not long_enough:
        raise TrainingError("The training text has no file that is long enough to place a cursor in.")
    while True:
        for file in rng.sample(long_enough, len(long_enough)):
            first = rng.randrange(MIN_PREFIX_CHARS, len(file.text) - _NESTED_CHARS)
            near = rng.sample(range(first, first + _NESTED_CHARS), _NESTED)
            cursors = {draw_cursor(file.text, at, rng) for at in near}
            for cursor in sorted(each for each in cursors if each is not None):
                yield TrainingPlace(
                    prefix=file.text[:cursor],
                    truth=file.text[cursor : cursor + TRUTH_CHARS],
                    project=document_in_package(file),
                )


def record(
    texts: TextDecoder,
    wanted: Sequence[TrainingPlace],
    check_layers: Sequence[int],
    *,
    store: Path,
    run: str,
    progress: ProgressSink = no_progress,
    message: str = "Recording suggestions",
) -> list[Recording]:
    """Records a suggestion for each place; those of an earlier or killed run of the same name are used as they are.

    Args:
        texts: Decodes with the model and its trained exits, and holds the projects that the places name.
        wanted: Places; the recordings of an earlier run belong to the first ones.
        check_layers: Exits that the policy may look at.
        store: Where recordings are kept.
        run: Names everything that the recordings depend on.
        progress: Is called for each place.
        message: What `progress` is called with.

    Raises:
        TrainingError: If the recordings cannot be kept.
    """
    slots = _stored(store, run)
    for done in range(len(slots), len(wanted)):
        progress(message, done, len(wanted))
        slots.append(record_one(texts, wanted[done], check_layers))
        if len(slots) % _SAVE_EVERY == 0 or len(slots) == len(wanted):
            _store(store, run, slots)
    return [recording for recording in slots[: len(wanted)] if recording is not None]


def record_one(texts: TextDecoder, place: TrainingPlace, check_layers: Sequence[int]) -> Recording | None:
    """Records one place; None where the text ends before there was a decision."""
    ruled = site_at(place)
    free = replace(ruled, is_ruled=False)
    watcher = _Watcher(frozenset(check_layers))
    run = texts.at(free, max_new_tokens=MAX_NEW_TOKENS)
    point = OperatingPoint(energy_weight=0.0, lossless=False, lookup=0)
    said = run.decode(watcher, point, max_new_tokens=MAX_NEW_TOKENS)
    ids = list(said.token_ids)
    n_rows = len(ids) - 1
    if n_rows < 1:
        return None
    states = torch.from_numpy(np.stack(watcher.states)).view(-1, len(check_layers), watcher.states[0].size)[:n_rows]
    choices = torch.tensor(watcher.choices).view(-1, len(check_layers))[:n_rows]
    # texts_so_far[n] is the text of the first n tokens.
    texts_so_far = [run.text_of(ids[:n]) for n in range(len(ids) + 1)]
    end, reason = _end(ruled, texts_so_far, said)
    chances = [run.decoder.chances[index] for index in range(len(ids))]
    truth = ruled.prompt.typed + place.truth
    return Recording(
        states=states.half(),
        choices=choices,
        prompt_ids=run.prompt_ids,
        ids=ids,
        kept_ruled=[
            kept_characters(offered(ruled, text, FinishReason.POLICY if n < end else reason), place.truth)
            for n, text in enumerate(texts_so_far)
        ],
        kept_free=[kept_characters(offered(free, text, said.finish_reason), place.truth) for text in texts_so_far],
        end=end,
        doubted=_doubted(ruled, texts_so_far, chances),
        on_track=[truth.startswith(text) for text in texts_so_far],
        chances=chances,
        chars=len(said.raw),
        **_from_project(run, place.truth),
    )


def site_at(place: TrainingPlace) -> Site:
    """The site of a place. What stands in the file behind the cursor is about to be typed: nothing follows yet."""
    return site_for(CompletionRequest(prefix=place.prefix, in_project=place.project))


def _end(site: Site, texts: Sequence[str], said: DecodedText) -> tuple[int, FinishReason]:
    """After how many tokens the product's rules end the text, at most all of them, and why it ends there."""
    for n_tokens, text in enumerate(texts[1:], 1):
        if (reason := ended_by_rules(site, text)) is not None:
            return n_tokens, reason
    return len(texts) - 1, said.finish_reason


def mean_token_chars(recordings: Sequence[Recording]) -> float:
    """Mean characters of a token."""
    return max(1.0, sum(r.chars for r in recordings)) / max(1, sum(len(r.ids) for r in recordings))


def _doubted(site: Site, texts: Sequence[str], chances: Sequence[float]) -> int:
    """After how many tokens the product gives the text up; one more than there are where it never does."""
    for n_tokens in range(1, len(texts)):
        if is_doubtful(site, texts[n_tokens - 1], texts[n_tokens], math.prod(chances[:n_tokens])):
            return n_tokens
    return len(texts)


def _from_project(run: TextRun, truth: str) -> dict[str, Any]:
    """What a project says of a text: guesses of each token, and drafts behind the first n, n from 0 to N."""
    head, ids = run.head(), run.ids

    def kept(n: int, guess: Guess | None) -> int:
        text = "" if guess is None else offered(run.site, run.text_of((*ids[:n], guess.token_id)), FinishReason.POLICY)
        return kept_characters(text, truth)

    guesses = [head.guess(ids[:n]) for n in range(len(ids))]
    drafts = [head.draft(ids[:n], _LOOKUP) for n in range(len(ids) + 1)]
    return {
        "guess_chances": [0.0 if guess is None else guess.chance for guess in guesses],
        "guesses_right": [
            guess is not None and guess.token_id == token_id for guess, token_id in zip(guesses, ids, strict=True)
        ],
        "guesses_kept": [kept(n, guess) for n, guess in enumerate(guesses)],
        "n_drafts": [len(draft) for draft in drafts],
        "n_right_drafts": [common_prefix(draft, ids[n:]) for n, draft in enumerate(drafts)],
    }


def _stored(path: Path, run: str) -> list[Recording | None]:
    if not path.is_file():
        return []
    try:
        content = torch.load(path, weights_only=True)
        if content["run"] != run:
            return []
        return [None if slot is None else Recording(**slot) for slot in content["slots"]]
    except (OSError, KeyError, TypeError, RuntimeError, ValueError, EOFError) as error:
        raise TrainingError(f"The recorded suggestions are damaged: delete {path} and try again.") from error


def _store(path: Path, run: str, slots: Sequence[Recording | None]) -> None:
    try:
        with written_whole(path) as partial:
            torch.save({"run": run, "slots": [None if slot is None else _fields(slot) for slot in slots]}, partial)
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"The recorded suggestions could not be stored in {path.parent}.") from error


def _fields(recording: Recording) -> dict[str, Any]:
    return {each.name: getattr(recording, each.name) for each in fields(recording)}
