"""The lexers of pygments, read step by step: from any place with a known state, and on through code that is broken.

pygments reads a text from its beginning and takes what nothing closes for something else. While a person types, most
of the text is known from the key before, and what stands before the cursor is seldom closed. So this walks over the
same tables itself: it says in which state it may go on later, and what an unclosed opener opens lasts to the end of
the text, or of the line where the language has it so. It knows no cursor. pygments loads when it is first used.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from engine.completion.dialects import lexer_for_pygments
from engine.completion.languages import language_named

if TYPE_CHECKING:
    from collections.abc import Iterator

Part = Literal["code", "comment", "string"]

QUOTE = re.compile(r"[A-Za-z@$&]{0,3}(\"\"\"|'''|[\"'`])")
"""How a string begins: what may stand before its quotes, and those."""

LINE_QUOTES = frozenset("\"'")
"""Quotes that their line ends, in most languages."""

_LONG_QUOTES = frozenset({'"""', "'''"})  # read as an empty string, and what follows, where nothing closes them
_LINE_END = re.compile(r"(?<!\\)\n")
_MOST_STILL = 100
_match = re.Pattern.match


class Opened(NamedTuple):
    """A string or comment that goes on.

    Attributes:
        start: Where it begins.
        part: What it is.
        stack: The lexer's states before it, the innermost last.
    """

    start: int
    part: Part
    stack: tuple[str, ...]

    @property
    def depth(self) -> int:
        """How many states that were."""
        return len(self.stack)

    @property
    def in_tag(self) -> bool:
        """Whether it is a value in a tag, which goes over lines in any language."""
        return self.stack[-1] == "tag"


class Token(NamedTuple):
    """One piece of a text that a lexer has read.

    Attributes:
        start: Where it begins.
        part: What it is.
        text: What it says.
        is_known: Whether the language has it for what it is here, so that a quote in it begins no string.
    """

    start: int
    part: Part
    text: str
    is_known: bool


class State(NamedTuple):
    """Where a lexer stands, and all that it needs to go on from there.

    Attributes:
        at: Characters read.
        stack: Its states, the innermost last.
        opened: The strings and comments that the place lies in, the innermost last.
        part: What was read last.
    """

    at: int
    stack: tuple[str, ...]
    opened: tuple[Opened, ...] = ()
    part: Part = "code"


class _Searched(NamedTuple):
    """A state's rules, so that the first that matches is found without a step of Python's for each before it.

    Attributes:
        patterns: What they look for, in their order.
        rules: What each does, and the states that follow, by the pattern's identity; of two alike the first.
    """

    patterns: tuple[re.Pattern[str], ...]
    rules: dict[int, tuple[Any, Any]]

    @classmethod
    def of(cls, rules: Any) -> _Searched:  # noqa: ANN401 - pygments is untyped
        """Of the rules as pygments keeps them: each has the method `match` of its pattern."""
        patterns = tuple(match_at.__self__ for match_at, _, _ in rules)
        told = {id(match_at.__self__): (action, states) for match_at, action, states in reversed(rules)}
        return cls(patterns, told)


