"""`part_at`: whether a cursor stands in code, in a comment or in a string, as far as a look at the signs can tell.

It knows how comments and strings begin and end in common languages, not their grammars: regular expressions of
JavaScript, nested template strings and a window that begins inside a long string are taken for what they look like.
In a language it does not know, everything is code.
"""

from __future__ import annotations

import re
from typing import Literal

Part = Literal["code", "comment", "string"]

_LINE_END = r"(?=\n)"
_SLASHES = {"//": _LINE_END, "/*": r"\*/"}
_HASH = {"#": _LINE_END}
_DASHES = {"--": _LINE_END}
_MARKUP = {"<!--": "-->"}
_TRIPLE = {'"""': r'(?:\\.|[^\\])*?"""', "'''": r"(?:\\.|[^\\])*?'''"}
_DOUBLE = {'"': r'(?:\\.|[^"\\\n])*(?:"|(?=\n))'}
_SINGLE = {"'": r"(?:\\.|[^'\\\n])*(?:'|(?=\n))"}
_BACKTICK = {"`": r"(?:\\.|[^`\\])*`"}
_C = _SLASHES | _DOUBLE | _SINGLE
_JAVASCRIPT = _C | _BACKTICK
_SHELL = _HASH | _DOUBLE | _SINGLE

_LANGUAGES = {
    **dict.fromkeys(("c", "cpp", "csharp", "cuda-cpp", "dart", "objective-c", "php", "scss", "css"), _C),
    **dict.fromkeys(("java", "kotlin", "scala", "swift"), _TRIPLE | _C),
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact", "go"), _JAVASCRIPT),
    **dict.fromkeys(("rust", "zig"), _SLASHES | _DOUBLE),  # a lone ' is a lifetime
    **dict.fromkeys(("python", "toml"), _HASH | _TRIPLE | _DOUBLE | _SINGLE),
    **dict.fromkeys(("coffeescript", "elixir", "julia"), _HASH | _TRIPLE | _DOUBLE),
    **dict.fromkeys(("dockerfile", "makefile", "perl", "powershell", "r", "ruby", "shellscript", "yaml"), _SHELL),
    **dict.fromkeys(("lua", "sql"), _DASHES | _DOUBLE | _SINGLE),
    "haskell": _DASHES | {"{-": r"-\}"} | _DOUBLE,
    **dict.fromkeys(("html", "xml", "vue", "svelte", "markdown"), _MARKUP),
}
_STRINGS = frozenset({'"""', "'''", '"', "'", "`"})


def part_at(prefix: str, language_id: str) -> Part:
    """Where the end of a text stands.

    Args:
        prefix: The document before the cursor, from the beginning of a line.
        language_id: The editor's language identifier.
    """
    ends = _LANGUAGES.get(language_id)
    if ends is None:
        return "code"
    openers = re.compile("|".join(map(re.escape, sorted(ends, key=len, reverse=True))))
    at = 0
    while (opener := openers.search(prefix, at)) is not None:
        sign = opener[0]
        end = _end(sign, ends[sign], prefix, opener.end())
        if end is None:
            return "string" if sign in _STRINGS else "comment"
        at = end
    return "code"


def _end(sign: str, pattern: str, text: str, start: int) -> int | None:
    found = re.compile(pattern, re.DOTALL)
    # The body of a string is a part of its pattern, since a backslash may hide its end.
    match = found.match(text, start) if sign in _STRINGS else found.search(text, start)
    return match.end() if match else None
