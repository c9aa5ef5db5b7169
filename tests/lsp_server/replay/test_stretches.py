"""Which stretches of which files are typed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.corpus.source_text import SourceFile
from engine.types import no_progress
from lsp_server.replay import stretches
from lsp_server.replay.stretches import stretches_of

LONG, SHORT = "x = 1\n" * 700, "x = 1\n" * 250


def test_held_out_files_are_as_many_as_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The languages take turns, and a file that is too short takes none."""
    texts = {"python": [LONG, SHORT, LONG, SHORT, LONG], "java": [SHORT, LONG, LONG, SHORT]}
    files = [
        SourceFile(language=language, package="none", path=f"{language}_{n}", text=text)  # type: ignore[arg-type]
        for language, of_language in texts.items()
        for n, text in enumerate(of_language)
    ]
    monkeypatch.setattr(stretches, "gather_corpus", lambda **_: SimpleNamespace(files={"test": files}))

    found = stretches_of(None, n_files=4, chars=800, folder=tmp_path, progress=no_progress)

    assert [stretch.language_id for stretch in found] == ["java", "python", "java", "python"]
    assert all(len(stretch.text) >= 800 for stretch in found)
