"""The two ways that a server is asked for text, and how its pieces are read. They open no connection.

`Infill` is llama.cpp's: the server puts both sides of the cursor and other files into the tokens of its model.
`Completions` is OpenAI's, which vLLM, TGI, Ollama and llama.cpp speak: there the prompt is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engine.completion.fim import prompt_parts
from engine.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine.completion.fim import FimFormat
    from engine.completion.prompt import Prompt

Fields = Literal["all", "published", "least"]
_CUT_OFF = frozenset({"length", "limit", "abort"})  # vLLM aborts what it writes where it is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What came of a text at once.

    Attributes:
        text: What is new.
        tokens: Its tokens as far as they are told, each with its chance; None where that is not.
        end: Why the text ends with it; None where it goes on.
        prompt_tokens: Tokens of the prompt; None where nothing is said of them here.
        reused_tokens: How many of them the server had in its cache; None likewise.
    """

    text: str
    tokens: tuple[tuple[str, float | None], ...]
    end: FinishReason | None = None
    prompt_tokens: int | None = None
    reused_tokens: int | None = None


class Interface(Protocol):
    """One way to ask."""

    @property
    def path(self) -> str:
        """Where."""
        ...

    def is_empty(self, prompt: Prompt) -> bool:
        """Whether a prompt has nothing for the model to read."""
        ...

    def body(self, prompt: Prompt, max_new_tokens: int) -> dict[str, Any]:
        """What is sent for a prompt, all of whose text the model reads."""
        ...

    def read(self, event: Mapping[str, Any]) -> Piece:
        """What one event of the answer says."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Infill:
    """llama.cpp's `/infill`.

    Attributes:
        model: As the server calls it.
        path: Where.
    """

    model: str
    path: str = "/infill"

    def is_empty(self, prompt: Prompt) -> bool:
        """See `Interface`; the server puts control tokens there."""
        return False

    def body(self, prompt: Prompt, max_new_tokens: int) -> dict[str, Any]:
        """See `Interface`; pieces of other files go along as what they are."""
        return {
            "model": self.model,
            "input_extra": [{"filename": piece.path, "text": piece.text} for piece in prompt.pieces],
            "input_prefix": prompt.imports + prompt.text,
            "input_suffix": prompt.suffix,
            "prompt": "",
            "n_predict": max_new_tokens,
            "temperature": 0.0,
            "n_probs": 1,
            "cache_prompt": True,
            "timings_per_token": True,
            "stream": True,
        }

    def read(self, event: Mapping[str, Any]) -> Piece:
        """See `Interface`."""
        text = str(event.get("content") or "")
        tokens = tuple(_told(event.get("completion_probabilities")))
        prompt_tokens, reused = _prompt_of(event)
        return Piece(
            text=text,
            tokens=tokens or _untold(text),
            end=_end(event.get("stop_type")) if event.get("stop") else None,
            prompt_tokens=prompt_tokens,
            reused_tokens=reused,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """OpenAI's `/v1/completions`.

    Attributes:
        model: As the server calls it.
        fim_format: How its model is told of both sides of the cursor; None where that is not known.
        has_suffix: Whether the server does that itself.
        fields: Which fields of a question it takes: what each server knows, or what OpenAI has published, or the least.
        path: Where.
    """

    model: str
    fim_format: FimFormat | None = None
    has_suffix: bool = False
    fields: Fields = "all"
    path: str = "/v1/completions"

    def is_empty(self, prompt: Prompt) -> bool:
        """See `Interface`; vLLM refuses to write where nothing stands."""
        return not any(prompt_parts(prompt, self.fim_format))

    def body(self, prompt: Prompt, max_new_tokens: int) -> dict[str, Any]:
        """See `Interface`."""
        more: dict[str, Any] = {}
        if self.has_suffix:
            more["suffix"] = prompt.suffix or "\n"  # without one some servers take the prompt for a chat's
        if self.fields != "least":
            more["logprobs"] = 1
        if self.fields == "all":
            more |= {
                "repetition_penalty": 1.0,  # vLLM takes that of the model's chats, which spoils code
                "repeat_penalty": 1.0,  # llama-cpp-python, 1.1
                "timings_per_token": True,  # llama.cpp's
                "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            }
        return {
            "model": self.model,
            "prompt": "".join(prompt_parts(prompt, self.fim_format)),
            "max_tokens": max_new_tokens,
            "temperature": 0.0,
            "stream": True,
            **more,
        }

    def read(self, event: Mapping[str, Any]) -> Piece:
        """See `Interface`."""
        choices = event.get("choices") or [{}]
        choice = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
        text = str(choice.get("text") or "")
        prompt_tokens, reused = _prompt_of(event)
        return Piece(
            text=text,
            tokens=tuple(_told(choice.get("logprobs"))) or _untold(text),
            end=_end(choice["finish_reason"]) if choice.get("finish_reason") else None,
            prompt_tokens=prompt_tokens,
            reused_tokens=reused,
        )


def read_whole(prompt: Prompt) -> tuple[Prompt, str]:
    """A prompt as a server's model reads it, and what of the text it is thus not asked to say again.

    A model here is made to spell a word that was begun; a server's cannot be, and so reads it. A lone blank stays away
    from it, because tokens of code begin with one.
    """
    said = prompt.typed if prompt.typed.strip() else ""
    return replace(prompt, text=prompt.text + said), said


def one_by_one(piece: Piece) -> Iterator[Piece]:
    """A piece token by token, since busy servers send several at once; whole where its tokens do not spell it."""
    *others, last = piece.tokens or [("", None)]
    if not others or "".join(token for token, _ in piece.tokens) != piece.text:
        yield piece
        return
    for token in others:
        yield replace(piece, text=token[0], tokens=(token,), end=None)
    yield replace(piece, text=last[0], tokens=(last,))


def _end(said: object) -> FinishReason:
    return FinishReason.LENGTH if said in _CUT_OFF else FinishReason.STOP


def _told(said: object) -> Iterator[tuple[str, float | None]]:
    """Tokens and chances in any of the shapes that servers know."""
    if isinstance(said, dict) and isinstance(said.get("content"), list):
        said = said["content"]
    if isinstance(said, list):
        for token in said:
            if isinstance(token, dict):
                yield str(token.get("token", "")), _chance(token.get("logprob"))
    elif isinstance(said, dict):
        tokens, chances = said.get("tokens"), said.get("token_logprobs")
        if isinstance(tokens, list) and isinstance(chances, list):
            yield from ((str(token), _chance(chance)) for token, chance in zip(tokens, chances, strict=False))


def _untold(text: str) -> tuple[tuple[str, float | None], ...]:
    return ((text, None),) if text else ()


def _chance(logprob: object) -> float | None:
    return math.exp(min(0.0, logprob)) if isinstance(logprob, (int, float)) else None


def _prompt_of(event: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens of the prompt, and those of them that were in the server's cache."""
    match event:
        case {"timings": {"prompt_n": int(read), "cache_n": int(reused)}}:
            return read + reused, reused
        case {"usage": {"prompt_tokens": int(prompt), "prompt_tokens_details": {"cached_tokens": int(reused)}}}:
            return prompt, reused
        case {"usage": {"prompt_tokens": int(prompt)}}:
            return prompt, None
        case _:
            return None, None
