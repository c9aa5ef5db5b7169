"""`make_late`: from now on the functions of our own dataclasses are compiled when they are first called.

A dataclass writes itself six functions, and to compile those of our eighty took a sixth of a server's start; most are
never called. It knows no class by name. That `dataclasses` compiles with `exec` what gives the functions, and sets them
on the class by their names, is true of Python 3.10 to 3.14; classes of anybody else stay as they are.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_OURS = frozenset({"engine", "lsp_server"})
_GIVEN = re.compile(r"return (\(?)([\w,]+)\)?\Z")  # one function, or a tuple of all


def make_late() -> None:
    """Begins it, for classes that are defined from now on."""
    dataclasses.exec = _late_exec  # type: ignore[attr-defined] # found there before the built-in one


def _late_exec(text: str, names: dict[str, Any], made: dict[str, Any]) -> None:
    """Stands in for `exec` there, which makes the one function that makes all others."""
    given = _GIVEN.search(text)
    if given is None or names.get("__name__", "").partition(".")[0] not in _OURS:
        exec(text, names, made)  # noqa: S102 - as dataclasses does
        return

    def give(**local_names: Any) -> Any:  # noqa: ANN401 - a function, or several
        functions = _Functions(text, names, local_names)
        late = tuple(_late(name, functions) for name in _names(given))
        return late if given[1] else late[0]

    made["__create_fn__"] = give


def _names(given: re.Match[str]) -> list[str]:
    return given[2].rstrip(",").split(",")


class _Functions:
    """Those that one text makes. Two threads may both make them, to the same effect."""

    __slots__ = ("_local_names", "_made", "_names", "_text")

    def __init__(self, text: str, names: dict[str, Any], local_names: dict[str, Any]) -> None:
        self._text, self._names, self._local_names = text, names, local_names
        self._made: dict[str, Callable[..., Any]] | None = None

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if self._made is None:
            made: dict[str, Any] = {}
            exec(self._text, self._names, made)  # noqa: S102
            given, functions = _GIVEN.search(self._text), made["__create_fn__"](**self._local_names)
            assert given is not None, "it was looked for before"
            self._made = dict(zip(_names(given), functions if given[1] else (functions,), strict=True))
        return self._made[name]


def _late(name: str, functions: _Functions) -> Callable[..., Any]:
    def late(self: Any, *args: Any, **fields: Any) -> Any:  # noqa: ANN401 - any class's
        made = functions[name]
        made.__qualname__ = late.__qualname__
        for kind in type(self).__mro__:
            if vars(kind).get(name) is late:
                setattr(kind, name, made)
        return made(self, *args, **fields)

    late.__name__ = name
    return late
