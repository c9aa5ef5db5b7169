"""Which code a process has read."""

import os
from pathlib import Path

import pytest

from engine.code_in_use import need_code_in_use, written_ns
from engine.errors import OutdatedError


@pytest.mark.parametrize("changed", ["types.py", "service/wire.py"])
def test_code_is_newer_where_a_message_or_a_record_in_it_has_changed(tmp_path: Path, changed: str) -> None:
    (tmp_path / "service").mkdir()
    for name in ("types.py", "config.py", "service/wire.py", "service/guest.py"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(1000, 1000))

    os.utime(tmp_path / changed, ns=(2000, 2000))

    assert written_ns(tmp_path) == 2000


def test_a_process_whose_code_was_written_since_it_was_read_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    need_code_in_use()
    monkeypatch.setattr("engine.code_in_use.WRITTEN_NS", 1)

    with pytest.raises(OutdatedError, match="installed anew"):
        need_code_in_use()