class Lexer:
    """One language's lexer.

    Args:
        language_id: The language, as the editor names it.

    Raises:
        LookupError: Without a lexer.
    """

    def __init__(self, language_id: str) -> None:
        from pygments.lexer import ExtendedRegexLexer, RegexLexer

        self._language = language_named(language_id)
        self._lexer: Any = lexer_for_pygments(self._language)
        # What the loop of pygments walks over; a lexer of another kind reads all at once.
        self._rules: dict[str, Any] | None = self._lexer._tokens if isinstance(self._lexer, RegexLexer) else None  # noqa: SLF001
        self._searched: dict[str, _Searched] = {}  # by state
        self._kinds: dict[Any, tuple[Part, bool]] = {}  # of tokens: what they are, and whether they are known
        openers = [opener for opener, _ in self._language.block_comments]
        self._openers = {each[0] for each in (*openers, *self._language.quotes) if each}  # letters, of which one opens
        self._with_context = isinstance(self._lexer, ExtendedRegexLexer)

    def start(self, text: str) -> State:
        """The state at the beginning of a text."""
        is_bare = self._lexer.name == "PHP" and "<?" not in text  # a piece of code without the mark that begins it
        return State(0, ("root", "php") if is_bare else ("root",))

    def states(self, text: str, state: State, until: int) -> Iterator[State]:
        """Reads on from a state; gives the state after each step, the last for what covers the place `until`."""
        context = self._context(text, state)
        n_still = 0  # steps that have read nothing
        while state.at <= until:
            at, stack = state.at, state.stack
            tokens = self._step(text, context, state)
            if context.pos > until:
                tokens = [token for token in tokens if token.start <= until]
            opened, part = _opened_after(state, tokens, stack, len(context.stack))
            state = State(context.pos, tuple(context.stack), opened, part)
            broken = self._mended(text, state, tokens, stack) if tokens else None
            if broken is not None:
                state = broken
                context.pos, context.stack[:] = state.at, state.stack
            n_still = n_still + 1 if state.at == at else 0
            if n_still > _MOST_STILL:  # a rule opens what another has ended: neither would come to an end
                context.pos += 1
                state = state._replace(at=context.pos)
            yield state

    def _context(self, text: str, state: State) -> Any:  # noqa: ANN401 - pygments is untyped
        from pygments.lexer import LexerContext
        from pygments.lexers.data import YamlLexer, YamlLexerContext

        self._lexer.text = text  # the one of Postgres looks around in it
        kind = YamlLexerContext if isinstance(self._lexer, YamlLexer) else LexerContext
        return kind(text, state.at, list(state.stack))

    def _step(self, text: str, context: Any, state: State) -> list[Token]:  # noqa: ANN401
        """The next tokens by one rule of the lexer."""
        at = context.pos
        if self._rules is None:
            context.pos = len(text)
            return [self._token(at + where, kind, value) for where, kind, value in self._unstepped(text[at:]) if value]
        match, action, new_states = self._found(text, at, context.stack[-1])
        if match is None:
            from pygments.token import Error, String, Text

            context.pos = at + 1
            is_line_end = text[at] == "\n"  # ends what is broken on its line
            if is_line_end:
                del context.stack[1:]
            wrong = String if is_in_string(state, tuple(context.stack)) else Error  # one that nothing ends
            tokens = [(at, Text if is_line_end else wrong, text[at])]
        else:
            if action is None:
                tokens, context.pos = [], match.end()
            elif not callable(action) or isinstance(action, tuple):
                tokens, context.pos = [(at, action, match.group())], match.end()
            elif self._with_context:
                tokens = list(action(self._lexer, match, context))
            else:
                tokens, context.pos = list(action(self._lexer, match)), match.end()
            _change(context.stack, new_states)
        return [self._token(where, kind, value) for where, kind, value in tokens if value]

    def _unstepped(self, text: str) -> Iterator[tuple[int, Any, str]]:
        yield from self._lexer.get_tokens_unprocessed(text)

    def _found(self, text: str, at: int, name: str) -> tuple[re.Match[str] | None, Any, Any]:
        """The first rule of a state that matches: what it found, what it does, and the states that follow."""
        assert self._rules is not None, "it reads by rules"
        searched = self._searched.get(name)
        if searched is None:
            searched = self._searched[name] = _Searched.of(self._rules[name])
        for match in filter(None, map(_match, searched.patterns, repeat(text), repeat(at))):
            return match, *searched.rules[id(match.re)]
        return None, None, None

    def _token(self, start: int, kind: Any, text: str) -> Token:  # noqa: ANN401
        known = self._kinds.get(kind)
        if known is None:
            from pygments.token import Operator, String

            known = self._kinds[kind] = self._part_of(kind), kind in Operator or kind in String
        return Token(start, known[0], text, known[1])

    def _part_of(self, kind: Any) -> Part:  # noqa: ANN401
        from pygments.token import Comment, String

        if kind in String.Doc and self._language.block_comments:
            return "comment"  # that documents something, as Rust's `///`; Python has strings for it
        if kind in Comment:
            return "code" if kind in Comment.Preproc or kind in Comment.PreprocFile else "comment"
        if kind not in String or self._language.is_prose:
            return "code"
        return "code" if kind in String.Interpol or kind in String.Regex or kind in String.Symbol else "string"

    def _mended(self, text: str, state: State, tokens: list[Token], stack: tuple[str, ...]) -> State | None:
        """The state where a step read something amiss: an unclosed opener, or a string over the end of its line."""
        start, part = tokens[0].start, tokens[0].part
        raw = self._language.raw_strings
        if raw is None and part == "code" and text[start] not in self._openers:
            return None  # as most often
        is_raw = raw is not None and part != "comment" and not is_in_string(state, stack)
        if raw is not None and is_raw and (found := raw.at(text, start)) is not None and found.end is not None:
            outer = (each for each in state.opened if each.start < start)
            return State(found.end, stack, (*outer, Opened(start, "string", stack)), "string")
        is_empty = part == "string" and state.at == start + 2 and not is_in_string(state, stack)
        if is_empty and text[start : start + 3] in _LONG_QUOTES:
            return State(len(text), stack, (*state.opened[:-1], Opened(start, "string", stack)), "string")
        if part == "string":
            return self._at_line_end(text, start, state, stack)
        in_comment = bool(state.opened) and state.opened[-1].part == "comment" and state.opened[-1].start < start
        for opener, closer in () if in_comment else self._language.block_comments:
            begins_line = text[start - 1 : start] in {"", "\n"}
            if text.startswith(opener, start) and (begins_line or not opener.startswith("=")):
                end = comment_end(text, start + len(opener), opener, closer, nests=self._language.nests_comments)
                if end is None or (part == "comment" and self._language.nests_comments):
                    return State(end or len(text), stack, (Opened(start, "comment", stack),), "comment")
        return self._unclosed_string(text, tokens[0], state, stack) if part == "code" else None

    def _unclosed_string(self, text: str, first: Token, state: State, stack: tuple[str, ...]) -> State | None:
        is_quote = first.text in self._language.quotes and not first.is_known
        if not is_quote or state.stack != stack or is_in_string(state, stack):
            return None
        end = self._string_end(text, first.start, first.text)
        return State(end, stack, (*state.opened, Opened(first.start, "string", stack)), "string")

    def _at_line_end(self, text: str, start: int, state: State, stack: tuple[str, ...]) -> State | None:
        """The state where a string ends because its line does; None where it goes on."""
        if self._language.has_long_strings or not state.opened or "\n" not in text[start : state.at]:
            return None
        inner = state.opened[-1]
        quote = QUOTE.match(text, inner.start)
        raw = self._language.raw_strings
        if inner.in_tag or quote is None or quote[1] not in LINE_QUOTES or (raw and raw.at(text, inner.start)):
            return None
        end = self._string_end(text, start, quote[1])
        return State(end, inner.stack, state.opened, "string") if end < state.at else None

    def _string_end(self, text: str, start: int, quote: str) -> int:
        if self._language.has_long_strings or quote not in LINE_QUOTES:
            return len(text)
        end = _LINE_END.search(text, start)
        return end.start() if end else len(text)


