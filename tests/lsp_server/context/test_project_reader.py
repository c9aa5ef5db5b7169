import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from engine.project.project_text import ProjectText
from engine.project.projects import Projects
from lsp_server.context.project_reader import ProjectReader

READ = "Files read: 2; left out, for they are too long, no text, or more than there is room for: 1."


class Desk:
    """A reader, what it has read, and a way to wait until it rests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.news: list[tuple[str, str]] = []
        self.projects = Projects(lambda text: list(map(ord, text)), 0x110000)
        self._rests = threading.Event()
        self.spent_s: list[float] = []  # as it was told
        self.reader = ProjectReader(self._note, lambda: self.spent_s.append(sum(self.reader.cpu_s.values())))

    def read(self, *patterns: str, texts: dict[str, str] | None = None) -> None:
        self._rests.clear()
        open_texts = {self.folder / name: text for name, text in (texts or {}).items()}
        self.reader.read(self.projects.text, [self.folder], {"python"}, private_files=patterns, texts=open_texts)
        assert self._rests.wait(30)

    def after(self, change: Callable[[], None]) -> list[str]:
        """The files that are known once a change has been taken in."""
        change()
        self.read_marker()
        return self.names

    def join(self) -> None:
        """Waits for the reader's thread to end."""
        thread = self.reader._thread
        assert thread is not None
        thread.join(30)
        assert not thread.is_alive()

    def read_marker(self) -> None:
        done = threading.Event()
        self.reader._do(done.set)
        assert done.wait(30)

    @property
    def names(self) -> list[str]:
        return sorted(Path(name).name for name in self.projects.text(str(self.folder)).names)

    def _note(self, reading: str, read: str) -> None:
        self.news.append((reading, read))
        if read:
            self._rests.set()


@pytest.fixture
def desk(project: Path) -> Iterator[Desk]:
    (project / "a.py").write_text("price = 1\n")
    (project / "b.py").write_text("cost = 2\n")
    desk = Desk(project)
    yield desk
    desk.reader.close()
    desk.join()


def test_a_folder_is_read_and_it_is_said_how_much(desk: Desk) -> None:
    (desk.folder / "c.py").write_bytes(b"\xff\xff")
    desk.read()

    assert desk.names == ["a.py", "b.py"]
    assert desk.news == [
        ("Reading the project project.", ""),
        ("", f"project: {READ}"),
    ]
    assert desk.reader.index == READ  # and names no folder
    desk.reader.stop()
    assert desk.reader.index == ""


