"""`import_late`: imports lsprotocol's records, each finished when it is first used, and what else is hardly used.

lsprotocol has 550 records, of which a server uses a few dozen; to finish all took most of a server's start. It knows no
record by name, and its names are private ones of lsprotocol 2025.0. Where that was imported before, nothing changes.
Nor does it load OpenSSL, which takes 5 MB and 6 ms, and of which nothing is asked here: not by asyncio, nor by hashlib
where Python has the same sums of its own.
"""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec
from typing import Any, TypeVar

import attrs

_Record = TypeVar("_Record")
_RECORDS = "lsprotocol.types"
_ATTRIBUTES = "__attrs_attrs__"  # where attrs, and who asks it, look for what a finished record has

_finishing = threading.RLock()  # a record's fields may be records


def import_late() -> None:
    """Imports it all; to be called before anybody else does, while no other thread imports anything."""
    if _RECORDS in sys.modules:
        return
    _import_without_openssl()
    define = attrs.define
    attrs.define = _unfinished  # type: ignore[assignment]
    try:
        import lsprotocol.types  # noqa: F401
    finally:
        attrs.define = define
    from lsprotocol import _hooks

    _hooks._resolved_forward_references = True  # noqa: SLF001 - it would ask for the fields of all; `_finish` does it for each


def _import_without_openssl() -> None:
    """Imports those that are made for a Python without it; who needs TLS imports it later as ever."""
    unneeded = ("ssl", "_hashlib") if _has_sums_of_its_own() else ("ssl",)
    hidden = [name for name in unneeded if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # cannot be imported
    import asyncio  # noqa: F401
    import hashlib  # noqa: F401
    import hmac  # noqa: F401

    for name in hidden:
        del sys.modules[name]


def _has_sums_of_its_own() -> bool:
    """Whether Python was built with them (`--with-builtin-hashlib-hashes`); elsewhere OpenSSL's have to do."""
    sha2 = ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
    return all(find_spec(name) is not None for name in ("_md5", "_sha1", *sha2, "_sha3", "_blake2"))


def _unfinished(record: type[_Record]) -> type[_Record]:
    """Stands in for `attrs.define`."""

    def __init__(self: Any, *args: Any, **fields: Any) -> None:  # noqa: ANN401, N807 - any record's
        _finish(record)
        self.__init__(*args, **fields)

    record.__init__ = __init__  # type: ignore[method-assign]
    setattr(record, _ATTRIBUTES, _Attributes(__init__))
    return record


class _Attributes:
    """Finishes a record when its attributes are looked at."""

    def __init__(self, init: object) -> None:
        self._init = init

    def __get__(self, _: object, record: type[Any]) -> Any:  # noqa: ANN401 - what attrs keeps
        _finish(record)
        return getattr(record, _ATTRIBUTES)


def _told(self: Any) -> str:  # noqa: ANN401 - any record
    fields = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)))
    return f"{type(self).__name__}({fields})"


def _finish(record: type[Any]) -> None:
    with _finishing:
        if isinstance(vars(record)[_ATTRIBUTES], _Attributes):
            del record.__init__
            delattr(record, _ATTRIBUTES)
            if "__repr__" not in vars(record):
                record.__repr__ = _told  # type: ignore[assignment] # what attrs would write takes a third of the time
            attrs.define(record, slots=False, repr=False)  # with slots it would be another class
            attrs.resolve_types(record, vars(sys.modules[_RECORDS]), {})
