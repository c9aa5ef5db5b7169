"""What pygments' lexers lack for our use, added to them in their own form: tags in JavaScript, code in C#'s strings.

They are written for colours: a colour may be wrong for a line, and what nothing closes need not be known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.completion.languages import Language

# A quote begins a string where a value is due, and behind another blank a comment.
_VIM_STRING = (
    r"([=(\[{,.:?!<>+*/%&|~\\-]|\b(?:echo\w*|exe\w*|return|if|elseif|while|in|throw|eval)\b)([ \t]*)"
    r"(\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"?)"
)

_CONDITION = r"(?<![.\w$])(?:if|while|with|for(?:\s+await)?)\s*\("
_REGEX = r"/(?:\\.|[^[/\\\n]|\[(?:\\.|[^\]\\\n])*\])+/(?:[dgimsuvy]+\b|\B)"


def lexer_for_pygments(language: Language) -> object:
    """The lexer of pygments for a language.

    Args:
        language: The language; one whose lexer is "" has none.

    Raises:
        LookupError: pygments has none of that name.
    """
    from pygments.lexers import find_lexer_class_by_name
    from pygments.util import ClassNotFound

    if not language.lexer:
        raise LookupError(language.lexer)
    try:
        found: Any = find_lexer_class_by_name(language.lexer)
    except ClassNotFound as error:
        raise LookupError(language.lexer) from error
    found = _with_rules(found, language.lexer)
    if language.lexer in {"javascript", "typescript"}:
        return _with_tags(found, with_tags=language.has_tags)()
    if language.lexer in {"html", "xml"}:
        return _with_attributes(found, language)()
    return _with_interpolation(found)() if language.lexer == "csharp" else found()


def _with_rules(lexer: Any, name: str) -> Any:  # noqa: ANN401 - pygments is untyped
    """Rules before all others: what a slash or a quote is behind certain signs."""
    from pygments.lexer import bygroups, include, inherit
    from pygments.token import Comment, Keyword, Name, Operator, String, Text

    counted = (r"\+\+|--", Operator)  # a slash behind it divides
    transposed = (r"(?<=[\w)\].}])'+", Operator)
    escaped = (r"[eE]'(?:\\[\s\S]|[^'\\])*'?", String)  # Postgres' strings with backslashes
    open_quoted = (r'"(?:\\.|[^"\\\n])*(?=\n|\Z)', String)  # lexers that read a string whole take `\"` for its end
    open_anywhere = (r"(?P<quote>[\"'])(?:\\[\s\S]|(?!(?P=quote))[^\\])*\Z", String)
    by_name: dict[str, list[Any]] = {
        "javascript": [counted],
        "typescript": [counted, (r"(?<=[\w$)\]])!(?!=)", Operator)],
        "awk": [counted],
        "bash": [(r"<<(?!<)-?", Operator), (r"\$'", String, "escaped")],
        "elm": [(r"'(?:\\.|[^'\\\n])'", String)],
        "kotlin": [],
        "matlab": [transposed],
        "octave": [transposed],
        "postgresql": [escaped],
        "r": [open_anywhere],
        "scala": [open_quoted],
        "scilab": [transposed],
        "solidity": [open_quoted],
        "sql": [escaped, (r"`[^`\n]*`?|(?<![\w\]])\[[^\W\d][^\]\n]*\]", Name)],
        "terraform": [open_quoted],
        "vim": [
            (r"\b(?:echo\w*|exe|execute)\b", Keyword, "values"),
            (_VIM_STRING, bygroups(Operator, Text, String)),
            (r"(?<=[ \t])\".*", Comment),
        ],
    }
    rules = by_name.get(name)
    if rules is None:
        return lexer
    value = (r'"(?:[^"\\\n]|\\.)*"?', String)
    states: dict[str, list[Any]] = {
        "bash": {"escaped": [(r"'", String, "#pop"), (r"\\[\s\S]|[^'\\]+", String)]},
        "kotlin": {"multiline_string": [(r'"{3,}', String, "#pop"), inherit]},
        "vim": {"values": [(r"[\n|]", Text, "#pop"), value, include("root")]},  # where no quote begins a comment
    }.get(name, {})
    return type(lexer.__name__, (lexer,), {"tokens": {"root": [*rules, inherit], **states}})


def _with_tags(lexer: Any, *, with_tags: bool) -> Any:  # noqa: ANN401 - pygments is untyped
    """Elements between angle brackets, where an expression may begin, conditions, and brackets in code in templates."""
    from pygments.lexer import bygroups, default, include, inherit
    from pygments.token import Keyword, Name, Operator, Punctuation, String, Text

    tags = [(r"<(?=[A-Za-z_$>])", Punctuation, ("#pop", "tag"))] if with_tags else []

    class WithTags(lexer):  # type: ignore[misc]
        tokens = {  # noqa: RUF012 - as pygments declares them
            "root": [
                (r"=>", Punctuation, "slashstartsregex"),
                (_CONDITION, Keyword, ("condition", "slashstartsregex")),
                (r"\}", Punctuation, "slashstartsregex"),  # a block's: nobody divides an object
                inherit,
            ],
            "slashstartsregex": [*tags, (_REGEX, String.Regex, "#pop"), inherit],
            # A statement follows it, which may begin with a regular expression.
            "condition": [(r"\)", Punctuation, ("#pop", "slashstartsregex")), include("bracketed")],
            "parentheses": [(r"\)", Punctuation, "#pop"), include("bracketed")],
            "bracketed": [
                (r"\(", Punctuation, ("parentheses", "slashstartsregex")),
                (r"\{", Punctuation, ("block", "slashstartsregex")),
                (r"(?=\})", Text, "#pop"),  # nothing has closed it yet
                include("root"),
            ],
            "interp-inside": [(r"\{", Punctuation, "block"), inherit],
            "block": [
                (r"\{", Punctuation, "#push"),
                (r"\}", Punctuation, ("#pop", "slashstartsregex")),
                include("root"),
            ],
            "braces": [(r"\{", Punctuation, "block"), (r"\}", Punctuation, "#pop"), include("root")],  # of an element
            "tag": [
                (r"/\s*>", Punctuation, "#pop"),
                (r">", Punctuation, ("#pop", "children")),
                (r'"', String, "double quoted"),
                (r"'", String, "single quoted"),
                (r"\{", Punctuation, ("braces", "slashstartsregex")),
                (r"[\w$.:-]+", Name.Tag),
                (r"[=\s]+", Operator),
                default("#pop"),
            ],
            "double quoted": [(r'"', String, "#pop"), (r'[^"]+', String)],
            "single quoted": [(r"'", String, "#pop"), (r"[^']+", String)],
            "children": [
                (r"(</)([^<>]*)(>)", bygroups(Punctuation, Name.Tag, Punctuation), "#pop"),
                (r"<(?=[A-Za-z_$>])", Punctuation, "tag"),
                (r"\{", Punctuation, ("braces", "slashstartsregex")),
                (r"[^<{]+|<", Text),
            ],
        }

    return WithTags


def _with_interpolation(lexer: Any) -> Any:  # noqa: ANN401
    """Code inside the strings of C#, and those that go over several lines."""
    from pygments.lexer import include
    from pygments.token import Punctuation, String

    class WithInterpolation(lexer):  # type: ignore[misc]
        tokens = {  # noqa: RUF012 - as pygments declares them
            level: {
                **states,
                "root": [
                    (r'\$*("{4,})[\s\S]*?(?:\1(?!")|\Z)', String),
                    (r'\$+"""', String, "interpolated raw"),
                    (r'"""', String, "raw"),
                    (r'\$"', String, "interpolated"),
                    (r'(\$@|@\$)"', String, "verbatim"),
                    include("plain root"),
                ],
                "plain root": states["root"],
                "raw": [(r'"""', String, "#pop"), (r'[^"]+|"', String)],
                "interpolated raw": [
                    (r'"""', String, "#pop"),
                    (r"\{", String.Interpol, "code"),
                    (r'[^"{]+|"', String),
                ],
                "interpolated": [
                    (r'\\.|\{\{|[^"\\{\n]+', String),
                    (r"\{", String.Interpol, "code"),
                    (r'"|(?=\n)', String, "#pop"),
                ],
                "verbatim": [
                    (r'""|\{\{|[^"{]+', String),
                    (r"\{", String.Interpol, "code"),
                    (r'"', String, "#pop"),
                ],
                "code": [
                    (r"\{", Punctuation, "#push"),
                    (r"\}", String.Interpol, "#pop"),
                    include("root"),
                ],
            }
            for level, states in lexer.tokens.items()
        }

    return WithInterpolation


def _with_attributes(lexer: Any, language: Language) -> Any:  # noqa: ANN401
    """Strings in tags that go on while nothing ends them; the marks of a language for templates, and its comments."""
    from pygments.lexer import inherit
    from pygments.token import Comment, Punctuation, String, Text

    pairs = (f"{re.escape(opener)}.*?{re.escape(closer)}" for opener, closer in language.block_comments)
    marks: list[Any] = [("|".join(pairs), Comment), (r"<%.*?%>|\{%.*?%\}|\{\{.*?\}\}", Punctuation)]
    marks = marks if language.is_template else []

    def string(quote: str) -> list[Any]:
        return [*marks, (quote, String, "#pop:2"), (f"[^{quote}<" + r"{]+|[<{]", String)]

    class WithAttributes(lexer):  # type: ignore[misc]
        tokens = {  # noqa: RUF012 - as pygments declares them
            "root": [*marks, (r"[^<&{@]+|[{@]|<(?![A-Za-z/!?])", Text), inherit],  # `a < b` begins no tag
            "tag": [*marks, inherit],
            "attr": [*marks, (r"\s+", Text), ('"', String, "double"), ("'", String, "single"), inherit],
            "double": string('"'),
            "single": string("'"),
        }

    return WithAttributes
