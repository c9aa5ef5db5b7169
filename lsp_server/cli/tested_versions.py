"""Which installed packages differ from those this release was tested with; imports none of them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution, requires, version
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
    """Which of the packages that this one asks for were not tested; None if it does not say what it was tested with.

    Others are passed over: a virtual environment brings some, such as setuptools, that nothing of ours needs.
    """
    constraints = distribution("green-code").read_text(_CONSTRAINTS)
    if constraints is None:
        return None
    ours = {Requirement(asked).name for asked in requires("green-code") or ()}
    return [package for package in find_untried(constraints.splitlines()) if package.name in ours]


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
