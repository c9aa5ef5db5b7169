"""`import_late`: imports lsprotocol's records, each filled and finished when first used, and what else is hardly used.

lsprotocol has 550 records, of which a server uses a few dozen; to finish all took most of a server's start, and to make
their 1,600 fields a tenth of the rest. It knows no record by name, and its names are private ones of lsprotocol 2025.0.
Where that was imported before, nothing changes.
Nor does it load OpenSSL, which takes 5 MB and 6 ms, and of which nothing is asked here: not by asyncio, nor by hashlib
where Python has the same sums of its own.
"""

from __future__ import annotations

import builtins
import sys
import threading
from importlib.util import find_spec
from types import CodeType
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from types import FunctionType

_RECORDS = "lsprotocol.types"
_ATTRIBUTES = "__attrs_attrs__"  # where attrs, and who asks it, look for what a finished record has
_NOWHERE = ""  # where attrs finds a record's module, it copies all its names for each record: 1.4 MB for a window's

_finishing = threading.RLock()  # a record's fields may be records
_bodies: dict[type[Any], CodeType] = {}  # of records that have not been filled


def import_late() -> None:
    """Imports it all; to be called before anybody else does, while no other thread imports anything."""
    if _RECORDS in sys.modules:
        return
    _import_without_openssl()
    define, build = attrs.define, builtins.__build_class__
    attrs.define = _unfinished  # type: ignore[assignment]
    builtins.__build_class__ = _unfilled  # type: ignore[assignment]
    try:
        import lsprotocol.types  # noqa: F401
    finally:
        attrs.define, builtins.__build_class__ = define, build
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


_build_class = builtins.__build_class__


def _unfilled(body: FunctionType, name: str, *bases: Any, **options: Any) -> Any:  # noqa: ANN401 - as Python calls it
    """Stands in for what a statement `class` calls. A record with methods is filled at once."""
    code = body.__code__
    is_record = body.__globals__.get("__name__") == _RECORDS and not (bases or options or body.__closure__)
    if not is_record or any(isinstance(constant, CodeType) for constant in code.co_consts):
        return _build_class(body, name, *bases, **options)
    record: type[Any] = type(name, (), {"__module__": _RECORDS})
    _bodies[record] = code
    return record


def _unfinished(record: type[Any]) -> type[Any]:
    """Stands in for `attrs.define`."""
    record.__init__ = _finish_and_begin
    setattr(record, _ATTRIBUTES, _ATTRIBUTES_LATER)
    return record


def _finish_and_begin(self: Any, *args: Any, **fields: Any) -> None:  # noqa: ANN401 - any record's
    """Is the `__init__` of an unfinished record."""
    _finish(type(self))
    self.__init__(*args, **fields)  # by now another one


class _AttributesLater:
    """Finishes a record when its attributes are looked at."""

    def __get__(self, _: object, record: type[Any]) -> Any:  # noqa: ANN401 - what attrs keeps
        _finish(record)
        return getattr(record, _ATTRIBUTES)


_ATTRIBUTES_LATER = _AttributesLater()


def _told(self: Any) -> str:  # noqa: ANN401 - any record
    fields = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)))
    return f"{type(self).__name__}({fields})"


def _is_equal(self: Any, other: Any) -> Any:  # noqa: ANN401 - any record
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(getattr(self, field.name) == getattr(other, field.name) for field in attrs.fields(type(self)))


_PLAIN = {"__repr__": _told, "__eq__": _is_equal, "__hash__": None}


def _finish(kind: type[Any]) -> None:
    """Finishes a record, or the one that somebody's class is made of."""
    with _finishing:
        for record in kind.__mro__:
            if vars(record).get(_ATTRIBUTES) is _ATTRIBUTES_LATER:
                delattr(record, _ATTRIBUTES)
                _fill(record)
                for name, function in _PLAIN.items():  # what attrs would write takes half of the time
                    if name not in vars(record):
                        setattr(record, name, function)
                record.__module__ = _NOWHERE
                # With slots it would be another class.
                attrs.define(record, slots=False, repr=False, eq=False, init=True)
                record.__module__ = _RECORDS
                attrs.resolve_types(record, vars(sys.modules[_RECORDS]), {})


def _fill(record: type[Any]) -> None:
    if (body := _bodies.pop(record, None)) is not None:
        filling: dict[str, Any] = {}
        exec(body, vars(sys.modules[_RECORDS]), filling)  # noqa: S102 - lsprotocol's own
        for name, value in filling.items():
            setattr(record, name, value)
