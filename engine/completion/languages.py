"""The languages that editors name: whose files end how, and how a comment line begins. Nothing else about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BY_SUFFIX = {
    ".c": "c", ".cpp": "cpp", ".cs": "csharp", ".go": "go", ".java": "java", ".js": "javascript", ".kt": "kotlin",
    ".py": "python", ".rb": "ruby", ".rs": "rust", ".sh": "shellscript", ".ts": "typescript",
}  # fmt: skip
_LANGUAGES = {
    "# ": "python ruby perl perl6 r julia elixir coffeescript shellscript fish powershell makefile dockerfile yaml "
    "toml cmake nix crystal nim gdscript terraform starlark properties graphql jsonnet",
    "// ": "c cpp csharp cuda-cpp dart fsharp go groovy java javascript javascriptreact jsonc kotlin less "
    "objective-c objective-cpp php proto rust scala scss solidity swift typescript typescriptreact zig v",
    "-- ": "ada elm haskell lua sql plsql purescript vhdl",
    "; ": "asm clojure lisp scheme racket ini",
    "% ": "erlang latex matlab prolog tex",
    "! ": "fortran fortran-modern",
    "' ": "vb",
}
_MARKS = {language: mark for mark, languages in _LANGUAGES.items() for language in languages.split()}


def comment_mark(language_id: str) -> str | None:
    """What begins a comment line, with its blank; None for a language that is not known or has no such comments."""
    return _MARKS.get(language_id)


def language_of(path: Path) -> str:
    """The editor's identifier of a file's language; "" when it is not known."""
    return _BY_SUFFIX.get(path.suffix.lower(), "")