@cache
def lexer_for(language_id: str) -> Lexer | None:
    """A language's lexer; None where pygments has none."""
    try:
        return Lexer(language_id)
    except LookupError:
        return None


def comment_end(text: str, at: int, opener: str, closer: str, *, nests: bool) -> int | None:
    """Where a comment ends that has been opened before a place; None where nothing ends it.

    Args:
        text: The text.
        at: The place.
        opener: What begins such comments.
        closer: What ends them.
        nests: Whether comments may stand in it, which end first.
    """
    depth = 1
    while (end := text.find(closer, at)) >= 0:
        inner = text.find(opener, at, end) if nests else -1
        depth, at = (depth + 1, inner + len(opener)) if inner >= 0 else (depth - 1, end + len(closer))
        if not depth:
            return at
    return None


def is_in_string(state: State, stack: tuple[str, ...]) -> bool:
    """Whether the lexer reads the inside of a string, and not code in it."""
    return bool(state.opened) and state.opened[-1].part == "string" and state.opened[-1].depth == len(stack) - 1


def _opened_after(
    state: State, tokens: list[Token], stack: tuple[str, ...], n_states: int
) -> tuple[tuple[Opened, ...], Part]:
    """The strings and comments that a place lies in after a step to so many states, and what was read last."""
    if not state.opened and all(token.part == "code" for token in tokens):
        return (), "code" if tokens else state.part  # as most often
    opened, part, depth = list(state.opened), state.part, len(stack)
    for start, kind, value, _ in tokens:
        is_begun = bool(opened) and (opened[-1].depth < depth or (opened[-1].start >= state.at and n_states > depth))
        if kind == "code" and is_begun and not value.strip():
            continue  # a blank in a string
        if kind == part == "string" and opened and opened[-1].depth == depth and not QUOTE.match(value):
            continue  # the lexer has changed its state, and the string goes on
        if kind == "code":
            while opened and opened[-1].depth >= depth:
                opened.pop()
        elif not opened or depth <= opened[-1].depth:
            while opened and opened[-1].depth >= depth:
                opened.pop()
            opened.append(Opened(start, kind, stack))
        elif part == "code" and depth > opened[-1].depth + 1:  # a string in the code inside a string
            opened.append(Opened(start, kind, stack))
        part = kind
    return tuple(opened), part


def _change(stack: list[str], new_states: Any) -> None:  # noqa: ANN401
    """What a rule does to the stack of states; as in pygments' own loop, a state always stays."""
    for state in new_states if isinstance(new_states, tuple) else () if new_states is None else (new_states,):
        if isinstance(state, int):
            del stack[max(1, len(stack) + state) :]
        elif state == "#pop":
            del stack[max(1, len(stack) - 1) :]
        elif state == "#push":
            stack.append(stack[-1])
        else:
            stack.append(state)
