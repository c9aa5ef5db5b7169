"""A server elsewhere says what a test has written down; what is offered of it, and what is told if it says nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from engine.config import EngineConfig
from engine.errors import EngineError
from engine.remote import reach
from engine.remote.remote_engine import load_remote_engine
from engine.types import FinishReason, ProjectDocument, PromptOptions, Provenance, Snippet
from tests.engine.remote.scripted_server import MODELS, ScriptedServer, events, loaded, request

if TYPE_CHECKING:
    from engine.remote.remote_engine import RemoteEngine
    from engine.types import Completion

pytestmark = pytest.mark.timeout(60)


class AfterText:
    """Is cancelled once any text has come."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def __call__(self, text: str) -> None:
        self.is_cancelled = True


def test_a_text_is_cleaned_up_as_one_of_a_model_here(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says("self", ".width", ")", "\n", "    return 1")
    grown: list[str] = []

    completion = engine.complete(request("def f(self):\n    return (", ")\n"), on_text=grown.append)

    assert completion.text == "self.width"
    assert grown[:2] == ["self", "self.width"]
    assert completion.finish_reason is FinishReason.STOP
    assert [token.text for token in completion.tokens] == ["self", ".width", ")"]


def test_no_joule_is_made_up(server: ScriptedServer, engine: RemoteEngine) -> None:
    completion = engine.complete(request("a = "))

    assert (completion.energy.energy_j, completion.energy.provenance) == (None, Provenance.NONE)
    assert (completion.baseline_energy_j, completion.saved_j, completion.mean_exit_layer) == (None, None, None)
    assert engine.energy_source == f"not known: 127.0.0.1:{server.port} reports no energy"
    assert (engine.remote_host, engine.device_name) == (f"127.0.0.1:{server.port}", f"server 127.0.0.1:{server.port}")
    assert (completion.prompt_tokens, completion.reused_tokens, completion.layers_total) == (7, 3, None)


def test_nothing_is_told_of_the_wait_once_the_server_is_known(server: ScriptedServer) -> None:
    told: list[str] = []
    engine = load_remote_engine(
        EngineConfig(remote_url=server.url), progress=lambda message, done, total: told.append(message)
    )
    asking = len(told)
    server.answers["/energy_metrics"] = (200, {"total_energy_j": 1.0})

    engine._connection.ask("/energy_metrics")

    assert asking >= 1
    assert len(told) == asking
    engine.close()


def test_a_text_that_is_complete_ends_the_answer(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says("10\n", *["b = 2\n"] * 100)
    server.go.clear()

    completion = engine.complete(request("a = "))

    assert completion.text == "10"
    assert server.went_away.wait(10)


def test_a_cancelled_request_closes_its_connection_at_once(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says("one", " two")
    server.go.clear()
    cancellation = AfterText()

    started_s = time.perf_counter()
    completion = engine.complete(request("a = "), cancellation=cancellation, on_text=cancellation)

    assert (completion.text, completion.finish_reason) == ("", FinishReason.CANCELLED)
    assert time.perf_counter() - started_s < 5
    assert server.went_away.wait(10)


def test_the_next_request_is_answered_after_a_cancelled_one(server: ScriptedServer, engine: RemoteEngine) -> None:
    test_a_cancelled_request_closes_its_connection_at_once(server, engine)
    server.go.set()
    server.says("30")

    assert engine.complete(request("a = ")).text == "30"


def test_a_word_that_was_begun_is_read_and_gone_on_with(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says("ance", "\n")

    completion = engine.complete(request("balance = 1\nprint(bal", ")\n"))

    assert server.asked[-1][1]["prompt"] == "balance = 1\nprint(bal"
    assert completion.text == "ance"


def test_a_lone_blank_stays_away_from_the_prompt(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says(" 12", "\n")

    completion = engine.complete(request("a = "))

    assert server.asked[-1][1]["prompt"] == "a ="
    assert completion.text == "12"


def test_a_text_cut_off_by_its_limit_loses_what_may_go_on(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says(" first", " + seco", end="length")

    completion = engine.complete(request("a =", max_new_tokens=2))

    assert server.asked[-1][1]["max_tokens"] == 2
    assert (completion.text, completion.finish_reason) == (" first +", FinishReason.LENGTH)


@pytest.mark.parametrize(
    ("chances", "green_mode", "text", "reason"),
    [
        ((0.9, 0.9, 0.9), 20, "first + second", FinishReason.STOP),
        ((0.2, 0.9, 0.9), 20, "", FinishReason.DOUBT),
        ((0.9, 0.9, 0.01), 20, "first +", FinishReason.UNLIKELY),
        ((0.9, 0.9, 0.01), 0, "first + second", FinishReason.STOP),
    ],
)
def test_what_is_unlikely_is_not_shown(  # noqa: PLR0917 - cases
    server: ScriptedServer,
    engine: RemoteEngine,
    chances: tuple[float, ...],
    green_mode: int,
    text: str,
    reason: FinishReason,
) -> None:
    server.says("first", " +", " second", chances=chances)

    completion = engine.complete(request("a = ", green_mode=green_mode))

    assert (completion.text, completion.finish_reason) == (text, reason)


def test_who_asks_by_hand_is_shown_what_is_unlikely(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.says("first", chances=(0.01,))

    assert engine.complete(request("a = ", may_give_up=False)).text == "first"


def test_pieces_of_other_files_go_along_where_the_user_lets_them(server: ScriptedServer, engine: RemoteEngine) -> None:
    snippets = (Snippet(path="b.py", text="def helper(): ..."),)

    engine.complete(request("a = ", snippets=snippets))
    engine.complete(request("a = ", snippets=snippets, prompt=PromptOptions(snippet_chars=100)))

    alone, along = (body["prompt"] for _, body in server.asked)
    assert (alone, along) == ("a =", "# b.py\n# def helper(): ...\n\na =")


def test_a_long_document_is_cut_to_what_the_model_reads(server: ScriptedServer) -> None:
    card = {**MODELS["data"][0], "max_model_len": 100}  # type: ignore[dict-item]
    server.answers["/v1/models"] = (200, {"data": [card]})
    engine = loaded(server)

    engine.complete(request("x = 1\n" * 5000 + "a = "))

    assert 0 < len(server.asked[-1][1]["prompt"]) <= 2 * (100 - 48)
    engine.close()


def test_a_fast_server_is_given_more_to_read_and_a_slow_one_never_again(
    server: ScriptedServer, engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> int:
        server.asked.clear()
        engine.complete(request("x = 1\n" * 5000 + "a = "))
        return len(server.asked[-1][1]["prompt"])

    here, *more = (read() for _ in range(4))
    assert here <= 1536 < more[0] < more[1] == more[2] <= 4 * 1536

    monkeypatch.setattr(reach, "TOO_LATE_S", 0.0)
    read()
    assert [read(), read()] == [more[0], here]
    monkeypatch.undo()
    assert [read(), read()] == [here, here]


def test_what_the_project_says_whole_asks_no_server(server: ScriptedServer, engine: RemoteEngine) -> None:
    begun = "    if name not in known:\n        raise KeyError from None\n    connection = "
    for n in range(6):
        line = f"{begun}connect[settings.host]\n    use{n}()\n"
        engine.project("p").replace(f"{n}.py", f"def f{n}():\n{line}")
    place = ProjectDocument(project="p", file="new.py")

    prefix = f"def g():\n{begun}"
    known = engine.complete(request(prefix, in_project=place))
    without = engine.complete(request(prefix))
    whole_model = engine.complete(request(prefix, in_project=place, green_mode=0))

    assert (known.text, known.policy) == ("connect[settings.host]", "project")
    assert (without.policy, whole_model.policy, len(server.asked)) == ("remote", "remote", 2)
    assert known.energy.energy_j is None


def test_where_the_project_alone_is_asked_no_server_is(server: ScriptedServer, engine: RemoteEngine) -> None:
    place = ProjectDocument(project="p", file="new.py")

    nothing = engine.complete(request("x = ", policy="project", in_project=place))

    assert (nothing.text, nothing.policy, server.asked) == ("", "project", [])


def test_the_token_goes_along_and_is_told_nowhere(server: ScriptedServer) -> None:
    engine = loaded(server, token="s3cret")  # noqa: S106

    engine.complete(request("a = "))

    assert server.headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in f"{engine.device_name}{engine.energy_source}{vars(engine)}"
    engine.close()


def test_a_closed_engine_leaves_no_thread(server: ScriptedServer) -> None:
    before = threading.active_count()
    loaded(server).close()

    with pytest.raises(EngineError):
        loaded(server, model="none")
    while threading.active_count() > before:  # the server's own
        time.sleep(0.01)
    assert "remote" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("taken", [True, False])
def test_who_knows_the_control_tokens_is_given_both_sides(server: ScriptedServer, *, taken: bool) -> None:
    class Tokenizer(dict[str, Any]):
        """One token for Qwen's control tokens."""

    control = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"}
    asked = server.answers

    class Answers(dict[str, tuple[int, Any]]):
        def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401
            if path != "/tokenize":
                return super().get(path, default)
            text = server.asked[-1][1]["prompt"]
            n_tokens = 1 if taken and text in control else 5
            return (200, {"count": n_tokens, "tokens": list(range(n_tokens))})

    server.answers = Answers(asked)
    engine = loaded(server)

    engine.complete(request("a = ", "\nb = 2\n"))

    expected = "<|fim_prefix|>a =<|fim_suffix|>\nb = 2\n<|fim_middle|>" if taken else "a ="
    assert server.asked[-1][1]["prompt"] == expected
    engine.close()


def test_ollama_is_given_the_other_side_as_it_wants_it(server: ScriptedServer) -> None:
    server.answers["/api/version"] = (200, {"version": "0.12.0"})
    engine = loaded(server)

    engine.complete(request("a = ", "\nb = 2\n"))

    assert (server.asked[-1][1]["prompt"], server.asked[-1][1]["suffix"]) == ("a =", "\nb = 2\n")
    engine.close()


def ended(completion: Completion) -> tuple[str, FinishReason]:
    return completion.text, completion.finish_reason


def test_an_answer_that_closes_without_an_end_is_taken_as_it_is(server: ScriptedServer, engine: RemoteEngine) -> None:
    server.answers["/v1/completions"] = (200, [next(events(" 12"))])

    assert ended(engine.complete(request("a ="))) == (" 12", FinishReason.STOP)
