"""Each rule at the cursor `‸`: what breaks it, and good code that looks much like it and does not."""

import pytest

from lsp_server.replay.golden_rules import RULES, broken_rules

CURSOR = "‸"
TABS = "func f() {\n\tx()\n\t‸\n}\n"
BLANKS = "def f():\n    x()\n    ‸\n"

BROKEN = [
    ("half a character", "python", "x = '‸\n", "na\ufffd"),
    ("half a character", "python", "x = ‸\n", "1\x00"),
    ("special token", "python", "x = ‸\n", "1<|endoftext|>"),
    ("special token", "java", "int x = ‸\n", "1;\n<file_sep>"),
    ("mixed line ends", "python", "if a:\n    ‸\n", "b()\r\n    c()"),
    ("mixed line ends", "python", "if a:\r\n    ‸\r\n", "b()\r\n    c()\n    d()"),
    ("mixed line ends", "python", "x = ‸\n", "1\ry = 2"),
    ("trailing blank", "python", "x = ‸\n", "1 "),
    ("trailing blank", "python", "if a:\n    ‸\n", "b()\n"),
    ("trailing blank", "python", "if a:\n    ‸\n", "b()  \n    c()"),
    ("broken word", "python", "fo‸o = 1\n", "r x"),
    ("broken word", "python", "x = ‸foo\n", "bar"),
    ("doubled bracket", "python", "print(‸)\n", "foo)"),
    ("doubled bracket", "python", "print(‸)\n", "foo(a))"),
    ("doubled bracket", "java", "foo(‸);\n", "bar);"),
    ("doubled bracket", "javascript", "items.map((item) => {‸})\n", " return item; })"),
    ("doubled bracket", "python", "f('(', ‸)  # don't (yet\n", "a)"),
    ("doubled quote", "python", 'print("‸")\n', 'hello"'),
    ("doubled quote", "typescript", "import x from '‸';\n", "./x';"),
    ("doubled end of a comment or string", "python", 'def f():\n    """Says ‸\n    """\n', 'what."""'),
    ("doubled end of a comment or string", "java", "/** Says ‸\n */\nint a;\n", "what. */"),
    ("doubled end of a comment or string", "html", "<!-- The menu ‸\n-->\n", "of it -->"),
    ("doubled end of a comment or string", "typescript", "const q = `SELECT ‸\n`;\n", "1`"),
    ("doubled tag", "html", "<a ‸>About</a>\n", 'href="/">About'),
    ("doubled tag", "html", "<p>‸</p>, he said\n", "Hello</p>"),
    ("doubled tag", "javascriptreact", '<input type="text" ‸ />\n', "value={name} />"),
    ("doubled tag", "java", "List<‸> names;\n", "String> names"),
    ("doubled tag", "cpp", "std::map<std::string, ‸> counts;\n", "int> counts"),
    ("loop", "python", "words = ‸\n", "the cat and " * 4 + "so on"),
    ("loop", "c", "‸\n", "a(b);\n" * 4 + "c();"),
    ("lone sign", "python", "print(a‸\n", ")"),
    ("lone sign", "javascript", "const f = ‸\n", "{"),
    ("lone sign", "python", "print(‸\n", '"'),
    ("wrong indentation", "go", TABS, "y()\n    z()"),
    ("wrong indentation", "python", BLANKS, "y()\n\tz()"),
    ("wrong indentation", "python", BLANKS.replace("    ‸", "‸"), "\ty()"),
    ("repeats what follows", "python", "return ‸ + offset\n", "a + offset"),
    ("repeats what follows", "python", "def f():\n    ‸\n    return the_sum\n", "return the_sum"),
    ("repeats what follows", "python", "def f():\n    ‸\n\n    a()\n    b()\n", "x()\n    a()\n    b()"),
    ("repeats the lines above", "python", "log_all(first)\n‸\n", "log_all(first)"),
    ("repeats the lines above", "go", "\ta(1)\n\tb(2)\n\n\t‸\n", "a(1)\n\tb(2)"),
]

