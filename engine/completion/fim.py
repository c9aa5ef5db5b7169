"""Prompt formats: how each maker's models are told of both sides of the cursor, of a file's path, and of other files.

A format is known by a tokenizer's control tokens, not by a model's name, and its templates are the published ones,
character by character. Where a tokenizer has tokens for filling in the middle that no format fits, this says so and
guesses nothing: three tokens alone do not tell their order. Where several orders are published, the one that puts the
text before the cursor last stands here: of that prompt the KV cache keeps all from one keystroke to the next. Strings
only.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from engine.completion.prompt import Prompt

_TOKEN = r"▁?<[^<>{}\s]+>|\[[A-Z]+\]"  # noqa: S105 - no password
_PIECES = re.compile(rf"({_TOKEN}|\{{\w+\}})")
_SOUNDS_LIKE_INFILLING = re.compile(r"fim\W|prefix|suffix|middle|▁<(PRE|SUF|MID)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FimFormat:
    """How a maker's models are told of what is around the cursor.

    Templates have the fields {prefix}, {suffix}, {path}, {text} of another file, {repository}, and {files} for what the
    templates `named` and `file` make of the repository and of other files.

    Attributes:
        name: Whose it is, for people.
        source: Where it is published.
        infilling: One file, with text behind the cursor.
        file: Another file, with its path; None where the models have seen none, or nobody says how.
        named: What stands before all files, such as the repository's name; left out where that is not known.
        infilling_named: The file at the cursor with its path, behind other files.
        continuing_named: The same without text behind the cursor.
        told_by: Tokens that tell it from others with the same names, besides those of its templates.
        lacks: Tokens that tell others from it.
    """

    name: str
    source: str
    infilling: str
    file: str | None = None
    named: str = ""
    infilling_named: str = ""
    continuing_named: str = ""
    told_by: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()

    @property
    def control_tokens(self) -> frozenset[str]:
        """All that the tokenizer must have."""
        templates = (self.infilling, self.file or "", self.named, self.infilling_named, self.continuing_named)
        return self.told_by.union(*(re.findall(_TOKEN, template) for template in templates))

    def fits(self, control_tokens: Collection[str]) -> bool:
        """Whether a tokenizer with these is one of its models'."""
        return self.control_tokens <= {*control_tokens} and not self.lacks & {*control_tokens}


FORMATS = (
    FimFormat(
        name="Qwen2.5-Coder",
        source="https://github.com/QwenLM/Qwen2.5-Coder, README, sections on fill in the middle and repositories",
        infilling="<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
        named="<|repo_name|>{repository}\n",
        file="<|file_sep|>{path}\n{text}\n",
        infilling_named="{files}<|file_sep|>{path}\n<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
        continuing_named="{files}<|file_sep|>{path}\n{prefix}",
    ),
    FimFormat(
        name="Granite 4",
        source="model cards of ibm-granite/granite-4.0-*-base; of the path, the tokens alone are published",
        infilling="<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
        named="<|reponame|>{repository}\n",
        file="<|filename|>{path}\n{text}\n",
        infilling_named="{files}<|filename|>{path}\n<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
        continuing_named="{files}<|filename|>{path}\n{prefix}",
    ),
    FimFormat(
        name="CodeGemma",  # and others with these tokens, whose makers all say this order
        source="https://ai.google.dev/gemma/docs/codegemma/prompt-structure",
        infilling="<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
    ),
    FimFormat(
        name="StarCoder2",
        source="arXiv 2402.19173, section 5.3; both orders: https://github.com/bigcode-project/starcoder2/issues/14",
        infilling="<fim_prefix><fim_suffix>{suffix}<fim_middle>{prefix}",
        named="<repo_name>{repository}",
        file="<file_sep>{path}\n{text}",
        infilling_named="{files}<file_sep><fim_prefix>{path}\n{prefix}<fim_suffix>{suffix}<fim_middle>",
        continuing_named="{files}<file_sep>{path}\n{prefix}",
    ),
    FimFormat(
        name="StarCoder",  # and Granite Code, arXiv 2405.04324, with its tokenizer
        source="arXiv 2305.06161, section 5.3; both orders: arXiv 2301.03988",
        infilling="<fim_prefix><fim_suffix>{suffix}<fim_middle>{prefix}",
        told_by=frozenset({"<filename>", "<reponame>", "<jupyter_start>"}),
        lacks=frozenset({"<assistant>"}),  # Mellum has all of StarCoder's tokens, and those of a conversation
    ),
    FimFormat(
        name="Mellum",
        source="https://huggingface.co/JetBrains/Mellum-4b-base, sections on fill in the middle",
        infilling="<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>",
        file="<filename>{path}\n{text}\n",
        infilling_named="{files}<filename>{path}\n<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>",
        continuing_named="{files}<filename>{path}\n{prefix}",
        told_by=frozenset({"<reponame>"}),
        lacks=frozenset({"<file_sep>", "<repo_name>"}),
    ),
    FimFormat(
        name="SantaCoder",
        source="arXiv 2301.03988",
        infilling="<fim-prefix><fim-suffix>{suffix}<fim-middle>{prefix}",
    ),
    FimFormat(
        name="DeepSeek-Coder",
        source="https://github.com/deepseek-ai/DeepSeek-Coder, README, code insertion and repository level completion",
        infilling="<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>",  # noqa: RUF001 - their spelling
        file="#{path}\n{text}\n",
        infilling_named="<｜fim▁begin｜>{files}#{path}\n{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>",  # noqa: RUF001
        continuing_named="{files}#{path}\n{prefix}",
    ),
    FimFormat(
        name="Code Llama",
        source="arXiv 2308.12950; https://github.com/meta-llama/codellama, llama/generation.py",
        infilling="▁<PRE>▁<SUF>{suffix}▁<MID> {prefix}",  # their "<PRE> <SUF>{suffix} <MID> {prefix}"
    ),
    FimFormat(
        name="Codestral",
        source="https://github.com/mistralai/mistral-common, encode_fim",
        infilling="[SUFFIX]{suffix}[PREFIX]{prefix}",
    ),
    FimFormat(
        name="GLM-4",
        source="added tokens of zai-org/GLM-4.5; order: zed-industries/zed, edit_prediction/src/fim.rs",
        infilling="<|code_prefix|>{prefix}<|code_suffix|>{suffix}<|code_middle|>",
    ),
    FimFormat(
        name="Falcon-H1-Tiny-Coder",
        source="https://huggingface.co/tiiuae/Falcon-H1-Tiny-Coder-90M",
        infilling="<|prefix|>{prefix}<|suffix|>{suffix}<|middle|>",
    ),
    FimFormat(
        name="Seed-Coder",
        source="arXiv 2506.03524, section on fill in the middle",
        infilling="<[fim-suffix]>{suffix}<[fim-prefix]>{prefix}<[fim-middle]>",
    ),
)


