"""Dataclasses of ours are what they always are, their functions compiled when they are first called."""

from tests.told_apart import told_by

SCRIPT = """
import copy, dataclasses, json, pickle, sys, types
from dataclasses import FrozenInstanceError, dataclass, field
if sys.argv[1] == "late":
    from engine.late_functions import make_late
    make_late()
SOURCE = '''
from __future__ import annotations
from dataclasses import dataclass, field
@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    n: int
    names: list[str] = field(default_factory=list, compare=False)
@dataclass(order=True)
class Base:
    "Something."
    n: int = 3
    def __post_init__(self):
        self.double = 2 * self.n
@dataclass
class Derived(Base):
    text: str = "a"
    def __repr__(self):
        return "its own"
@dataclass(frozen=True)
class Node:
    below: object = None
@dataclass
class Unused:
    n: int
'''
def classes(name):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(SOURCE, name, "exec", dont_inherit=True), vars(module))
    return module
def refused(make):
    try:
        make()
    except Exception as error:
        return type(error).__name__
def is_late(kind, name):
    return vars(kind)[name].__code__.co_name == "late"
ours, others = classes("engine.made"), classes("somebody.made")
first = [is_late(ours.Unused, name) for name in ("__init__", "__eq__")]
theirs = [is_late(others.Unused, name) for name in ("__init__", "__eq__")]
one, ring = ours.Frozen(n=1, names=["a"]), ours.Node()
object.__setattr__(ring, "below", ring)
print(json.dumps({
    "late": first,
    "late of others": theirs,
    "late once called": is_late(ours.Frozen, "__init__"),
    "uses": [
        repr(one), one == ours.Frozen(n=1), one != ours.Frozen(n=2), hash(one) == hash(ours.Frozen(n=1)), repr(ring),
        refused(lambda: setattr(one, "n", 2)), refused(lambda: delattr(one, "n")), refused(lambda: ours.Frozen(1)),
        refused(lambda: ours.Frozen(n=1, m=2)), repr(dataclasses.replace(one, n=5)), dataclasses.asdict(one),
        repr(copy.deepcopy(one)), repr(pickle.loads(pickle.dumps(one))), hasattr(one, "__dict__"),
        ours.Base(1) < ours.Base(2), ours.Base(2) >= ours.Base(2), refused(lambda: ours.Base(1) < 2),
        refused(lambda: hash(ours.Base())), ours.Base().double, ours.Base.__match_args__, ours.Base.__doc__,
        repr(ours.Derived()), ours.Derived(4, "b").double, ours.Base(3) == ours.Derived(3),
        ours.Derived(4) == ours.Derived(4), ours.Derived.__init__.__qualname__, ours.Unused.__eq__.__qualname__,
        ours.Unused(1) == ours.Unused(1), [each.name for each in dataclasses.fields(ours.Derived)],
    ],
}))
"""


def test_our_classes_do_the_same_and_compile_what_is_called() -> None:
    late, plain = told_by(SCRIPT, "late"), told_by(SCRIPT, "plain")

    assert late["uses"] == plain["uses"]
    assert (late["late"], plain["late"]) == ([True, True], [False, False])
    assert late["late of others"] == [False, False]
    assert late["late once called"] is False
