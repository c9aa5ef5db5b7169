import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.project import project_text
from engine.project.contexts import SortedContexts
from engine.project.followers import Followers
from engine.project.project_text import ProjectText


def encode(text: str) -> list[int]:
    """A token a letter."""
    return list(map(ord, text))


@pytest.fixture
def project() -> ProjectText:
    return ProjectText(encode, 128)


def following(project: ProjectText, last: str, without: str = "") -> str | None:
    """The most frequent letter behind the longest agreement."""
    found = project.without(without).followers(encode(last))
    return None if found is None else chr(found.ids[0])


@pytest.mark.parametrize("is_sorted", [False, True])
def test_what_another_file_says_is_found(project: ProjectText, *, is_sorted: bool) -> None:
    project.replace("a", "total = price * amount")
    project.replace("b", "price + tax")
    if is_sorted:
        project.sort()

    assert project.without().followers(encode("price ")) == Followers(6, 2, (ord("*"), ord("+")), (0.5, 0.5))
    assert project.without().followers(encode("= price ")) == Followers(8, 1, (ord("*"),), (1.0,))


@pytest.mark.parametrize("is_sorted", [False, True])
def test_the_file_itself_does_not_count(project: ProjectText, *, is_sorted: bool) -> None:
    project.replace("a", "price * amount")
    project.replace("b", "ce + tax")
    if is_sorted:
        project.sort()

    assert following(project, "price ") == "*"
    assert following(project, "price ", without="a") == "+"


def test_a_changed_file_counts_as_it_is_now(project: ProjectText) -> None:
    project.replace("a", "price * amount")
    project.sort()
    project.replace("a", "price / amount")

    assert following(project, "price ") == "/"
    project.sort()
    assert following(project, "price ") == "/"
    project.remove("a")
    assert following(project, "price ") is None
    project.sort()
    assert following(project, "price ") is None
    assert project.names == ()


def test_no_agreement_reaches_over_the_border_between_files(project: ProjectText) -> None:
    project.replace("a", "x = 1")
    project.replace("b", "price")
    project.sort()

    assert following(project, "= 1") is None  # nothing follows the end of a file
    assert following(project, "e") is None


def test_there_is_room_for_so_many_tokens_and_no_more() -> None:
    project = ProjectText(encode, 128, most_tokens=10)

    assert project.replace("a", "12345678")
    assert not project.replace("b", "abc")
    assert project.replace("a", "1234")
    assert project.replace("b", "abc")
    assert project.n_tokens == 7


def test_a_file_that_comes_while_all_are_sorted_is_not_lost(project: ProjectText) -> None:
    project.replace("a", "price * amount " * 2000)
    sorting = threading.Thread(target=project.sort)
    sorting.start()
    project.replace("b", "cost - rebate")
    sorting.join()

    assert following(project, "cost ") == "-"
    assert following(project, "price ") == "*"


def test_what_is_forgotten_while_all_are_sorted_does_not_come_back(
    project: ProjectText, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contexts(ids: NDArray[np.integer]) -> SortedContexts:
        project.clear()  # as when a file has become private meanwhile
        return SortedContexts(ids)

    project.replace("a", "password = hunter2")
    monkeypatch.setattr(project_text, "SortedContexts", contexts)
    project.sort()

    assert (project.names, project.nbytes) == ((), 0)
    assert following(project, "password = ") is None


def test_what_is_forgotten_takes_no_memory(project: ProjectText) -> None:
    project.replace("a", "price * amount")
    project.sort()
    assert project.nbytes > 0
    project.clear()

    assert project.nbytes == 0
    assert following(project, "price ") is None
