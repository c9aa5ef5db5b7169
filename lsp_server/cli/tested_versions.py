"""Which installed packages differ from those this release was tested with; imports none of them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CONSTRAINTS = "extra_metadata/constraints.txt"  # of the wheel's own metadata; pyproject.toml puts it there


class UntriedVersion(NamedTuple):
    """A package that is installed in another version than the tested one."""

    name: str
    installed: str
    tested: str


def untried_versions() -> Sequence[UntriedVersion] | None:
    """The installed packages that this release was not tested with; None if it does not say what it was tested with."""
    constraints = distribution("green-code").read_text(_CONSTRAINTS)
    return None if constraints is None else find_untried(constraints.splitlines())


def find_untried(constraints: Iterable[str]) -> Sequence[UntriedVersion]:
    """The same for the lines of a constraints file; passes over other systems, other Pythons and absent packages."""
    untried = []
    for requirement in (Requirement(line) for line in constraints if line and not line.startswith("#")):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            tested = next(iter(requirement.specifier)).version
            untried.append(UntriedVersion(requirement.name, installed, tested))
    return untried
