"""Records become the JSON that lsprotocol's own converter makes of them."""

import enum
import random
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import attrs
import pytest
from lsprotocol import types
from pygls.protocol import default_converter

from lsp_server.jsonrpc import make_converter

RECORDS = [record for record in types.ALL_TYPES_MAP.values() if isinstance(record, type) and attrs.has(record)]
MOST_DEEP = 4
PLAIN: dict[object, tuple[object, ...]] = {
    str: ("", "a", "größe"),
    int: (0, 1, 7),
    float: (0.0, 0.5),
    bool: (False, True),
    NoneType: (None,),
    object: (None, 3),
    Any: (None, {"a": [1]}),
    types.LSPObject: ({}, {"a": {"b": None}}),
}


class Maker:
    """Makes values of any type, of records not all fields."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def made(self, kind: object, depth: int = 0) -> object:
        kind = getattr(types, kind) if isinstance(kind, str) else kind
        if isinstance(kind, ForwardRef):  # in what may hold more of its kind
            return None
        if kind in PLAIN:
            return self.rng.choice(PLAIN[kind])
        if get_args(kind):
            return self.of_several(get_origin(kind), get_args(kind), depth)
        assert isinstance(kind, type)
        return self.rng.choice(list(kind)) if issubclass(kind, enum.Enum) else self.record(kind, depth)

    def of_several(self, origin: object, inner: tuple[object, ...], depth: int) -> object:
        if origin in (Union, UnionType):
            return self.made(
                self.rng.choice([one for one in inner if depth < MOST_DEEP or one in PLAIN] or [NoneType]), depth
            )
        if origin is Literal:
            return self.rng.choice(inner)
        n_values = self.rng.randrange(3) if depth < MOST_DEEP else 0
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {self.made(inner[0], depth + 1): self.made(inner[1], depth + 1) for _ in range(n_values)}
        if origin is tuple:
            return tuple(self.made(one, depth + 1) for one in inner)
        return [self.made(inner[0], depth + 1) for _ in range(n_values)]

    def record(self, kind: type[Any], depth: int) -> object:
        fields = [field for field in attrs.fields(kind) if field.init]
        # A result is told in any case, and lsprotocol's own function takes none that is None.
        optional = [field for field in fields if field.default is not attrs.NOTHING and field.name != "result"]
        left_out = {field.name for field in optional if self.rng.random() < 0.4}
        return kind(**{field.name: self.made(field.type, depth + 1) for field in fields if field.name not in left_out})


@pytest.mark.parametrize("seed", range(6))
def test_every_record_becomes_the_same_json(seed: int) -> None:
    ours, theirs = make_converter(), default_converter()  # type: ignore[no-untyped-call]
    maker = Maker(seed)
    n_fields = 0
    for record in RECORDS:
        with attrs.validators.disabled():
            made = maker.made(record)
        told = ours.unstructure(made)
        assert told == theirs.unstructure(made), record
        n_fields += len(told)
    assert len(RECORDS) > 500
    assert n_fields > 1000
