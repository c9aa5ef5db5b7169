import json
from pathlib import Path

import huggingface_hub
import pytest

from engine.corpus.code_x_glue import TokenisedCode, fetch_tokenised, read_tokenised
from engine.errors import TrainingError

PYTHON = "<s> import os <EOL> print ( <STR_LIT:a> ) <EOL> </s>"
TOKENS = ("import", "os", "<EOL>", "print", "(", "<STR_LIT:a>", ")", "<EOL>")


def test_a_file_of_text_has_a_file_of_code_in_each_line(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(f"{PYTHON}\n\n{PYTHON}\n")

    assert read_tokenised(tmp_path / "test.txt", "python") == [TokenisedCode(language="python", tokens=TOKENS)] * 2


@pytest.mark.parametrize("code", [PYTHON, PYTHON.split()])
def test_json_lines_hold_text_or_tokens(tmp_path: Path, code: object) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps({"id": 0, "code": code}) + "\n")

    assert read_tokenised(tmp_path / "test.jsonl", "java")[0].tokens == TOKENS


def test_a_line_to_complete_has_its_answer(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps({"id": 0, "input": "<s> int x =", "gt": "1 ;"}) + "\n")

    (found,) = read_tokenised(tmp_path / "test.json", "java")

    assert (found.tokens, found.answer) == (("int", "x", "="), "1 ;")


@pytest.mark.parametrize("text", ["", "[1, 2]\n", '{"other": 1}\n', "no JSON\n"])
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.jsonl").write_text(text)

    with pytest.raises(TrainingError, match=r"(cannot be read as CodeXGLUE's code completion|holds no code)\.$"):
        read_tokenised(tmp_path / "test.jsonl", "java")


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        read_tokenised(tmp_path / "none.txt", "java")


def test_the_hub_out_of_reach_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(TrainingError, match=r"code_completion_token is not in the cache, .*with --file\.$"):
        fetch_tokenised("java")
