"""The server's sentences in the editor's language."""

import ast
import copy
import json
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from string import Formatter

import pytest

from engine.model.sizes import gigabytes
from engine.sentences import Sentence, as_data, from_data, joined
from lsp_server.protocol import RECENT, SNOOZE
from lsp_server.translation import translator
from tests.lsp_server.client import BOTH_WAYS, Client, initialize

ROOT = Path(__file__).parents[2]
GERMAN: dict[str, str] = json.loads((ROOT / "lsp_server" / "l10n" / "de.json").read_text(encoding="utf-8"))
SOURCES = [*ROOT.glob("engine/**/*.py"), *ROOT.glob("lsp_server/**/*.py")]
# The command line and other programs are spoken to in English.
ENGLISH = {"cli", "replay", "ledger_reader.py", "reports.py", "jsonrpc.py", "pygls_internals.py"}
SERVER = [path for path in ROOT.glob("lsp_server/**/*.py") if not ENGLISH & set(path.parts)]
# Why a meter is not used is told by Doctor. The others' sentences are for the command line and the log.
METERS = [path for path in ROOT.glob("engine/energy/*.py") if path.stem not in {"calibration", "carbon", "meter"}]
# Their texts are no sentences of ours: for logs, for other programs, for programmers, for package.json.
ELSEWHERE = {"debug", "info", "warning", "error", "exception", "JsonRpcInvalidParams", "TypeError", "ValueError"}
LIKE_A_SENTENCE = re.compile(r"[A-Z{].*\s.*\s.*[.;]\s*", re.DOTALL)


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def templates() -> Iterator[str]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and name_of(node) == "Sentence" and path.name != "sentences.py":
                yield ast.literal_eval(node.args[0])  # fails where it is no literal


def loose_texts(node: ast.AST) -> Iterator[str]:
    """What reads like a sentence, and is none that could be translated."""
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        is_elsewhere = isinstance(child, ast.Call) and name_of(child) in ELSEWHERE | {"Sentence", "one_of"}
        is_type = isinstance(child, ast.AnnAssign) and "Annotated" in ast.unparse(child.annotation)
        if is_docstring or is_elsewhere or is_type:
            continue
        if isinstance(child, ast.Constant | ast.JoinedStr):
            text = child.value if isinstance(child, ast.Constant) else ast.unparse(child)[2:-1]
            if isinstance(text, str) and LIKE_A_SENTENCE.fullmatch(text):
                yield text
        yield from loose_texts(child)


def places(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def test_every_sentence_is_there_in_german_and_nothing_else() -> None:
    assert set(GERMAN) == set(templates())


@pytest.mark.parametrize("template", GERMAN)
def test_a_translation_has_the_places_that_its_sentence_has(template: str) -> None:
    assert places(GERMAN[template]) == places(template)


@pytest.mark.parametrize("path", SERVER + METERS, ids=lambda path: path.stem)
def test_no_sentence_of_the_server_or_on_meters_can_only_be_said_in_english(path: Path) -> None:
    assert not [*loose_texts(ast.parse(path.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("locale", ["de", "de-AT", "DE_ch"])
def test_sentences_within_a_sentence_are_translated_too(locale: str) -> None:
    say = translator(locale)
    private = Sentence(
        "{file} stays private: {reason}.", file=".env", reason=Sentence("what git ignores cannot be told")
    )

    assert private == ".env stays private: what git ignores cannot be told."
    assert say(private) == ".env bleibt privat: was git ignoriert, lässt sich nicht sagen."
    assert (
        say(joined([private, "", Sentence("Snoozed until {time}.", time="9:00")]))
        == f"{say(private)} Schlummert bis 9:00."
    )
    assert say("A text of somebody else's.") == "A text of somebody else's."


def test_numbers_have_the_marks_of_the_language_and_names_keep_theirs() -> None:
    say = translator("de")
    cost = Sentence("{source}, {low:.2g} to {high:.2g} times as much is possible", source="v1.5", low=0.25, high=3.0)

    assert cost == "v1.5, 0.25 to 3 times as much is possible"
    assert say(cost) == "v1.5; möglich ist 0,25 bis 3 mal so viel"
    assert say(gigabytes(1_234_000_000)) == "1,2 GB"
    assert (
        say(Sentence("{subject} is said to have {n_layers:,} layers, which no model has.", subject="m", n_layers=12345))
        == "m soll 12.345 Schichten haben, die kein Modell hat."
    )


@pytest.mark.parametrize("locale", [None, "", "en", "nl", "../de", "d"])
def test_what_nobody_has_translated_stays_english(locale: str | None) -> None:
    assert translator(locale)(Sentence("On battery")) == "On battery"


def test_a_sentence_goes_to_another_process_and_into_copies_with_all_that_it_is_made_of() -> None:
    sentence = joined([Sentence("Loading {name}", name=Path("m")), Sentence("{n} threads", n=2)], ", ")
    german = "m wird geladen, 2 Threads"

    for again in (json.loads(json.dumps(as_data(sentence)), object_hook=from_data), copy.deepcopy(sentence)):
        assert again == sentence
        assert translator("de")(again) == german


@BOTH_WAYS
async def test_who_has_a_german_editor_is_told_all_in_german(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        await initialize(client, {"threads": "many"}, locale="de")
        ready = await client.ready()
        assert ready.message == (
            'Die Einstellung greenCode.threads kann nicht "many" sein: erlaubt ist eine ganze Zahl von 1 bis 1024, '
            "oder leer lassen; bis dahin gilt sie als leer."
        )
        assert ready.device == "CPU, 1 Thread"
        client.change_settings({})
        client.open("x", uri="file:///project/.env")
        assert await client.complete(0, 1, uri="file:///project/.env", invoked=True) is None
        assert await client.hints.newest(bool) == (".env bleibt privat: .env ist ein üblicher Name von Geheimnissen.")
        await client.request(SNOOZE, params={"minutes": 5})
        snoozed = await client.status(lambda status: status.silence == "snoozed")
        of_doctor = (await client.request(RECENT)).status

    assert snoozed.message.startswith("Schlummert bis ")
    assert of_doctor.message.startswith("Schlummert bis ")
    assert ".env" not in of_doctor.message


@BOTH_WAYS
async def test_a_failure_of_the_engine_is_told_in_german(server: AbstractAsyncContextManager[Client]) -> None:
    async with server as client:
        await initialize(client, {"model": "broken"}, locale="de")
        failed = await client.status(lambda status: status.health == "error")
        client.change_settings({"model": "good"})
        await client.ready()
        client.open("crash")
        assert await client.complete(0, 5) is None
        crashed = await client.status(lambda status: status.health == "warning")

    assert failed.message == (
        "Das Modell broken ließ sich nicht laden (RuntimeError: tensor shapes differ); das Protokoll sagt mehr."
    )
    assert re.fullmatch(
        r"(Eine Vervollständigung|Die Engine) ist fehlgeschlagen \(RuntimeError: .*\); (das|ihr) Protokoll sagt mehr\.",
        crashed.message,
    )
