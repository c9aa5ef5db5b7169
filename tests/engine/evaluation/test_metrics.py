import pytest

from engine.evaluation.metrics import code_bleu, edit_similarity, rouge_l, same_line


@pytest.mark.parametrize(
    ("suggestion", "truth", "same"),
    [("return x", "return x  \ny", True), ("return x\nz", "return x\ny", True), ("", "\ny", False), ("a", "b", False)],
)
def test_a_line_match_is_of_the_first_line(suggestion: str, truth: str, same: bool) -> None:  # noqa: FBT001 - a table
    assert same_line(suggestion, truth) is same


def test_edit_similarity_counts_edits() -> None:
    assert edit_similarity("abcd", "abxd") == 0.75
    assert edit_similarity("", "") == 1.0


def test_rouge_l_sees_signs_as_well_as_words() -> None:
    assert rouge_l("f(x)", "f(x)") == 1.0
    assert rouge_l("f(x)", "f[x]") == 0.5


@pytest.mark.parametrize(
    ("language", "right", "wrong"),
    [
        ("python", "total = price + tax\nreturn total", "while True:\n    pass"),
        ("java", "int total = price + tax;\nreturn total;", "while (true) { }"),
    ],
)
def test_code_bleu_is_higher_for_code_of_the_same_form(language: str, right: str, wrong: str) -> None:
    exact = code_bleu([right], [right], language)
    other = code_bleu([wrong], [right], language)

    assert exact == pytest.approx(1.0)
    assert other is not None
    assert other < 0.5


def test_code_bleu_is_unknown_without_a_grammar() -> None:
    assert code_bleu(["x"], ["x"], "cobol") is None