def find_fim_format(control_tokens: Collection[str]) -> FimFormat | None:
    """The format of a tokenizer with these control tokens; None where the model continues text and no more."""
    return next((each for each in FORMATS if each.fits(control_tokens)), None)


def why_no_format(control_tokens: Collection[str]) -> str | None:
    """Why a model that seems to fill in the middle is not asked to, in a sentence; None where all is well."""
    unknown = sorted(token for token in control_tokens if _SOUNDS_LIKE_INFILLING.search(token))
    if not unknown or find_fim_format(control_tokens) is not None:
        return None
    return Sentence(
        "The tokenizer has {tokens}, which no format known here fits: the model reads only what stands before the "
        "cursor.",
        tokens=", ".join(unknown),
    )


def prompt_parts(prompt: Prompt, fim_format: FimFormat | None) -> tuple[str, ...]:
    """What the model reads: text at even places, control tokens at odd ones.

    Other files and the path stand in the format's own tokens, where it has some and the path is known; else in
    comments. Without a format, or without text behind the cursor, it is the text before the cursor alone.
    """
    is_between = bool(prompt.suffix.strip())
    if fim_format is not None and fim_format.file is not None and prompt.path:
        named = [*_filled(fim_format.named, {"repository": [prompt.repository]})] if prompt.repository else [""]
        for piece in prompt.pieces:
            named = _joined(named, _filled(fim_format.file, {"path": [piece.path], "text": [piece.text]}))
        template = fim_format.infilling_named if is_between else fim_format.continuing_named
        own = {"files": named, "path": [prompt.path], "prefix": [prompt.imports + prompt.text]}
        return tuple(_filled(template, {**own, "suffix": [prompt.suffix]}))
    before = prompt.context + prompt.text
    if fim_format is None or not is_between:
        return (before,)
    return tuple(_filled(fim_format.infilling, {"prefix": [before], "suffix": [prompt.suffix]}))


def _filled(template: str, fields: Mapping[str, Sequence[str]]) -> list[str]:
    """A template with its fields, each of which is made of text and control tokens by turns as well."""
    parts = [""]
    for kind, piece in _pieces(template):
        if kind == "field":
            parts = _joined(parts, fields[piece])
        elif kind == "token":
            parts += [piece, ""]
        else:
            parts[-1] += piece
    return parts


@functools.cache
def _pieces(template: str) -> tuple[tuple[str, str], ...]:
    """Fields, control tokens and text of a template, in order, by their kinds."""
    pieces = [piece for piece in _PIECES.split(template) if piece]
    return tuple(
        ("field", piece[1:-1]) if piece[0] == "{" else ("token" if re.fullmatch(_TOKEN, piece) else "text", piece)
        for piece in pieces
    )


def _joined(before: Sequence[str], behind: Sequence[str]) -> list[str]:
    return [*before[:-1], before[-1] + behind[0], *behind[1:]]
