"""Both sides of the wire declare the same messages, and the extension shows the settings that the server declares."""

import json
import re
from dataclasses import is_dataclass
from typing import NoReturn, get_args, get_origin, get_type_hints

import pytest

from lsp_server import protocol
from lsp_server.handlers import create_server
from lsp_server.protocol import wire_name
from lsp_server.settings_entries import IDENTIFIERS
from tests.extension_settings import (
    EXTENSION,
    GERMAN_TEXTS,
    PACKAGE,
    README,
    TEXTS,
    with_settings,
    with_table,
    with_texts,
)

TYPESCRIPT = (EXTENSION / "src" / "protocol.ts").read_text(encoding="utf-8")
RECORDS = [value for value in vars(protocol).values() if isinstance(value, type) and is_dataclass(value)]
ALIASES = ("Health", "Outcome", "Remedy", "Silence", "Span")
MESSAGES = {name: value for name, value in vars(protocol).items() if name.isupper() and "/" in value}


def typescript_fields(interface: str) -> list[tuple[str, str]]:
    match = re.search(rf"export interface {interface} \{{(.*?)\n\}}", TYPESCRIPT, re.DOTALL)
    assert match, f"protocol.ts has no interface {interface}"
    return re.findall(r"readonly (\w+): (.*?);", match[1])


def typescript_type(annotation: object) -> str:
    """The TypeScript spelling of a Python type, named aliases aside."""
    for name in ALIASES:
        if annotation == getattr(protocol, name):
            return name
    if get_origin(annotation) is list:
        return f"readonly {typescript_type(get_args(annotation)[0])}[]"
    if parts := get_args(annotation):
        return " | ".join(typescript_type(part) for part in parts)
    assert isinstance(annotation, type)
    names: dict[type, str] = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
    return names.get(annotation) or annotation.__name__


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.__name__))
def test_a_record_has_the_same_fields_in_the_same_order(record: type) -> None:
    hints = get_type_hints(record)
    fields = [(wire_name(name), typescript_type(hint)) for name, hint in hints.items()]

    assert fields == typescript_fields(record.__name__)


def test_no_record_is_on_the_other_side_alone() -> None:
    interfaces = re.findall(r"export interface (\w+)", TYPESCRIPT)

    assert interfaces == [record.__name__ for record in RECORDS]


def test_messages_have_the_same_names_and_parameters() -> None:
    declared = re.findall(r'export const (\w+) = new (\w+)<(\w+).*?>\(\s*"(.*?)"', TYPESCRIPT)
    parameters = {name: record for _, kind, record, name in declared if kind == "RequestType"}

    assert {constant: name for constant, _, _, name in declared} == MESSAGES
    assert parameters == {name: record.__name__ for name, record in protocol.REQUESTS.items()}


def test_the_server_answers_every_request_with_the_record_that_the_extension_expects() -> None:
    def fails(config: object, progress: object) -> NoReturn:
        raise NotImplementedError

    features = create_server(fails).protocol.fm.features
    answers = re.findall(r'new RequestType0?<(?:\w+, )?(\w+), void>\(\s*"(.*?)"', TYPESCRIPT)
    assert len(answers) == TYPESCRIPT.count("new RequestType")
    for record, name in answers:
        assert name in features, f"lsp_server/handlers.py has no handler for {name}"
        answered = features[name].func.__annotations__["return"]
        assert typescript_type({"None": type(None)}.get(answered) or getattr(protocol, answered)) == record


@pytest.mark.parametrize("message", MESSAGES)
def test_the_extension_sends_or_hears_every_message(message: str) -> None:
    sources = [path for path in (EXTENSION / "src").glob("*.ts") if path.name != "protocol.ts"]

    assert any(re.search(rf"\((?:{message})\b", path.read_text(encoding="utf-8")) for path in sources)


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_has_the_same_values(name: str) -> None:
    match = re.search(rf"export type {name} =(.*?);", TYPESCRIPT, re.DOTALL)

    assert match
    assert tuple(re.findall(r'"(\w+)"', match[1])) == get_args(getattr(protocol, name))


def test_the_settings_page_and_its_table_are_those_that_the_server_declares() -> None:
    hint = "run `python -m tests.extension_settings`"
    package, texts, readme = (path.read_text(encoding="utf-8") for path in (PACKAGE, TEXTS, README))

    assert package == with_settings(package), hint
    assert texts == with_texts(texts), hint
    assert readme == with_table(readme), hint


def test_the_extension_knows_what_people_call_languages_as_the_server_does() -> None:
    languages = (EXTENSION / "src" / "languages.ts").read_text(encoding="utf-8")
    table = re.search(r"const IDENTIFIERS = new Map\(\s*Object\.entries\(\{(.*?)\}\)", languages, re.DOTALL)

    assert table
    assert dict(re.findall(r'(?m)^ +"?(.+?)"?: "(.+)",$', table[1])) == IDENTIFIERS


def test_every_text_of_the_package_is_there_in_german() -> None:
    english, german = (json.loads(path.read_text(encoding="utf-8")) for path in (TEXTS, GERMAN_TEXTS))

    assert german.keys() == english.keys(), f"write what is missing into {GERMAN_TEXTS.name}"


def test_the_slider_says_what_the_readme_measured() -> None:
    readme = (EXTENSION.parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d+)(?: \(default\))? \| (\d+) % \(.*?\) \| (?:none|(\d+) %)", readme)
    slider = re.findall(
        r"greenMode: (\d+), savedPercent: (\d+), lostPercent: (\d+)",
        (EXTENSION / "src" / "greenMode.ts").read_text(encoding="utf-8"),
    )

    assert slider
    assert slider == [(position, saved, lost or "0") for position, saved, lost in rows]
