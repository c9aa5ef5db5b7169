"""Fill in the middle: which control tokens a tokenizer has for it, and the order they put a prompt in.

Known by the tokens, not by a model's name. The order is chosen by what typing costs: where a model has learned the
suffix first (SPM), the text before the cursor ends the prompt and the KV cache keeps all of it from one keystroke to
the next; the other order (PSM) computes the suffix again each time. StarCoder, StarCoder2 and Code Llama are said by
their makers to have seen both equally often; of the others no more than PSM is documented. Where another maker has
taken over StarCoder's tokens for PSM alone, this is wrong and cannot be told from the tokens. Strings only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.completion.prompt import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class FimFormat:
    """A model's own way to be told of both sides of the cursor.

    Attributes:
        prefix: The control token before the prefix.
        suffix: The one before the suffix.
        middle: The one behind both; the model goes on with what is missing.
        suffix_first: The model has learned suffix before prefix as well: `prefix`, `suffix`, the suffix, `middle`, the
            prefix.
    """

    prefix: str
    suffix: str
    middle: str
    suffix_first: bool = False


FORMATS = (
    # Qwen2.5-Coder, CodeGemma, Granite 4
    FimFormat(prefix="<|fim_prefix|>", suffix="<|fim_suffix|>", middle="<|fim_middle|>"),
    # StarCoder, StarCoder2 (bigcode-project/starcoder2, issue 14), and other models with their tokens
    FimFormat(prefix="<fim_prefix>", suffix="<fim_suffix>", middle="<fim_middle>", suffix_first=True),
    # SantaCoder (arXiv 2301.03988)
    FimFormat(prefix="<fim-prefix>", suffix="<fim-suffix>", middle="<fim-middle>", suffix_first=True),
    # DeepSeek-Coder, whose "hole" stands between the two and whose "end" comes last
    FimFormat(prefix="<｜fim▁begin｜>", suffix="<｜fim▁hole｜>", middle="<｜fim▁end｜>"),  # noqa: RUF001 - their spelling
    # Code Llama (arXiv 2308.12950)
    FimFormat(prefix="▁<PRE>", suffix="▁<SUF>", middle="▁<MID>", suffix_first=True),
)


def find_fim_format(control_tokens: Collection[str]) -> FimFormat | None:
    """The format whose tokens the tokenizer has; None where the model continues text and no more."""
    return next((each for each in FORMATS if {each.prefix, each.suffix, each.middle} <= {*control_tokens}), None)


def prompt_parts(prompt: Prompt, fim_format: FimFormat | None) -> tuple[str, ...]:
    """What the model reads: text at even places, control tokens at odd ones.

    Without a format, or without text behind the cursor, it is the text before the cursor alone.
    """
    before = prompt.context + prompt.text
    if fim_format is None or not prompt.suffix.strip():
        return (before,)
    if fim_format.suffix_first:
        return ("", fim_format.prefix, "", fim_format.suffix, prompt.suffix, fim_format.middle, before)
    return ("", fim_format.prefix, before, fim_format.suffix, prompt.suffix, fim_format.middle, "")
