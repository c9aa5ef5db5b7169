"""One place, one decoder, one text: how a suggestion comes to be, for the product, its evaluation and its training.

Prompt to tokens, tokens to text; what of it is offered, `engine.completion.site` says. It knows no policy, no cost and
no measurement: timing and recording wrap the policy, energy is read around `TextRun.decode`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.completion.fim import find_fim_format, prompt_parts
from engine.completion.site import ended_by_rules, ignore_text, is_doubtful, offered, site_for
from engine.completion.window import OpenWindows, window_start
from engine.decoding.decoder import Decoder
from engine.decoding.head import Head
from engine.decoding.healing import Healing
from engine.decoding.pool import DecoderPool
from engine.decoding.stopping import StopCondition, chance_of_all, no_doubt
from engine.decoding.work import WorkCounter
from engine.model.loaded import synchronize
from engine.outlook import Outlook
from engine.project.projects import Projects
from engine.types import FinishReason, NeverCancelled, Phase, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.completion.prompt import Prompt
    from engine.completion.site import Site
    from engine.decoding.healing import Constraint
    from engine.model.loaded import LoadedModel
    from engine.policy.base import ExitPolicy, OperatingPoint
    from engine.project.continuations import Continuations
    from engine.types import CancellationToken, CompletionRequest, ProjectDocument


_MOST_SPELLING = 6  # tokens that a project spells what is typed by


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedText:
    """What one run of the decoder said.

    Attributes:
        token_ids: The tokens, without an end token.
        exit_layers: The number of layers that chose each of them.
        raw: Their text.
        text: What of it is offered at the cursor; "" for a cancelled run.
        finish_reason: Why it ended.
        work: What was computed, by phase.
        n_decoded: Tokens decoded, an end token included.
        reused_tokens: Tokens of the prompt that were in the KV cache already.
        unread_tokens: Those that the model never read, because the project said all of the text.
        left_out: What far tokens of the prompt would have taken, had they run all layers.
    """

    token_ids: tuple[int, ...]
    exit_layers: tuple[int, ...]
    raw: str
    text: str
    finish_reason: FinishReason
    work: Mapping[Phase, Work]
    n_decoded: int
    reused_tokens: int
    unread_tokens: int = 0
    left_out: Work


class TextDecoder:
    """Decodes text with one model. KV caches of earlier texts are kept for later ones. One thread at a time.

    Attributes:
        loaded: The model.
        projects: The text of projects, which has its say where a site names one. From any thread.
    """

    def __init__(self, loaded: LoadedModel, *, keeps_rows: bool = False) -> None:
        """Makes one.

        Args:
            loaded: The model.
            keeps_rows: Whether a request may use what was computed for another at the same place, as in the product;
                not where each shall cost what it costs by itself.
        """
        self.loaded = loaded
        self._fim_format = find_fim_format(loaded.tokenization.control_ids)
        self._decoders = DecoderPool(loaded.model, keeps_rows=keeps_rows)
        self._windows = OpenWindows()
        self.projects = Projects(loaded.tokenization.encode_text, loaded.model.n_vocabulary)

    def keep_caches(self, windows: int) -> None:
        """Keeps the caches of as many texts as so many windows need."""
        self._decoders.keep_for(windows)

    def prompt_ids(self, site: Site, *, max_new_tokens: int) -> list[int]:
        """The prompt in tokens, with room for the answer in the model's positions."""
        return self._prompt_ids(self._healed(site.prompt)[0], max_new_tokens)

    def for_request(self, request: CompletionRequest, point: OperatingPoint) -> TextRun:
        """A request's site made ready as `at` does, in the window that is open there if a cache still holds it."""
        reads, max_new_tokens = point.runs_layers, request.max_new_tokens
        share = self.window_share(request.in_project, point)
        start = self._windows.start(request.prefix, request.prompt, share)
        run = self.at(site_for(request, start=start), max_new_tokens=max_new_tokens, reads=reads)
        if reads and not run.is_begun and start != (fresh := window_start(request.prefix, request.prompt, share)):
            start = fresh
            run = self.at(site_for(request, start=start), max_new_tokens=max_new_tokens)
        if reads:
            self._windows.note(request.prefix, start)
        return run

    def window_share(self, document: ProjectDocument | None, point: OperatingPoint) -> float:
        """How much of the window is read in a document: all of it where no project has been read that it is part of."""
        is_read = document is not None and bool(self.projects.text(document.project).n_tokens)
        return point.window_share if is_read else 1.0

    def n_unread(self, request: CompletionRequest, point: OperatingPoint) -> int:
        """How many tokens of a request's prompt the model would have to read."""
        start = self._windows.start(request.prefix, request.prompt, self.window_share(request.in_project, point))
        prompt_ids = self.prompt_ids(site_for(request, start=start), max_new_tokens=request.max_new_tokens)
        return self._decoders.n_unread(prompt_ids)

    def at(self, site: Site, *, max_new_tokens: int, reads: bool = True) -> TextRun:
        """One site made ready: its prompt in tokens, and the decoder whose cache holds most of it.

        Args:
            site: The site.
            max_new_tokens: For which there is room behind the prompt.
            reads: Whether the model is asked; where a project alone is, no cache is touched, and any thread may.
        """
        prompt, healing = self._healed(site.prompt)
        prompt_ids = self._prompt_ids(prompt, max_new_tokens)
        project = None
        if site.in_project is not None:
            above = site.prefix[: max(0, len(site.prefix) - len(site.prompt.text) - len(site.prompt.typed))]
            project = self.projects.continuations(site.in_project, prompt_ids, above=above, below=site.suffix)
        return TextRun(
            self.loaded,
            self._decoders.decoder_for(prompt_ids) if reads else Decoder(self.loaded.model),
            site,
            prompt_ids=prompt_ids,
            n_certain=len(prompt.text) - len(site.prompt.text),
            constraint=healing,
            project=project,
        )

    def _healed(self, prompt: Prompt) -> tuple[Prompt, Healing | None]:
        """The prompt up to where its tokens are certain, and what spells the rest of what is typed."""
        if not prompt.typed.strip():
            return prompt, None
        tokenization = self.loaded.tokenization
        until_cursor = prompt.text + prompt.typed
        start = tokenization.certain_length(until_cursor, len(prompt.text))
        typed = until_cursor[start:]
        healing = Healing(tokenization.vocabulary, typed.encode(), tokenization.cuts(typed))
        if not healing.is_possible:
            return replace(prompt, text=until_cursor, typed=""), None
        return replace(prompt, text=until_cursor[:start], typed=typed), healing

    def _prompt_ids(self, prompt: Prompt, max_new_tokens: int) -> list[int]:
        room = max(1, self.loaded.model.max_positions - max_new_tokens)
        tokenization = self.loaded.tokenization
        ids = tokenization.encode_parts(prompt_parts(prompt, self._fim_format))
        if prompt.typed.strip() and not ids:
            return tokenization.start_ids
        # A prompt that is too long loses suffix and context first, then the document's beginning.
        return ids if len(ids) <= room else tokenization.encode(prompt.text)[-room:]


