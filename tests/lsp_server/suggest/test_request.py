from dataclasses import replace

import pytest
from lsprotocol.types import Position, Range

from engine.completion.prompt import prompt_for
from engine.types import CompletionRequest, Snippet
from lsp_server.context.documents import CursorContext
from lsp_server.settings import Settings
from lsp_server.suggest.request import completion_request


def context() -> CursorContext:
    return CursorContext(
        language_id="python",
        prefix="a",
        suffix="b",
        insert_range=Range(start=Position(0, 1), end=Position(0, 1)),
        selected_text="",
    )


def test_the_request_carries_what_the_user_set() -> None:
    settings = Settings(green_mode=70, policy="fixed:6", max_new_tokens=9)

    assert completion_request(context(), settings) == CompletionRequest(
        prefix="a", suffix="b", language_id="python", green_mode=70, policy="fixed:6", max_new_tokens=9
    )


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        (Settings(), ""),
        (Settings(other_files=True), "# b.py\n# c = 1\n\n"),
        (Settings(file_path=True), "# src/a.py\n"),
        (Settings(other_files=True, file_path=True), "# b.py\n# c = 1\n\n# src/a.py\n"),
    ],
)
def test_the_model_reads_other_files_and_the_path_only_where_so_set(settings: Settings, read: str) -> None:
    around = replace(context(), path="src/a.py", snippets=(Snippet(path="b.py", text="c = 1"),))

    assert prompt_for(completion_request(around, settings)).context == read


def test_formats_with_a_place_for_them_are_told_of_path_and_repository() -> None:
    around = replace(context(), path="src/a.py", repository="shop", snippets=(Snippet(path="b.py", text="c = 1"),))

    prompt = prompt_for(completion_request(around, Settings(other_files=True)))

    assert (prompt.path, prompt.repository, prompt.pieces) == ("src/a.py", "shop", around.snippets)
    assert prompt_for(completion_request(around, Settings())).path == ""


def test_an_empty_policy_leaves_it_to_the_green_mode() -> None:
    assert completion_request(context(), Settings(policy="")).policy is None
