"""What a model answers to HumanEval and LongBench's code tasks, decoded as far as it goes and only as far as is wanted.

The second half of Solovyeva and Castor's experiment (arXiv 2602.05712): a text that goes on behind the function that
was asked for *babbles*. Each answer begins with an empty cache; the ways to decode take turns at each problem.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from engine.completion.site import offered, site_for
from engine.decoding.decoder import Decoder
from engine.decoding.stopping import StopCondition
from engine.energy.cost_model import default_cost_model, phase_energy_j
from engine.evaluation.human_eval import function_length
from engine.evaluation.long_bench import MAX_NEW_TOKENS, without_middle
from engine.evaluation.programs import ends_well
from engine.evaluation.spending import Spent  # noqa: TC001 - cattrs reads the annotations
from engine.policy.base import PLAIN_DECODING
from engine.policy.baselines import FullDepth
from engine.text import TextDecoder
from engine.types import (
    CompletionRequest,
    FinishReason,
    Phase,
    ProgressSink,
    PromptOptions,
    Work,
    no_progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.evaluation.human_eval import FunctionProblem
    from engine.evaluation.long_bench import LongProblem
    from engine.evaluation.resuming import KeptSamples
    from engine.evaluation.spending import Spending
    from engine.model.loaded import LoadedModel
    from engine.text import TextRun

Way = Literal["as far as it goes", "to the function's end", "by the product's rules"]

PLAIN: Way = "as far as it goes"
STOPPED: Way = "to the function's end"
PRODUCT: Way = "by the product's rules"
WAYS: tuple[Way, ...] = (PLAIN, STOPPED, PRODUCT)

HUMAN_EVAL = "HumanEval"

_WINDOW_CHARS = 1 << 20  # of a function's head: all of it is read


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSample:
    """One answer to one problem.

    Attributes:
        workload: The benchmark, or its task.
        item: The problem.
        way: How far it was decoded.
        prompt_tokens: What was read.
        tokens: What was decoded, an end token included.
        babbled: How many of them stand behind the end of the function.
        prefill_j: Modelled.
        decode_j: Modelled: all but the prompt.
        spent: Measured, the prompt included.
        prefill_share: Of the CPU seconds of decoding, those until the first token.
        text: What stands behind the cursor then.
        passed: Whether the program passes its tests; None where it was not run.
        score: Likeness to the right line; None for HumanEval.
    """

    workload: str
    item: str
    way: Way
    prompt_tokens: int
    tokens: int
    babbled: int
    prefill_j: float
    decode_j: float
    spent: Spent
    prefill_share: float
    text: str
    passed: bool | None = None
    score: float | None = None

    @property
    def key(self) -> str:
        """What tells it from others."""
        return _key(self.workload, self.item, self.way)


class _Written(NamedTuple):
    ids: Sequence[int]
    text: str
    n_decoded: int
    n_prompt: int
    work: Mapping[Phase, Work]
    prefill_share: float


class Answers:
    """A model that answers problems, and what that takes."""

    def __init__(self, loaded: LoadedModel, spending: Spending) -> None:
        self._loaded, self._spending = loaded, spending
        self._cost = default_cost_model(loaded.model.geometry, loaded.device, loaded.runtime)

    def functions(
        self,
        problems: Sequence[FunctionProblem],
        kept: KeptSamples[AnswerSample],
        *,
        max_new_tokens: int,
        run_programs: bool,
        progress: ProgressSink = no_progress,
    ) -> list[AnswerSample]:
        """Writes each function in every way, and runs its tests where that is wanted."""
        samples = []
        for done, problem in enumerate(problems):
            progress("Writing functions", done, len(problems))
            for way in random.Random(done).sample(WAYS, len(WAYS)):  # noqa: S311 - nothing secret
                run = partial(self._function, problem, way, max_new_tokens, run_programs=run_programs)
                samples.append(kept.take(_key(HUMAN_EVAL, problem.task_id, way), run))
        progress("Writing functions", len(problems), len(problems))
        return samples

    def lines(
        self,
        problems: Sequence[LongProblem],
        kept: KeptSamples[AnswerSample],
        *,
        most_prompt_tokens: int,
        progress: ProgressSink = no_progress,
    ) -> list[AnswerSample]:
        """Writes the line that each of LongBench's problems asks for; prompts that are too long lose their middle."""
        samples = []
        for done, problem in enumerate(problems):
            progress("Writing lines behind long text", done, len(problems))
            run = partial(self._line, problem, most_prompt_tokens)
            samples.append(kept.take(_key(problem.task, problem.item, PLAIN), run))
        progress("Writing lines behind long text", len(problems), len(problems))
        return samples

    def _function(self, problem: FunctionProblem, way: Way, max_new_tokens: int, *, run_programs: bool) -> AnswerSample:
        site = site_for(
            CompletionRequest(
                prefix=problem.prefix,
                language_id="python",
                single_line=False,
                may_give_up=False,
                prompt=PromptOptions(window_chars=_WINDOW_CHARS),
            )
        )
        bare = replace(site, is_ruled=False)

        def body(run: TextRun, ids: Sequence[int]) -> str:
            return offered(bare, run.text_of(ids), FinishReason.STOP)

        def write() -> tuple[_Written, TextRun]:
            # A decoder of its own for each answer, so that each begins with an empty cache.
            run = TextDecoder(self._loaded).at(site if way == PRODUCT else bare, max_new_tokens=max_new_tokens)
            if way == PRODUCT:
                return self._by_rules(run, max_new_tokens), run
            written = self._generate(
                run.decoder,
                run.prompt_ids,
                max_new_tokens,
                is_done=lambda ids: way == STOPPED and function_length(body(run, ids)) is not None,
            )
            text = body(run, written.ids)
            return written._replace(text=text[: function_length(text)] if way == STOPPED else text), run

        (written, run), spent = self._spending.measure(write)
        n_needed = len(written.ids)
        while n_needed > 1 and function_length(body(run, written.ids[: n_needed - 1])) is not None:
            n_needed -= 1
        sample = self._sample(HUMAN_EVAL, problem.task_id, way, written, spent, babbled=len(written.ids) - n_needed)
        return replace(sample, passed=ends_well(problem.program(written.text)) if run_programs else None)

    def _line(self, problem: LongProblem, most_prompt_tokens: int) -> AnswerSample:
        tokenization = self._loaded.tokenization
        most = min(most_prompt_tokens, self._loaded.model.max_positions - MAX_NEW_TOKENS)
        prompt_ids = without_middle(tokenization.encode(problem.prompt), most)
        written, spent = self._spending.measure(
            lambda: self._generate(Decoder(self._loaded.model), prompt_ids, MAX_NEW_TOKENS, is_done=lambda ids: False)
        )
        text = tokenization.continuation(prompt_ids, tuple(written.ids))
        sample = self._sample(problem.task, problem.item, PLAIN, written._replace(text=text), spent, babbled=0)
        return replace(sample, score=problem.score(text))

    def _by_rules(self, run: TextRun, max_new_tokens: int) -> _Written:
        """The product's own rules for what is offered, at full depth."""
        begun_s = time.process_time()
        times_s: list[float] = []
        said = run.decode(
            FullDepth(),
            PLAIN_DECODING,
            max_new_tokens=max_new_tokens,
            may_give_up=False,
            on_text=lambda text: times_s.append(time.process_time() - begun_s),
        )
        return _Written(
            said.token_ids, said.text, said.n_decoded, len(run.prompt_ids), said.work, _share(times_s, begun_s)
        )

    def _generate(
        self,
        decoder: Decoder,
        prompt_ids: Sequence[int],
        max_new_tokens: int,
        *,
        is_done: Callable[[Sequence[int]], bool],
    ) -> _Written:
        """Nothing but the model, the condition and the length limit ends the text."""
        begun_s = time.process_time()
        times_s: list[float] = []

        def rule(ids: Sequence[int]) -> FinishReason | None:
            times_s.append(time.process_time() - begun_s)
            return FinishReason.STOP if is_done(ids) else None

        end_ids = self._loaded.tokenization.end_ids
        ids = decoder.decode_plainly(
            prompt_ids, StopCondition(max_new_tokens=max_new_tokens, end_ids=end_ids, rule=rule)
        )
        work = decoder.work.by_phase()
        return _Written(ids, "", decoder.n_decoded, len(prompt_ids), work, _share(times_s, begun_s))

    def _sample(
        self, workload: str, item: str, way: Way, written: _Written, spent: Spent, *, babbled: int
    ) -> AnswerSample:
        joules = phase_energy_j(self._cost, written.work)
        return AnswerSample(
            workload=workload,
            item=item,
            way=way,
            prompt_tokens=written.n_prompt,
            tokens=written.n_decoded,
            babbled=babbled,
            prefill_j=joules[Phase.PREFILL],
            decode_j=sum(joules.values()) - joules[Phase.PREFILL],
            spent=spent,
            prefill_share=written.prefill_share,
            text=written.text,
        )


def _key(workload: str, item: str, way: Way) -> str:
    return f"{workload} {item} {way}"


def _share(times_s: Sequence[float], begun_s: float) -> float:
    """The share of the first token's time in that of all."""
    all_s = time.process_time() - begun_s
    return min(1.0, times_s[0] / all_s) if times_s and all_s > 0 else 1.0
