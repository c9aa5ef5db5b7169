import os
from pathlib import Path

import pytest

from lsp_server.context import project_files as listing
from lsp_server.context.git_ignore import GitIgnores
from lsp_server.context.privacy import PrivateFiles
from lsp_server.context.project_files import MAX_FILE_BYTES, project_files, read_file
from tests.lsp_server.context.repositories import git

PYTHON = frozenset({"python"})


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name = {name!r}\n")


def found(folder: Path, ignores: GitIgnores, *patterns: str, near: str = "") -> list[str]:
    private = PrivateFiles(patterns, [folder], git=ignores)
    files = project_files(folder, PYTHON, near=[folder / near] if near else [], private=private)
    return [path.relative_to(folder).as_posix() for path in files]


def test_git_names_what_it_tracks_and_what_it_does_not_ignore(project: Path, ignores: GitIgnores) -> None:
    write(project, "a.py", "b.py", "deep/c.py", "notes.md", "out/d.py", "kept/e.py")
    (project / ".gitignore").write_text("out/\nkept/\nb.py\n")
    git("add", "--force", "b.py", cwd=project)

    assert found(project, ignores) == ["a.py", "b.py", "deep/c.py"]


@pytest.mark.parametrize("name", [".env.py", "id_rsa", "credentials.py"])
def test_what_is_private_is_no_part_of_a_project(project: Path, ignores: GitIgnores, name: str) -> None:
    write(project, "a.py", "secrets/b.py", name)

    assert found(project, ignores, "secrets/", name) == ["a.py"]


def test_a_folder_without_git_is_looked_through_and_its_lists_are_obeyed(home: Path, ignores: GitIgnores) -> None:
    folder = home.parent / "plain"
    write(folder, "a.py", "out/b.py", ".hidden/c.py", "node_modules/d.py", "deep/e.py")
    (folder / ".gitignore").write_text("out/\n")

    assert found(folder, ignores) == ["a.py", "deep/e.py"]


def test_files_near_the_open_ones_come_first(project: Path, ignores: GitIgnores) -> None:
    write(project, "a.py", "one/two/b.py", "one/c.py", "other/d.py")

    assert found(project, ignores, near="one/two/open.py") == ["one/two/b.py", "one/c.py", "a.py", "other/d.py"]


def test_links_lead_nowhere(home: Path, ignores: GitIgnores) -> None:
    folder = home.parent / "plain"
    write(folder, "a.py")
    write(home.parent / "outside", "b.py")
    (folder / "outside").symlink_to(home.parent / "outside")
    (folder / "circle").symlink_to(folder)
    (folder / "c.py").symlink_to(home.parent / "outside" / "b.py")

    assert found(folder, ignores) == ["a.py", "c.py"]
    assert read_file(folder / "c.py") is None


def test_there_is_an_end_to_looking(home: Path, ignores: GitIgnores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_FILES", 3)
    folder = home.parent / "plain"
    write(folder, *(f"{number}.py" for number in range(9)))

    assert found(folder, ignores) == ["0.py", "1.py", "2.py"]


def test_a_folder_that_is_gone_has_no_files(home: Path, ignores: GitIgnores) -> None:
    assert found(home.parent / "gone", ignores) == []


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00b",
        b"a = 1\0\n",
        b"x = 1;" * 200,
        b"# a line\n" * (MAX_FILE_BYTES // 9 + 1),
    ],
    ids=["no text", "a NUL", "minified", "too long"],
)
def test_what_nobody_wrote_for_people_is_not_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(content)

    assert read_file(path) is None


def test_other_line_ends_are_read_as_the_engine_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"a = 1\r\nb = 2\r\n")

    assert read_file(path) == "a = 1\nb = 2\n"


def test_a_pipe_and_a_folder_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()

    assert read_file(tmp_path / "pipe.py") is None
    assert read_file(tmp_path / "folder.py") is None
    assert read_file(tmp_path / "gone.py") is None
