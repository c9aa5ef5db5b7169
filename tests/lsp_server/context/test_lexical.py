import pytest

from lsp_server.context.lexical import Part, part_at


@pytest.mark.parametrize(
    ("language", "prefix", "part"),
    [
        ("python", "x = 1", "code"),
        ("python", "x = 1  # not yet", "comment"),
        ("python", "# done\n", "code"),
        ("python", "x = 'in", "string"),
        ("python", "x = 'in' + ", "code"),
        ("python", "x = 'it\\'s", "string"),
        ("python", 'x = "a # b', "string"),
        ("python", 'x = "a # b" ', "code"),
        ("python", 'def f():\n    """Says\n    ', "string"),
        ("python", 'def f():\n    """Says "it"."""\n    ', "code"),
        ("python", 'x = "" ', "code"),
        ("python", "x = 'never closed\ny", "code"),
        ("java", "int x; // not", "comment"),
        ("java", "/* a\n * b", "comment"),
        ("java", "/* a */ int ", "code"),
        ("java", 'String s = "// ', "string"),
        ("java", "char c = '\"'; ", "code"),
        ("typescript", "const a = `x\n", "string"),
        ("rust", "fn f<'a>(x: &'a str) ", "code"),
        ("rust", 'let s = "a', "string"),
        ("sql", "SELECT 1 -- all", "comment"),
        ("shellscript", "echo 'a' # b", "comment"),
        ("html", "<p><!-- a", "comment"),
        ("html", "<!-- a --><p>", "code"),
        ("brainfuck", "# '", "code"),
        ("", "// x", "code"),
    ],
)
def test_signs_tell_code_from_comments_and_strings(language: str, prefix: str, part: Part) -> None:
    assert part_at(prefix, language) == part


def test_a_long_document_is_read_through_fast() -> None:
    text = 'x = "a" + \'b\'  # c\n"""d\ne"""\n' * 1500  # 45 kB, as much as a window may hold

    assert part_at(text + "# x", "python") == "comment"
