import pytest

from engine.completion.kept import kept_characters
from engine.prefix import common_prefix


@pytest.mark.parametrize(
    ("suggestion", "truth", "kept"),
    [
        ("return value", "return value\n", "return value"),
        ("return value", "return values\n", "return"),  # half a word is no word
        ("return values", "return value", "return"),
        ("return va", "return value", "return"),
        ("self.name, other", "self.name)", "self.name"),
        ("a == b", "a = b", "a"),  # half an operator is none either
        ("f(x))", "f(x),", "f(x)"),  # but brackets stand alone
        ("x = 1\n    y = 2", "x = 1\n    z = 2", "x = 1"),  # blanks behind the last word help nobody
        ("x = 1\n    y = 2", "x = 1\n    y = 2\n", "x = 1\n    y = 2"),
        ("größe_1 = 2", "größe_1 = 3", "größe_1 ="),
        ("other", "value", ""),
        ("", "value", ""),
        ("value", "", ""),
        ("   ", "   x", ""),
    ],
)
def test_what_is_kept_is_the_agreeing_prefix_cut_at_a_word_end(suggestion: str, truth: str, kept: str) -> None:
    assert kept_characters(suggestion, truth) == len(kept)


def test_longer_suggestions_that_agree_further_keep_more() -> None:
    truth = "for item in items:\n    total += item.price\n"
    amounts = [kept_characters(truth[:end], truth) for end in range(len(truth) + 1)]

    assert amounts == sorted(amounts)
    assert amounts[-1] == len(truth.rstrip())


def test_common_prefix_is_of_texts_or_of_tokens() -> None:
    assert common_prefix("abc", "abd") == 2
    assert common_prefix([1, 2], [1, 2, 3]) == 2