GOOD = [
    ("half a character", "python", "x = '‸\n", "naïve 日本 🙂'"),
    ("special token", "python", "END = '<|endoftext|>'\nif text == ‸\n", "'<|endoftext|>'"),
    ("special token", "html", "<p>‸</p>\n", "<s>old</s> a < b || c > d"),
    ("mixed line ends", "python", "if a:\r\n    ‸\r\n", "b()\r\n    c()"),
    ("mixed line ends", "python", "if a:\r\n    ‸\r\n", "b()\n    c()"),
    ("trailing blank", "python", "f(a, ‸b)\n", "x, "),
    ("trailing blank", "markdown", "‸\n", "one  \ntwo"),
    ("broken word", "python", "fo‸ = 1\n", "o"),
    ("broken word", "python", "x = ‸foo\n", "bar + "),
    ("doubled bracket", "python", "print(‸)\n", "foo(a)"),
    ("doubled bracket", "python", "f(\n    g(‸)\n", "a), h("),
    ("doubled bracket", "c", "void f() {\n    a();\n    ‸\n}\n", "b();\n}"),
    ("doubled bracket", "python", "f(':)', ‸)\n", "':)'"),
    ("doubled quote", "python", 'print("‸")\n', "it's"),
    ("doubled quote", "python", 'print("‸")\n', 'a", "b'),
    ("doubled end of a comment or string", "python", 'def f():\n    """Says ‸\n', 'what."""'),
    ("doubled end of a comment or string", "python", 'A = 1\n"""The first‸\n"""The second."""\n', ' one."""'),
    ("lone sign", "python", 'A = 1\n"""The first‸\n', '."""'),
    ("doubled end of a comment or string", "python", 'def f():\n    ‸\n    """\n', '"""Says\n    """'),
    ("doubled end of a comment or string", "java", "/** Says ‸\nint a;\n/** b */\n", "what. */"),
    ("doubled tag", "html", "<ul>\n  <li>‸\n</ul>\n", "One</li>"),
    ("doubled tag", "javascriptreact", "<button ‸>Go</button>\n", "onClick={() => go()}"),
    ("doubled tag", "java", "Map<String, ‸> m;\n", "List<Integer>"),
    ("doubled tag", "java", "if (a < b && ‸ && d > e) {\n", "c > d"),
    ("loop", "python", "zeros = ‸\n", "[0, 0, 0, 0, 0, 0, 0, 0]"),
    ("loop", "python", "a = ‸\n", "# -------------------"),
    ("loop", "json", "[null, null, null, null, ‸\n", "null, null, null, null, null"),
    ("lone sign", "c", "i‸\n", "--;"),
    ("lone sign", "python", "x = ‸\n", "1"),
    ("wrong indentation", "go", TABS, "y()\n\tz(1,\n\t  2)"),
    ("wrong indentation", "java", "class A {\n\tint b;\n\n\t‸\n}\n", "/**\n\t * c\n\t */"),
    ("wrong indentation", "python", "def f():\n‸", "\ty()"),
    ("repeats what follows", "c", "f(‸)\n", "g()"),
    ("repeats what follows", "c", "if (a) {\n    ‸\n}\n", "b();\n}"),
    ("repeats what follows", "python", "if a:\n    ‸\n    x = 1\n", "x = 1"),
    ("repeats the lines above", "c", "    });\n});\n‸\n", "});"),
    ("repeats the lines above", "python", "total_sum = a\nother_sum = ‸\n", "a"),
    ("repeats the lines above", "python", "log_all(first)\nlog_all(first‸\n", ");"),
    ("repeats the lines above", "python", "if a:\n    log_all(first)\n‸\n", "log_all(first)"),
]


@pytest.mark.parametrize(("rule", "language_id", "document", "answer"), BROKEN)
def test_a_fault_is_found_and_only_this_one(rule: str, language_id: str, document: str, answer: str) -> None:
    before, _, after = document.partition(CURSOR)

    assert broken_rules(before, answer, after, language_id) == (rule,)


@pytest.mark.parametrize(("rule", "language_id", "document", "answer"), GOOD)
def test_good_code_breaks_no_rule(rule: str, language_id: str, document: str, answer: str) -> None:
    before, _, after = document.partition(CURSOR)

    assert broken_rules(before, answer, after, language_id) == ()


def test_each_rule_has_both_kinds_of_examples() -> None:
    assert {rule for rule, *_ in BROKEN} == {rule for rule, *_ in GOOD} == {name for name, _ in RULES}
