"""`Sentence`: English for people that can be said in another language, because it remembers how it was made.

It is a `str`, so logs, the ledger and the command line take it as it stands. Whoever talks to a person in another
language has the translations (`lsp_server.translation`); here are none.
"""

from __future__ import annotations

from functools import reduce
from string import Formatter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Sentence(str):
    """A sentence, or a part of one. Whoever puts it into an f-string makes plain English of it.

    Args:
        template: English, with the names of values in braces, written out where it is used: translations go by it.
        values: What is put in. Sentences among them are translated as well.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        """Puts the values in."""
        sentence = super().__new__(cls, template.format(**values))
        sentence.template, sentence.values = template, values
        return sentence

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        """For copies."""
        return (self.template,), dict(self.values)


class Translation:
    """Says sentences in another language.

    Args:
        translations: By their English templates; what has none stays English.
        marks: What stands in its numbers for the English point and comma, such as ",.".
    """

    def __init__(self, translations: Mapping[str, str], *, marks: str) -> None:
        self._translations = translations
        self._figures = _Figures(marks)

    def say(self, text: str) -> str:
        """A sentence in this language; what is no sentence as it stands."""
        if not isinstance(text, Sentence):
            return text
        values = {name: self.say(value) if isinstance(value, str) else value for name, value in text.values.items()}
        return self._figures.vformat(self._translations.get(text.template, text.template), (), values)


class _Figures(Formatter):
    """`str.format` with the marks of another language in numbers."""

    def __init__(self, marks: str) -> None:
        self._marks = str.maketrans(".,", marks)

    def format_field(self, value: object, format_spec: str) -> str:
        """A number's point becomes the language's; text stays, because it may be a version or a name."""
        text: str = super().format_field(value, format_spec)
        return text.translate(self._marks) if isinstance(value, int | float) else text


def joined(sentences: Iterable[str], between: str = " ") -> str:
    """Several sentences as one; "" for none. An empty one is left out."""
    there = [sentence for sentence in sentences if sentence]
    if not there:
        return ""
    return reduce(lambda one, other: Sentence("{one}{between}{other}", one=one, between=between, other=other), there)


def as_data(text: object) -> Any:  # noqa: ANN401 - any JSON
    """A sentence, or several in a tuple, as JSON to be taken to another process; anything else as it is."""
    if isinstance(text, tuple):
        return [as_data(each) for each in text]
    if not isinstance(text, Sentence):
        return text
    values = {
        name: value if isinstance(value, int | float | str) else str(value) for name, value in text.values.items()
    }
    return {"template": text.template, "values": {name: as_data(value) for name, value in values.items()}}


def from_data(data: dict[str, Any]) -> dict[str, Any] | Sentence:
    """What `as_data` gave, for `json.loads` as its `object_hook`; any other object as it is."""
    return Sentence(data["template"], **data["values"]) if data.keys() == {"template", "values"} else data
