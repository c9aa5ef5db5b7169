import itertools

from engine.completion.window import MOST_GROWTH, OpenWindows, window_start
from engine.types import PromptOptions

OPTIONS = PromptOptions()
DOCUMENT = "".join(f"value_{number} = compute({number}, {number * 7})\n" for number in range(400))


def typed(windows: OpenWindows, prefixes: list[str]) -> list[str]:
    """What is read at each of these places, one after the other."""
    read = []
    for prefix in prefixes:
        start = windows.start(prefix, OPTIONS)
        windows.note(prefix, start)
        read.append(prefix[start:])
    return read


def moves(texts: list[str]) -> int:
    return sum(not after.startswith(before) for before, after in itertools.pairwise(texts))


def test_a_window_that_was_read_stays_open_while_a_person_types() -> None:
    prefixes = [DOCUMENT[:end] for end in range(6000, 9000)]

    read = typed(OpenWindows(), prefixes)

    assert moves(read) <= 2
    assert moves([prefix[window_start(prefix, OPTIONS) :] for prefix in prefixes]) >= 5
    assert max(map(len, read)) <= MOST_GROWTH * OPTIONS.window_chars


def test_it_stays_open_from_the_documents_beginning_on() -> None:
    prefixes = [DOCUMENT[:end] for end in range(1000, MOST_GROWTH * OPTIONS.window_chars)]

    assert moves(typed(OpenWindows(), prefixes)) == 0


def test_lines_added_above_it_do_not_close_it() -> None:
    windows = OpenWindows()
    (before,) = typed(windows, [DOCUMENT[:8000]])

    (after,) = typed(windows, ["import this\n" * 5 + DOCUMENT[:8010]])

    assert after == before + DOCUMENT[8000:8010]


def test_a_place_that_it_does_not_reach_begins_a_new_one() -> None:
    windows = OpenWindows()
    typed(windows, [DOCUMENT[:14000]])

    for prefix in (DOCUMENT[:6000], DOCUMENT[: 14000 + MOST_GROWTH * OPTIONS.window_chars], DOCUMENT[9000:][::-1]):
        assert windows.start(prefix, OPTIONS) == window_start(prefix, OPTIONS)


def test_several_documents_have_one_each() -> None:
    windows = OpenWindows()
    other = DOCUMENT.replace("value", "other")
    first = typed(windows, [DOCUMENT[:8000], other[:8000]])

    assert typed(windows, [DOCUMENT[:8300], other[:8300]]) == [
        first[0] + DOCUMENT[8000:8300],
        first[1] + other[8000:8300],
    ]


def test_a_part_of_a_window_is_no_longer_than_its_share_and_follows_the_text_as_closely() -> None:
    prefixes = [DOCUMENT[:end] for end in range(6000, 9000)]

    lengths = [len(prefix) - window_start(prefix, OPTIONS, share=0.5) for prefix in prefixes]

    assert max(lengths) <= OPTIONS.window_chars / 2
    assert min(lengths) > OPTIONS.window_chars / 4


def test_a_whole_window_that_is_open_is_read_on_where_a_part_would_do() -> None:
    windows = OpenWindows()
    (before,) = typed(windows, [DOCUMENT[:8000]])

    assert DOCUMENT[windows.start(DOCUMENT[:8010], OPTIONS, share=0.5) : 8010] == before + DOCUMENT[8000:8010]
