"""Languages inside pages: scripts and styles, and the code between the marks of a language for templates.

Strings only.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.completion.languages import language_named

_ELEMENT = re.compile(r"<(script|style)\b([^>]*)>")
_LANG = re.compile(r"\b(?:lang|type)\s*=\s*[\"']?(?:text/)?(\w+)")
_INSIDE = {
    "script": ("javascript", {"ts": "typescript", "tsx": "typescriptreact", "typescript": "typescript"}),
    "style": ("css", {"scss": "scss", "less": "less", "sass": "sass", "stylus": "stylus"}),
}
_JINJA = (("{{", "}}", "python"), ("{%", "%}", "python"))  # whose strings and signs are Python's
_ELIXIR = (("<%", "%>", "elixir"),)
_MARKS = {
    **dict.fromkeys(("jinja", "jinja-html", "django-html", "twig", "nunjucks", "liquid"), _JINJA),
    **dict.fromkeys(("handlebars", "mustache", "vue", "vue-html"), (("{{", "}}", "javascript"),)),
    **dict.fromkeys(("svelte", "astro"), (("{", "}", "javascript"),)),
    **dict.fromkeys(("eex", "html-eex", "phoenix-heex"), _ELIXIR),
    "blade": (("{{", "}}", "php"), ("{!!", "!!}", "php")),
    "erb": (("<%", "%>", "ruby"),),
    "ejs": (("<%", "%>", "javascript"),),
    "jsp": (("<%", "%>", "java"),),
    "php": (("<?", "?>", "php"),),
    **dict.fromkeys(("xml", "xsl"), (("<?", "?>", "xml"),)),
    **dict.fromkeys(("sql", "postgres", "plsql"), (("$$", "$$", "sql"),)),  # a function's body
}


class Mark(NamedTuple):
    """What begins code in a page.

    Attributes:
        start: Where it stands.
        opener: What it says.
        closer: What ends the code.
        language_id: What the code is written in.
    """

    start: int
    opener: str
    closer: str
    language_id: str


def language_inside(text: str, language_id: str) -> tuple[int, str]:
    """The language that the end of a text is in, and where that begins; 0 and the text's own where there is none."""
    if language_named(language_id).lexer != "html":
        return 0, language_id
    start = max(text.rfind("<script"), text.rfind("<style"))
    found = _ELEMENT.match(text, start) if start >= 0 else None
    if found is None or text.find(f"</{found[1]}", found.end()) >= 0:
        mark = open_mark(text, language_id)
        return (mark.start + len(mark.opener), mark.language_id) if mark else (0, language_id)
    usual, by_name = _INSIDE[found[1]]
    named = _LANG.search(found[2])
    return found.end(), by_name.get(named[1], usual) if named else usual


def open_mark(text: str, language_id: str) -> Mark | None:
    """The mark whose code the end of a page is in; None where it is in none. What comes first holds the others."""
    marks, comments = _MARKS.get(language_id, ()), language_named(language_id).block_comments
    opened = [
        (start, bool(inside), Mark(start, opener, closer, inside))  # a comment may begin as code does
        for opener, closer, inside in (*marks, *((*pair, "") for pair in comments if marks))
        if (start := text.rfind(opener)) >= 0 and _is_open(text, start, opener, closer)
    ]
    is_code, mark = min(opened)[1:] if opened else (False, None)
    return mark if is_code else None


def _is_open(text: str, start: int, opener: str, closer: str) -> bool:
    return text.count(opener) % 2 == 1 if opener == closer else text.find(closer, start + len(opener)) < 0
