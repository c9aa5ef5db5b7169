import statistics

from lsp_server.replay.typist import strokes, typed_with

TEXT = (
    "def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return result\n\n\n"
    * 20
)


def test_a_seed_makes_a_person_and_another_seed_another() -> None:
    assert strokes(TEXT, 0) == strokes(TEXT, 0)
    assert strokes(TEXT, 0) != strokes(TEXT, 1)


def test_people_type_fast_and_pause_where_lines_and_blocks_end() -> None:
    person = strokes(TEXT, 0)
    first_keys = {at for at in range(len(TEXT)) if TEXT[:at].rstrip(" ").endswith("\n")}
    after_line = [stroke.pause_s for at, stroke in enumerate(person) if at in first_keys]
    others = [stroke.pause_s for at, stroke in enumerate(person) if at not in first_keys]

    assert 0.15 < statistics.median(others) < 0.25
    assert statistics.median(after_line) > 3 * statistics.median(others)
    assert any(pause_s > 0.5 for pause_s in others)  # and now and then inside a line


def test_now_and_then_a_wrong_key_is_struck() -> None:
    typos = [stroke.typo for stroke in strokes(TEXT, 0) if stroke.typo]

    assert 0.005 < len(typos) / len(TEXT) < 0.03


def test_enter_brings_the_indentation_along() -> None:
    assert [typed_with("a:\n    b\n\nc", at) for at in (0, 2, 8, 9)] == [1, 5, 1, 1]