class TextRun:
    """One site, to be decoded at as often as asked; see `TextDecoder.at`.

    Attributes:
        site: The site.
        prompt_ids: What the model reads there.
        decoder: What decodes there; its `work` may be read meanwhile.
        ids: Tokens of the run under way or of the last one, those that still wait for verification included.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        decoder: Decoder,
        site: Site,
        *,
        prompt_ids: list[int],
        n_certain: int,
        constraint: Constraint | None,
        project: Continuations | None = None,
    ) -> None:
        self._project = project
        self.site, self.prompt_ids, self.decoder = site, prompt_ids, decoder
        self.ids: tuple[int, ...] = ()
        self._loaded, self._constraint = loaded, constraint
        # Healing may move the prompt's end. Behind the word's beginning, the model reads some of what is typed; before
        # it, the model says more again than what is typed.
        self._n_read, self._n_said_again = max(0, n_certain), max(0, -n_certain)
        self._spelled: tuple[tuple[int, ...], str] = ((), "")

    @property
    def is_begun(self) -> bool:
        """Whether a good part of the prompt is in the decoder's KV cache."""
        return bool(self.decoder.cached_ids)

    def head(self) -> Head:
        """What chooses tokens here, for who asks what it would draft or what the project says; it charges nobody."""
        return Head(self._loaded.model, self.prompt_ids, self._constraint, WorkCounter(), project=self._project)

    def decode(
        self,
        policy: ExitPolicy,
        point: OperatingPoint,
        *,
        max_new_tokens: int,
        may_give_up: bool = True,
        cancellation: CancellationToken | None = None,
        between: Callable[[], None] = lambda: None,
        on_read: Callable[[], None] = lambda: None,
        on_text: Callable[[str], None] = ignore_text,
    ) -> DecodedText:
        """Decodes once, from the prompt on.

        Args:
            policy: Decides at each exit candidate.
            point: What the user's slider means to the decoder.
            max_new_tokens: Upper bound on tokens.
            may_give_up: Whether an unlikely text is given up; not by who knows already what will be said.
            cancellation: Polled at every exit candidate and between prefill segments; None never cancels.
            between: Called between prefill segments; other runs may decode there.
            on_read: Called once what was not known of the prompt has been read.
            on_text: Is called after each token with what would be offered. Its end may still be taken back.
        """
        self.ids = ()
        token_ids: list[int] = []
        exit_layers: list[int] = []
        raw = ""
        for token in self.decoder.generate(
            self.prompt_ids,
            policy=policy,
            point=point,
            stop=StopCondition(
                max_new_tokens=min(max_new_tokens, self._loaded.model.max_positions - len(self.prompt_ids)),
                end_ids=self._loaded.tokenization.end_ids,
                rule=self._ended_by_rules,
                doubt=self._is_doubtful if may_give_up else no_doubt,
                least_chance=point.text_chance if may_give_up and self.site.may_give_up else 0.0,
            ),
            cancellation=cancellation or NeverCancelled(),
            between=between,
            on_read=on_read,
            constraint=self._constraint,
            project=self._project,
        ):
            token_ids.append(token.token_id)
            exit_layers.append(token.exit_layer)
            raw = self.text_of(token_ids)
            on_text(offered(self.site, raw, FinishReason.STOP))
        synchronize(self._loaded.device)
        self.ids = tuple(token_ids)
        reason, work = self.decoder.finish_reason, self.decoder.work.by_phase()
        was_asked_for = bool(self.ids) and reason is not FinishReason.CANCELLED
        was_read = work[Phase.PREFILL].prefill_tokens or not was_asked_for
        return DecodedText(
            token_ids=self.ids,
            exit_layers=tuple(exit_layers),
            raw=raw,
            text=offered(self.site, self.text_of(token_ids[:-1]) if reason is FinishReason.UNLIKELY else raw, reason),
            finish_reason=reason,
            work=work,
            n_decoded=self.decoder.n_decoded,
            reused_tokens=self.decoder.reused_tokens,
            unread_tokens=0 if was_read else len(self.prompt_ids) - self.decoder.reused_tokens,
            left_out=self.decoder.work.left_out.total(),
        )

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text that tokens add behind the site's prompt."""
        ids = tuple(token_ids)
        if ids != self._spelled[0]:  # the stop rules and the reader ask for the same text one after the other
            said = self._loaded.tokenization.continuation(self.prompt_ids, ids)
            self._spelled = ids, self.site.prompt.typed[: self._n_read] + said[self._n_said_again :]
        return self._spelled[1]

    def outlook(self) -> Outlook:
        """What the project would say here, sure of it or not. It takes no layer."""
        typed, said, chance = len(self.site.prompt.typed), list[int](), 1.0
        while self._project is not None and len(said) < _MOST_SPELLING:
            allowed = self._constraint.allowed(said) if self._constraint is not None else None
            if (guess := self._project.after(said, allowed)) is None:
                break
            said.append(guess.token_id)
            chance *= guess.chance
            if behind := self.text_of(said)[typed:]:
                return Outlook(text=behind, chance=chance)
        return Outlook()

    def _is_doubtful(self, token_ids: Sequence[int], chances: Mapping[int, float]) -> bool:
        """Whether the first word, or what is left of it, is too unlikely to be shown as far as it is said."""
        chance = chance_of_all(len(token_ids), chances) if self.site.is_doubted else None
        if chance is None:
            return False
        before, raw = self.text_of(token_ids[:-1]), self.text_of(token_ids)
        return is_doubtful(self.site, before, raw, chance)

    def _ended_by_rules(self, token_ids: Sequence[int]) -> FinishReason | None:
        self.ids = tuple(token_ids)
        return ended_by_rules(self.site, self.text_of(token_ids))
