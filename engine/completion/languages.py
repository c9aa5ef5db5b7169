"""The one table of languages: whose files end how, how comments begin, and whose lexer knows the rest.

Languages are named as editors name them. It holds no rule of a grammar: those are the lexers' of pygments, which
`engine.completion.lexical` reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from engine.completion.raw_strings import raw_strings_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from engine.completion.brackets import Apostrophes
    from engine.completion.raw_strings import Heredocs, RawStrings

TRAILING_COMMENT = re.compile(r"(?:^|\s)(?:#|//)\s.*\Z")
"""A comment that ends a line, in most languages."""

COMMENT_BEGIN = re.compile(r"\s*(?://|#|--|/\*|<!--)")
"""How the rest of a line begins where it is a comment, in any language."""

EMPTY_COMMENT = re.compile(r"#+|//+|/?\*+/?|--+|<!--|%+|;+|\"\"\"|'''")
"""A comment that says nothing, in any language."""

COMMENT_SIGNS = ("#", "//", "*", "/*", '"""')
"""How a line begins that lies in a comment; the acceptance model is fitted to these."""

_SUFFIXES = {
    "c": ".c .h", "clojure": ".clj .cljs", "cpp": ".c++ .cc .cpp .cxx .h++ .hh .hpp .hxx .inl .ipp", "csharp": ".cs",
    "css": ".css", "cuda-cpp": ".cu .cuh", "dart": ".dart", "elixir": ".ex .exs", "erlang": ".erl .hrl",
    "fsharp": ".fs .fsx", "go": ".go", "groovy": ".gradle .groovy", "haskell": ".hs", "html": ".htm .html",
    "java": ".java", "javascript": ".cjs .js .mjs", "javascriptreact": ".jsx", "json": ".json", "jsonc": ".jsonc",
    "julia": ".jl", "kotlin": ".kt .kts", "latex": ".tex", "less": ".less", "lua": ".lua", "makefile": ".mk",
    "markdown": ".markdown .md", "ocaml": ".ml .mli", "perl": ".pl .pm", "php": ".php", "powershell": ".ps1 .psm1",
    "python": ".py .pyi", "r": ".r", "ruby": ".rake .rb", "rust": ".rs", "scala": ".sbt .scala", "scss": ".scss",
    "shellscript": ".bash .sh .zsh", "sql": ".sql", "svelte": ".svelte", "swift": ".swift", "terraform": ".tf",
    "toml": ".toml", "typescript": ".cts .mts .ts", "typescriptreact": ".tsx", "vue": ".vue", "xml": ".xml",
    "yaml": ".yaml .yml", "zig": ".zig",
}  # fmt: skip
_BY_SUFFIX = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_BY_NAME = {"dockerfile": "dockerfile", "gnumakefile": "makefile", "makefile": "makefile"}
LANGUAGES_OF_FILES = frozenset({*_BY_SUFFIX.values(), *_BY_NAME.values()})
"""Those that a file's name tells."""
# What the files of one name, those of the others use as well: C's headers, and code with elements in it.
_KINDRED = ({"c", "cpp", "cuda-cpp"}, {"javascript", "javascriptreact"}, {"typescript", "typescriptreact"})
# How a line comment begins; where a language has several, the one that most people write.
_LINE_COMMENTS = {
    "#": "python ruby perl perl6 raku r julia elixir coffeescript shellscript fish powershell makefile dockerfile yaml "
    "dockercompose toml cmake nix crystal nim gdscript terraform hcl starlark bazel properties graphql jsonnet dotenv "
    "ignore tcl awk git-commit git-rebase cython mojo",
    "//": "c cpp csharp cuda-cpp d dart fsharp go groovy java javascript javascriptreact jsonc json5 kotlin less "
    "objective-c objective-cpp php proto proto3 rust sass scala scss solidity stylus swift typescript typescriptreact "
    "zig v haxe pascal glsl hlsl wgsl shaderlab verilog systemverilog prisma rescript apex jade pug slim",
    "--": "ada elm haskell lua sql plsql postgres mysql purescript vhdl applescript agda idris lean",
    ";": "asm nasm clojure commonlisp lisp scheme racket ini autohotkey",
    "%": "erlang latex matlab octave prolog tex bibtex",
    "!": "fortran fortran-modern FortranFreeForm",
    "'": "vb vbscript",
    '"': "viml vim",
    "REM ": "bat",
    "*": "abap cobol",
}
_BLOCK_COMMENTS = {
    ("/*", "*/"): "c cpp csharp css cuda-cpp d dart go groovy java javascript javascriptreact jsonc json5 kotlin less "
    "objective-c objective-cpp php proto proto3 rust sass scala scss solidity stylus swift typescript typescriptreact "
    "v haxe sql plsql postgres mysql glsl hlsl wgsl shaderlab verilog systemverilog terraform hcl nix apex rescript "
    "prolog jsonnet",
    ("<!--", "-->"): "html xml xsl vue vue-html svelte astro markdown razor aspnetcorerazor php jinja jinja-html "
    "django-html twig nunjucks liquid handlebars mustache blade erb ejs eex html-eex phoenix-heex jsp",
    ("{", "}"): "pascal",
    ("/+", "+/"): "d",
    ("{#", "#}"): "jinja jinja-html django-html twig nunjucks",
    ("{% comment %}", "{% endcomment %}"): "jinja jinja-html django-html liquid",
    ("{{--", "--}}"): "blade",
    ("<%#", "%>"): "erb ejs eex html-eex phoenix-heex",
    ("<%--", "--%>"): "jsp",
    ("(*", "*)"): "fsharp ocaml pascal applescript",
    ("{-", "-}"): "haskell elm purescript agda idris",
    ("--[[", "]]"): "lua",
    ("/-", "-/"): "lean",
    ("#|", "|#"): "commonlisp lisp scheme racket",
    ("<#", "#>"): "powershell",
    ("#=", "=#"): "julia",
    ("#[", "]#"): "nim",
    ("###", "###"): "coffeescript",
    ("%{", "%}"): "matlab octave",
    ("=begin", "=end"): "ruby",
    **{
        (f"={chapter}", "=cut"): "perl perl6 raku"
        for chapter in ("pod", "head", "over", "item", "back", "encoding", "begin", "for")
    },
    ("@*", "*@"): "razor aspnetcorerazor",
    ("{{!--", "--}}"): "handlebars mustache",
    ("{{!", "}}"): "handlebars mustache",
    ("#[[", "]]"): "cmake",
    ("#[=", "=]"): "cmake",
}
# A comment in a comment is one there, and ends with its own end.
_NESTED_COMMENTS = (
    "kotlin scala swift rust dart d haskell elm purescript agda idris lean ocaml fsharp julia nim v commonlisp lisp "
    "scheme racket postgres"
)
# Names that pygments spells otherwise; "" where it knows nothing like it.
_LEXERS = {
    "apex": "java",
    "asm": "gas",
    "astro": "html",
    "bazel": "python",
    "commonlisp": "common-lisp",
    "cuda-cpp": "cuda",
    "dockercompose": "yaml",
    "dockerfile": "docker",
    "dotenv": "properties",
    "FortranFreeForm": "fortran",
    "fortran-modern": "fortran",
    "git-commit": "properties",
    "git-rebase": "properties",
    "hcl": "terraform",
    "ignore": "properties",
    "jade": "pug",
    "javascriptreact": "javascript",
    "json": "javascript",
    "json5": "javascript",
    "jsonc": "javascript",
    "lisp": "common-lisp",
    "makefile": "basemake",
    "objective-cpp": "objective-c++",
    "perl6": "raku",
    "plaintext": "",
    "plsql": "sql",
    "postgres": "postgresql",
    "prisma": "protobuf",
    "proto": "protobuf",
    "proto3": "protobuf",
    "razor": "html",
    "rescript": "javascript",
    "restructuredtext": "",
    "shaderlab": "hlsl",
    "shellscript": "bash",
    "slim": "",
    "starlark": "python",
    "stylus": "scss",
    "svelte": "html",
    "tex": "latex",
    "v": "go",
    "vb": "vb.net",
    "viml": "vim",
    "typescriptreact": "typescript",
    "vbscript": "vb.net",
    "vue": "html",
    "vue-html": "html",
    "xsl": "xml",
}
# Pages of HTML with marks of a language for templates; `engine.completion.page_languages` knows what stands in those.
_TEMPLATES = (
    "jinja jinja-html django-html twig nunjucks liquid handlebars mustache blade erb ejs eex html-eex phoenix-heex jsp "
    "aspnetcorerazor"
)
# A quote opens a string that its line need not end.
_LONG_STRINGS = (
    "ruby crystal perl perl6 raku php shellscript fish powershell sql plsql postgres mysql rust r julia elixir "
    "erlang clojure commonlisp lisp scheme racket ocaml fsharp nix yaml dockercompose toml tcl coffeescript html "
    "xml xsl vue vue-html svelte astro razor latex tex bibtex prolog " + _TEMPLATES
)
# Prose between marks: what lexers call strings there are words in it.
_PROSE = "markdown restructuredtext latex tex bibtex plaintext ini properties dotenv git-commit"
_TAGS = (
    "html xml xsl vue vue-html svelte astro razor php javascript javascriptreact typescriptreact markdown " + _TEMPLATES
)
_TYPE_PARAMETERS = (
    "c cpp csharp cuda-cpp dart java kotlin groovy rust scala swift typescript typescriptreact apex haxe zig v d "
    "objective-c objective-cpp proto proto3 php"
)
# An apostrophe encloses one character there, or none, as in OCaml's `'a` and Ada's `X'Length`.
_WITHOUT_APOSTROPHES = (
    "ocaml fsharp haskell elm purescript agda idris lean rust c cpp csharp cuda-cpp d go java kotlin scala swift "
    "objective-c objective-cpp zig nim crystal v haxe ada vhdl verilog systemverilog julia clojure commonlisp "
    "lisp scheme racket tcl asm nasm glsl hlsl wgsl shaderlab apex"
)
_TRANSPOSES = "matlab octave scilab julia"  # and an apostrophe behind a name or a bracket transposes a matrix there
_BACKTICKS = "javascript javascriptreact typescript typescriptreact rescript go v d crystal julia perl php ruby"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What is known of one language.

    Attributes:
        lexer: Its name in pygments; "" where there is none.
        line_comment: What begins a comment that its line ends; "" without one.
        block_comments: What begins and ends other comments.
        nests_comments: Whether such a comment may stand in another.
        has_long_strings: Whether quotes may enclose line ends.
        quotes: The quotes that begin a string.
        apostrophes: What they are.
        is_prose: Whether quotes are signs of its text, and nothing begins a string.
        raw_strings: Strings that are begun by more than quotes; None where there are none.
        is_template: Whether it is HTML with marks of a language for templates.
        has_tags: Whether elements are written as tags between angle brackets.
        has_type_parameters: Whether parameters of types stand in angle brackets.
    """

    lexer: str = ""
    line_comment: str = ""
    block_comments: tuple[tuple[str, str], ...] = ()
    nests_comments: bool = False
    has_long_strings: bool = False
    quotes: frozenset[str] = frozenset("\"'")
    apostrophes: Apostrophes = "guessed"
    is_prose: bool = False
    raw_strings: RawStrings | Heredocs | None = None
    is_template: bool = False
    has_tags: bool = False
    has_type_parameters: bool = False


@cache
def language_named(language_id: str) -> Language:
    """What is known of the language that an editor names so; nothing but its name where it is in no table."""
    quotes = _quotes(language_id)
    are_quotes = "'" in quotes and language_id.lower() in known_languages()
    apostrophes: Apostrophes = "quotes" if are_quotes else "guessed"
    return Language(
        lexer="html" if language_id in _TEMPLATES.split() else _LEXERS.get(language_id, language_id),
        line_comment=next((mark for mark, ids in _LINE_COMMENTS.items() if language_id in ids.split()), ""),
        block_comments=tuple(pair for pair, ids in _BLOCK_COMMENTS.items() if language_id in ids.split()),
        nests_comments=language_id in _NESTED_COMMENTS.split(),
        has_long_strings=language_id in _LONG_STRINGS.split(),
        quotes=quotes,
        apostrophes="transposes" if language_id in _TRANSPOSES.split() else apostrophes,
        is_prose=language_id in _PROSE.split(),
        raw_strings=raw_strings_of(language_id),
        is_template=language_id in _TEMPLATES.split(),
        has_tags=language_id in _TAGS.split(),
        has_type_parameters=language_id in _TYPE_PARAMETERS.split(),
    )


def _quotes(language_id: str) -> frozenset[str]:
    if language_id in _PROSE.split():
        return frozenset()
    apostrophe = "" if language_id in _WITHOUT_APOSTROPHES.split() else "'"
    return frozenset(f'"{apostrophe}{"`" if language_id in _BACKTICKS.split() else ""}')


@cache
def known_languages() -> frozenset[str]:
    """The names of all languages that something is known of, in lower case."""
    tables = (*_LINE_COMMENTS.values(), *_BLOCK_COMMENTS.values(), _PROSE, _TAGS)
    names = [name for table in tables for name in table.split()]
    return frozenset(name.lower() for name in (*names, *_BY_SUFFIX.values(), *_LEXERS))


def comment_mark(language_id: str) -> str | None:
    """What begins a comment line, with its blank; None for a language that is not known or has no such comments."""
    mark = language_named(language_id).line_comment
    return f"{mark.rstrip()} " if mark else None


def language_of(path: Path) -> str:
    """The editor's identifier of a file's language; "" when it is not known."""
    return _BY_NAME.get(path.name.lower()) or _BY_SUFFIX.get(path.suffix.lower(), "")


def with_kindred(languages: Iterable[str]) -> frozenset[str]:
    """Languages, and those whose files name the same things."""
    named = frozenset(languages)
    return named.union(*(kin for kin in _KINDRED if not named.isdisjoint(kin)))
