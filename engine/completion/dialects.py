"""What pygments' lexers lack for our use, added to them in their own form: tags in JavaScript, code in C#'s strings.

They are written for colours: a colour may be wrong for a line, and what nothing closes need not be known.
"""

from __future__ import annotations

from typing import Any


def lexer_named(name: str, *, with_tags: bool) -> object:
    """A lexer of pygments by one of its names.

    Args:
        name: The name; "" finds none.
        with_tags: Whether JavaScript and its kin have elements between angle brackets.

    Raises:
        LookupError: pygments has none of that name.
    """
    from pygments.lexers import find_lexer_class_by_name
    from pygments.util import ClassNotFound

    if not name:
        raise LookupError(name)
    try:
        found: Any = find_lexer_class_by_name(name)
    except ClassNotFound as error:
        raise LookupError(name) from error
    if name in {"javascript", "typescript"}:
        return _with_tags(found, with_tags=with_tags)()
    return _with_interpolation(found)() if name == "csharp" else found()


def _with_tags(lexer: Any, *, with_tags: bool) -> Any:  # noqa: ANN401 - pygments is untyped
    """Elements between angle brackets, where an expression may begin; and brackets in the code of templates."""
    from pygments.lexer import bygroups, default, include, inherit
    from pygments.token import Name, Operator, Punctuation, String, Text

    tags = [(r"<(?=[A-Za-z_$>])", Punctuation, ("#pop", "tag"))] if with_tags else []

    class WithTags(lexer):  # type: ignore[misc]
        tokens = {  # noqa: RUF012 - as pygments declares them
            "root": [(r"=>", Punctuation, "slashstartsregex"), inherit],
            "slashstartsregex": [*tags, inherit],
            "interp-inside": [(r"\{", Punctuation, "braces"), inherit],
            "braces": [(r"\{", Punctuation, "#push"), (r"\}", Punctuation, "#pop"), include("root")],
            "tag": [
                (r"/\s*>", Punctuation, "#pop"),
                (r">", Punctuation, ("#pop", "children")),
                (r"\"[^\"]*\"|'[^']*'", String),
                (r"\{", Punctuation, ("braces", "slashstartsregex")),
                (r"[\w$.:-]+", Name.Tag),
                (r"[=\s]+", Operator),
                default("#pop"),
            ],
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
                    (r'\$*"""', String, "raw"),
                    (r'\$"', String, "interpolated"),
                    (r'(\$@|@\$)"', String, "verbatim"),
                    include("plain root"),
                ],
                "plain root": states["root"],
                "raw": [(r'"""', String, "#pop"), (r'[^"]+|"', String)],
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
