"""A file that is written in one step: whole, or as it was."""

from pathlib import Path

import pytest

from engine.files import is_file, written_whole


def test_a_file_is_written_in_a_folder_that_is_made_for_it(tmp_path: Path) -> None:
    with written_whole(tmp_path / "new" / "notes.txt") as partial:
        partial.write_text("all of it")

    assert (tmp_path / "new" / "notes.txt").read_text() == "all of it"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["notes.txt"]


def fail_halfway(path: Path) -> None:
    with written_whole(path) as partial:
        partial.write_text("half")
        assert path.read_text() == "before"
        raise OSError(28, "the disk is full")


def test_until_the_end_the_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("before")

    with pytest.raises(OSError, match="full"):
        fail_halfway(path)

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_may_not_be_entered_holds_no_file(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    too_long = (
        tmp_path / ("n" * 300) / "file"
    )  # which the system refuses to look at, as it does a folder without rights
    assert [is_file(path) for path in (whole, tmp_path, loop / "file", too_long)] == [True, False, False, False]
