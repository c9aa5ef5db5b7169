"""Of a document's text, what is new travels, and the whole arrives."""

import random

from engine.service.known_text import KnownText
from engine.service.wire import packed, request_of, unpacked
from engine.types import CompletionRequest


def test_whatever_the_text_becomes_it_arrives() -> None:
    chance = random.Random(19)
    here, there = KnownText(), KnownText()
    text = ""
    for _ in range(2000):
        begin, end = sorted(chance.choices(range(len(text) + 1), k=2))
        typed = "".join(chance.choices("ab\n😋\ud83d", k=chance.randrange(9)))
        text = text[:begin] + typed + text[end if chance.random() < 0.2 else begin :]
        cursor = chance.choice([begin + len(typed), chance.randrange(len(text) + 1)])
        request = CompletionRequest(prefix=text[:cursor], suffix=text[cursor:], language_id="python")

        new, kept = here.shortened(request)
        message = unpacked(packed({"request": new, "kept": kept}))

        assert there.restored(request_of(message["request"]), message["kept"]) == request


def test_behind_a_key_what_was_typed_travels() -> None:
    known = KnownText()
    known.shortened(CompletionRequest(prefix="x" * 100_000, suffix="y" * 100_000))

    new, kept = known.shortened(CompletionRequest(prefix="x" * 100_000 + "(", suffix=")" + "y" * 100_000))

    assert (new.prefix, new.suffix, kept) == ("(", ")", (100_000, 100_000))
