import pytest

from engine.completion.brackets import residue


@pytest.mark.parametrize(
    ("text", "closers", "openers"),
    [
        ("f(a[1], {2})", "", ""),
        ("f(a[", "", "(["),
        ("a)]", ")]", ""),
        ("f(]", "]", "("),
        ('f(")")', "", ""),
        ('f("(', "", '("'),
        ('"a\\"("', "", ""),
        ("don't (", "", "("),
        ("f'{a}' (", "", "("),
        ("&'a (", "", "("),
        ("T: 'a + (", "", "("),
        ("f('", "", "('"),
        ('"(\n)', ")", ""),
        ("`(\n)`", "", ""),
    ],
)
def test_residue(text: str, closers: str, openers: str) -> None:
    left = residue(text)

    assert (left.closers, left.openers) == (closers, openers)
