from engine.corpus.deduplication import contains_any, first_occurrences, shingles
from tests.engine.training.fakes import code


def test_another_layout_is_the_same_text() -> None:
    text = code("a")

    assert list(first_occurrences([text, text.replace("    ", "\t")])) == [True, False]


def test_a_near_duplicate_is_found() -> None:
    edited = code("a").replace("def a_3(", "def renamed(") + "# one more line\n"

    assert list(first_occurrences([code("a"), edited, code("b")])) == [True, False, True]


def test_a_file_that_contains_another_one_is_found() -> None:
    assert list(first_occurrences([code("a"), code("a") + code("b", lines=90)])) == [True, False]


def test_texts_that_share_an_idiom_are_both_kept() -> None:
    idiom = 'if __name__ == "__main__":\n    raise SystemExit(main())\n'

    assert list(first_occurrences([code("a") + idiom, code("b") + idiom])) == [True, True]


def test_a_problem_inside_a_file_is_found() -> None:
    problem = shingles(code("problem", lines=3))

    assert contains_any(code("a") + code("problem", lines=3), [problem])
    assert not contains_any(code("a"), [problem])