def test_it_is_reading_until_the_last_folder_has_been_read(desk: Desk, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        (folder / "a.py").write_text("price = 1\n")
    desk.news.clear()

    desk.reader.read(desk.projects.text, folders, {"python"}, private_files=(), texts={})
    desk.read_marker()

    assert [reading for reading, _ in desk.news] == ["Reading the project first.", "Reading the project second.", ""]


def test_what_the_editor_holds_outweighs_the_disk(desk: Desk) -> None:
    desk.read(texts={"a.py": "rebate = 3\n"})

    followers = desk.projects.text(str(desk.folder)).without().followers(list(map(ord, "rebate ")))
    assert followers is not None
    assert chr(followers.ids[0]) == "="


def test_what_a_document_says_is_read_once_until_it_says_something_else(desk: Desk) -> None:
    path, texts = desk.folder / "a.py", list[str]()

    def encode(text: str) -> list[int]:
        texts.append(text)
        return list(map(ord, text))

    desk.projects = Projects(encode, 0x110000)
    desk.read(texts={"a.py": "price = 3\n"})
    desk.after(lambda: desk.reader.update(path, "price = 3\n"))  # as `didOpen` says
    assert sorted(texts) == ["cost = 2\n", "price = 3\n"]
    desk.after(lambda: desk.reader.update(path, "price = 4\n"))
    desk.after(lambda: desk.reader.update(path, "price = 4\n"))
    desk.after(lambda: desk.reader.update(path))  # it was closed without saving
    desk.after(lambda: desk.reader.update(path, "price = 4\n"))
    assert texts[2:] == ["price = 4\n", "price = 1\n", "price = 4\n"]
    desk.read(texts={"a.py": "price = 4\n"})  # from the beginning
    assert texts.count("price = 4\n") == 3


def test_files_come_change_and_go(desk: Desk) -> None:
    desk.read()
    new, old = desk.folder / "new.py", desk.folder / "a.py"
    new.write_text("late = 1\n")

    assert desk.after(lambda: desk.reader.update(new)) == ["a.py", "b.py", "new.py"]
    old.unlink()
    assert desk.after(lambda: desk.reader.update(old)) == ["b.py", "new.py"]
    assert desk.after(lambda: desk.reader.update(old, "back = 1\n")) == ["a.py", "b.py", "new.py"]


def test_of_a_folder_that_was_moved_or_deleted_its_files_are_taken_and_forgotten(desk: Desk) -> None:
    source, moved = desk.folder / "src", desk.folder / "lib"
    (source / "deep").mkdir(parents=True)
    (source / "x.py").write_text("x = 1\n")
    (source / "deep" / "y.py").write_text("y = 1\n")
    desk.read(texts={"open.py": "price = 2\n"})
    before = desk.names

    def move() -> None:
        source.rename(moved)
        desk.reader.update(source)
        desk.reader.update(moved)

    def delete() -> None:
        shutil.rmtree(moved)
        desk.reader.update(moved)

    assert "x.py" in before
    assert "y.py" in before
    assert desk.after(move) == before
    found = set(desk.projects.text(str(desk.folder)).names)
    assert {str(moved / "x.py"), str(moved / "deep" / "y.py")} < found
    assert not any(Path(name).is_relative_to(source) for name in found)
    assert desk.after(delete) == [name for name in before if name not in {"x.py", "y.py"}]
    assert not desk.reader.is_behind


def test_of_a_folder_that_changes_only_what_git_names_is_taken(desk: Desk) -> None:
    desk.read()
    before = desk.names
    (desk.folder / ".gitignore").write_text("out/\n")
    for inner in (".git", "out"):
        (desk.folder / inner).mkdir(exist_ok=True)
        (desk.folder / inner / "made.py").write_text("x = 1\n")

    def tell() -> None:
        for inner in (".git", "out"):
            desk.reader.update(desk.folder / inner)

    assert desk.after(tell) == before


def test_what_a_package_manager_fetches_meanwhile_is_passed_over_as_in_the_first_reading(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("price = 1\n")  # and no git
    desk = Desk(tmp_path)
    desk.read()
    fetched = [desk.folder / "venv/lib/p.py", desk.folder / ".cache/p.py", desk.folder / "node_modules/p.py"]
    for path in fetched:
        path.parent.mkdir(parents=True)
        path.write_text("p = 1\n")

    def tell() -> None:
        for path in (*fetched, desk.folder / "venv", desk.folder / "node_modules"):
            desk.reader.update(path)

    assert desk.after(tell) == ["a.py"]
    desk.reader.close()
    desk.join()


def test_a_file_of_another_kind_or_place_or_that_is_private_is_passed_over(desk: Desk) -> None:
    desk.read("secret.py")
    for name in ("notes.md", "secret.py", ".env", "../outside.py"):
        path = desk.folder / name
        path.write_text("x = 1\n")

        assert desk.after(lambda path=path: desk.reader.update(path)) == ["a.py", "b.py"]  # type: ignore[misc]


def test_a_new_reading_forgets_the_one_before(desk: Desk) -> None:
    desk.read()
    desk.read("b.py")

    assert desk.names == ["a.py"]


def test_what_is_switched_off_is_forgotten(desk: Desk) -> None:
    desk.read()
    desk.reader.stop()

    assert desk.names == []
    assert desk.reader.project_of(desk.folder / "a.py") is None


def test_a_file_belongs_to_the_innermost_folder(desk: Desk, tmp_path: Path) -> None:
    inner = desk.folder / "inner"
    inner.mkdir()
    desk.reader.read(desk.projects.text, [desk.folder, inner], {"python"}, private_files=(), texts={})

    assert desk.reader.project_of(inner / "x.py") == inner
    assert desk.reader.project_of(desk.folder / "x.py") == desk.folder
    assert desk.reader.project_of(tmp_path / "elsewhere" / "x.py") is None


def test_the_time_that_reading_takes_is_counted_wherever_it_is_spent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.read()
    here_s = desk.reader.cpu_s[desk.folder]
    assert 0.0 < here_s < 30.0

    # As another process says it; a new one begins to count anew.
    for told_s, expected_s in ((20.0, 20.0), (50.0, 50.0), (10.0, 60.0)):
        monkeypatch.setattr(ProjectText, "cpu_elsewhere_s", told_s)
        desk.after(lambda: desk.reader.update(desk.folder / "a.py", "price = 3\n"))
        assert expected_s + here_s <= desk.reader.cpu_s[desk.folder] < expected_s + here_s + 5.0


def test_each_folder_is_told_its_own_time(desk: Desk, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("small", "large")]
    for folder, n_files in zip(folders, (1, 40), strict=True):
        folder.mkdir()
        for n in range(n_files):
            (folder / f"{n}.py").write_text("price = cost + tax\n" * 200)

    desk.reader.read(desk.projects.text, folders, {"python"}, private_files=(), texts={})
    desk.read_marker()

    small_s, large_s = map(desk.reader.cpu_s.__getitem__, folders)
    assert 0.0 < 3.0 * small_s < large_s
    assert desk.spent_s[-1] == pytest.approx(small_s + large_s)


def test_a_long_reading_is_told_while_it_lasts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(10):
        (desk.folder / f"{n}.py").write_text("price = 1\n")
    told_s = iter(range(1_000))
    monkeypatch.setattr(ProjectText, "cpu_elsewhere_s", property(lambda _: next(told_s) * 0.1))  # as each file takes

    desk.read()

    gaps_s = [later - earlier for earlier, later in pairwise([0.0, *desk.spent_s])]
    assert len(gaps_s) > 3
    assert max(gaps_s) < 2.0  # 0.3, but for what reading itself took on a busy machine


def test_a_folder_that_vanishes_ends_nothing(desk: Desk) -> None:
    gone = desk.folder / "gone"
    desk.reader.read(desk.projects.text, [gone, desk.folder], {"python"}, private_files=(), texts={})
    desk.read_marker()

    assert desk.names == ["a.py", "b.py"]
