"""The data sets of GREEN-CODE's paper: CodeXGLUE's code completion, PY150 and JavaCorpus, from local files or the hub.

Their text is tokenised: single blanks between tokens, `<s>` and `</s>` around a file, `<EOL>` for Python's line ends
and none for Java's, no indentation, and literals as `<STR_LIT>`, `<NUM_LIT:1>`. Nothing of the white space comes back,
so this is no text that a developer types. Knows no model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.corpus.parquet import parquet_rows
from engine.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine.corpus.packages import CorpusLanguage

_AROUND = frozenset({"<s>", "</s>"})
_DATA_SET = "google/code_x_glue_cc_code_completion_token"
_SPLIT = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedCode:
    """A file, or the beginning of one.

    Attributes:
        language: Its language.
        tokens: Its tokens, without `<s>` and `</s>`.
        answer: The line that comes next; "" where the file goes on in `tokens`.
    """

    language: CorpusLanguage
    tokens: tuple[str, ...]
    answer: str = ""


def read_tokenised(path: Path, language: CorpusLanguage) -> list[TokenisedCode]:
    """Reads a file of either task: text with a file of code in each line, JSON lines, or Parquet.

    Raises:
        TrainingError: If it cannot be read, or holds something else.
    """
    try:
        found = [_record(row, language) for row in _rows(path)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} cannot be read as CodeXGLUE's code completion.") from error
    found = [each for each in found if each.tokens]
    if not found:
        raise TrainingError(f"{path} holds no code.")
    return found


def fetch_tokenised(language: CorpusLanguage) -> list[TokenisedCode]:
    """Takes the data set of the token task from the cache of the hub's client, or else from the hub.

    Raises:
        TrainingError: If it cannot be had.
    """
    import huggingface_hub
    from huggingface_hub import errors as hub_errors

    try:
        folder = huggingface_hub.snapshot_download(
            _DATA_SET, repo_type="dataset", allow_patterns=[f"{language}/{_SPLIT}-*.parquet"]
        )
    except (OSError, RuntimeError, hub_errors.HTTPError) as error:  # type: ignore[attr-defined]  # not declared
        raise TrainingError(
            f"The data set {_DATA_SET} is not in the cache, and the hub cannot be reached; "
            "name a file of it with --file."
        ) from error
    files = sorted(Path(folder, language).glob("*.parquet"))
    if not files:
        raise TrainingError(f"The data set {_DATA_SET} has no {language} files of the split '{_SPLIT}'.")
    return [each for path in files for each in read_tokenised(path, language)]


def _rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        yield from parquet_rows(path, instead="text or JSON lines", refused=TrainingError)
        return
    with path.open(encoding="utf-8") as lines:
        for line in filter(str.strip, lines):
            yield json.loads(line) if path.suffix in {".json", ".jsonl"} else {"code": line}


def _record(row: Mapping[str, Any], language: CorpusLanguage) -> TokenisedCode:
    code = row["code"] if "code" in row else row["input"]
    tokens = code.split() if isinstance(code, str) else map(str, code)
    return TokenisedCode(
        language=language,
        tokens=tuple(token for token in tokens if token not in _AROUND),
        answer=str(row.get("gt") or ""),
    )
