"""Golden rules of clean-up: what of a decoded text is inserted at the cursor `‸`, in several languages."""

import pytest

from engine.completion.blocks import invites_lines
from engine.completion.cleanup import is_complete, suggestion, without_half_word
from engine.completion.prompt import Prompt, build_prompt
from engine.completion.shape import shape_at

CURSOR = "‸"


def said(prompt: Prompt, decoded: str) -> str:
    """What a model says that goes on with `decoded`: the word at the cursor comes first, once more."""
    return prompt.typed + decoded if prompt.typed.strip() else decoded


def suggest(document: str, decoded: str) -> str:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    decoded = said(prompt, decoded)
    shape = shape_at(before, after, prompt, single_line=None)
    return decoded[suggestion(decoded, shape)]


BRACKETS = [
    pytest.param("print(‸)", "foo)\n", "foo", id="python: bracket behind the cursor"),
    pytest.param("print(‸)", "foo(a)\n", "foo(a)", id="python: the text's own bracket stays"),
    pytest.param("print(‸)", "foo(a))\n", "foo(a)", id="python: own bracket and a doubled one"),
    pytest.param("print(‸)", "foo(bar(a), [1])\n", "foo(bar(a), [1])", id="python: nested brackets stay"),
    pytest.param("print(‸)", "a) + f(b)\n", "a", id="python: left and entered again"),
    pytest.param("x = [f(‸)]", "a)]\n", "a", id="python: two kinds"),
    pytest.param("x = {‸}", "'a': [1, 2]}\n", "'a': [1, 2]", id="python: dict"),
    pytest.param("x = d[‸]", "'a'] + 1\n", "'a'", id="python: what goes on behind a bracket stays out"),
    pytest.param("foo(‸);", "bar);\n", "bar", id="java: bracket and semicolon"),
    pytest.param("foo(‸);", "bar)\n", "bar", id="java: a part of what stands behind"),
    pytest.param("foo(‸);", "bar(baz));\n", "bar(baz)", id="java: nested with a semicolon"),
    pytest.param("foo(‸)", "bar(baz), 1);\n", "bar(baz), 1", id="java: more than what stands behind"),
    pytest.param("if (‸)", "a < b) {\n", "a < b", id="java: condition"),
    pytest.param("items.forEach((item) => {‸})", " log(item); });\n", " log(item);", id="javascript: arrow body"),
    pytest.param("items.map((item) => ‸)", " item.id)\n", "item.id", id="javascript: arrow expression"),
    pytest.param("const a = `x ${‸}`;", "b.c}`;\n", "b.c", id="javascript: template"),
    pytest.param("const a = `x ${‸}`;", "b.c}!`;\n", "b.c", id="javascript: template that goes on"),
    pytest.param('x = f"a {‸}"', 'b["c"]}!"\n', 'b["c"]', id="python: f-string"),
    pytest.param('x = f"a {‸"', 'b}!"\n', "b}!", id="python: f-string whose bracket is open"),
    pytest.param('x = "a #{‸}"', 'b}"\n', "b", id="ruby: interpolation"),
    pytest.param('f("‸")', '{x", y)\n', "{x", id="python: a bracket in a string is a character"),
    pytest.param("<div>‸</div>", "Hello</div>\n", "Hello", id="html: closing tag"),
    pytest.param("fmt.Println(‸)", '"a", b)\n', '"a", b', id="go: call"),
    pytest.param("printf(‸);", '"%d)\\n", x);\n', '"%d)\\n", x', id="c: bracket inside a string"),
    pytest.param("foo(a, ‸", "b);\n", "b);", id="c: nothing stands behind"),
    pytest.param("let x: Foo<'a> = f(‸);", "&'a b);\n", "&'a b", id="rust: lifetimes are no strings"),
    pytest.param("f(‸)  # don't (yet", "a)\n", "a", id="python: comment behind"),
    pytest.param("call(\n    a,\n    ‸\n)", " b)\n", "b", id="python: bracket on the next line"),
    pytest.param(
        "f(\n    g(\n        a\n    ‸\n)", " ),\n)\n", "),", id="python: the inner bracket, not the next line's"
    ),
    pytest.param(
        "f(\n    [\n        1,\n    ‸\n)", " ],\n)\n", "],", id="python: another bracket than the next line's"
    ),
    pytest.param("f() {\n    g(a‸\n}", ");\n}\n", ");", id="c: the line's own bracket, not the block's"),
    pytest.param("f() {\n    g(a‸\n}", '"b', '"b', id="c: an open string before a block's end"),
]

QUOTES = [
    pytest.param('print("‸")', 'hello")\n', "hello", id="python: quote and bracket"),
    pytest.param('print("‸")', 'hello"\n', "hello", id="python: quote"),
    pytest.param("x = '‸'", "it\\'s'\n", "it\\'s", id="python: escaped quote stays"),
    pytest.param("log(`### ‸`)", " Browser \\", "Browser", id="javascript: no escape before the quote behind"),
    pytest.param('x = "‸"', "a\\\\", "a\\\\", id="python: an escaped backslash before it"),
    pytest.param("s = f('‸'", "a'), 'b')\n", "a", id="javascript: quote without its bracket"),
    pytest.param('x = d["‸"]', 'key"] = 1\n', "key", id="python: subscript"),
    pytest.param("import x from '‸';", "./x';\n", "./x", id="typescript: import"),
    pytest.param('#include "‸"', 'stdio.h"\n', "stdio.h", id="c: include"),
    pytest.param('s := "‸"', 'a" + b\n', "a", id="go: what goes on behind a quote stays out"),
]

WORDS = [
    pytest.param("fo‸o = 1", "r x\n", "", id="inside a word"),
    pytest.param("x = ‸foo", "bar\n", "", id="before a word: one word"),
    pytest.param("x = ‸foo", "bar + baz\n", "bar +", id="before a word: its last word would be glued to it"),
    pytest.param("x = ‸(a)", "foo\n", "foo", id="before a bracket"),
    pytest.param("retu‸", "rn x\n", "rn x", id="at a word's end"),
    pytest.param("x = naï‸ve", "f\n", "", id="inside a word with another letter"),
]

NOTHING = [
    pytest.param("f(a‸)", ")\n", "", id="only what stands there already"),
    pytest.param("f(a‸);", ");\n", "", id="only what stands there already, all of it"),
    pytest.param('f("a‸")', '")\n', "", id="only quote and bracket"),
    pytest.param("f() {\n    a;\n‸\n}", "\n}\n", "", id="only the bracket of the next line"),
    pytest.param("x = 1‸", "   \n", "", id="blank"),
    pytest.param("int a;\n‸", "\n//\n", "", id="a comment that says nothing"),
    pytest.param("a();\n‸", "\n\nb();\n", "", id="one more blank line"),
    pytest.param("i‸", "--;\n", "--;", id="an operator"),
    pytest.param("    ‸", "  \t", "", id="blank line"),
]

REPETITION = [
    pytest.param("def f():\n    ‸\n    return x\n", " return x\n", "", id="python: the next line"),
    pytest.param("a = 1\n‸\nb = 2\n", "\nb = 2\n", "", id="python: the next line at a line's start"),
    pytest.param("x = ‸\nx = a\n", " a\n", "", id="python: completes to the next line"),
    pytest.param("if a:\n    ‸\n\n\nc()", " b()\nc()\n", "b()", id="python: a line, then the next one"),
    pytest.param(
        "f() {\n\t‸\n\n\n\treturn;\n}", "\ta();\n\treturn;\n", "a();", id="go: a line, then what follows below"
    ),
    pytest.param("a.b(1)\n‸", "\na.b(1)\n", "", id="python: the line above"),
    pytest.param("x = f(1)\ny = ‸", "g(2)\ny = g(2)\ny = g(2)\n", "g(2)", id="python: one line stays one line"),
    pytest.param("\ta(1)\n\tb(2)\n\t‸", "\ta(1)\n\tb(2)\n", "", id="two lines above"),
    pytest.param("if x:\n    ‸", " a()\n    b()\n    b()\n    b()\n", "a()\n    b()", id="its own line"),
    pytest.param("if x:\n    ‸", " a()\n    b()\n    a()\n    b()\n", "a()\n    b()", id="its own two lines"),
    pytest.param("f(\n  [\n    1\n  ]\n‸", "\n);\n", ");", id="brackets may follow brackets"),
    pytest.param(
        "{\n    ‸\n\n}",
        " if (a) {\n        b();\n    }\n    c();\n}",
        "if (a) {\n        b();\n    }\n    c();",
        id="an inner bracket is not the outer one",
    ),
]

BLOCKS = [
    pytest.param("def f():‸", "\n    a\n    b\nc", "\n    a\n    b", id="python: behind a colon"),
    pytest.param("def f():  # why\n    ‸", " a\n    b\nc", "a\n    b", id="python: below a colon"),
    pytest.param("def f():  # why‸", "\n    a\nb", "\n    a", id="python: colon and comment"),
    pytest.param("x = a[1:‸", "2]\n    c\n", "2]", id="python: the colon of a slice"),
    pytest.param("if x:\n    ‸\n    b\n", " a\n    c\n", "a", id="python: between lines of a block, one line"),
    pytest.param("if x:‸\n    b\n", "\n    a\n", "", id="python: the block is there already"),
    pytest.param("void f() {‸", "\n    a();\n}\n\nvoid g", "\n    a();\n}", id="c: closed with its bracket"),
    pytest.param("void f() {‸\n}", "\n    a();\n}\n", "\n    a();", id="c: the bracket is there already"),
    pytest.param("void f() {\n    ‸", " a();\n}\nb", "a();\n}", id="c: closed with its bracket, inside"),
    pytest.param("void f() {\n    ‸\n}\n", " a();\n}\nb", "a();", id="c: bracket on the next line"),
    pytest.param("void f() {\n    ‸\n\n    b();\n}\n", " a();\n}\n", "a();", id="c: bracket further below"),
    pytest.param(
        "  if (a) {‸\n}\n", "\n    b();\n  }\n}", "\n    b();\n  }", id="javascript: only the outer one is there"
    ),
    pytest.param("it('x', () => {‸", "\n  a();\n});\n", "\n  a();\n});", id="javascript: brackets and semicolon"),
    pytest.param("if (a) {‸", "\n  b();\n} else {\n  c();\n}", "\n  b();\n}", id="javascript: not into another branch"),
    pytest.param("class A {‸", "\n    int b;\n\n    int c;\n}", "\n    int b;", id="java: ends at a blank line"),
    pytest.param("x = f(‸", "\n    a,\n    b,\n)\ny", "\n    a,\n    b,\n)", id="python: arguments"),
    pytest.param("if x then‸", "\n  a()\nend", "\n  a()", id="lua: behind a word"),
    pytest.param("foo(a‸", ", b)\nbar()", ", b)", id="one line within a line"),
]

LONG_OPENINGS = [
    pytest.param("def f(a,\n      b):‸", "\n    a\n    b\nc\n", "\n    a\n    b", id="python: parameters on two lines"),
    pytest.param(
        "    f(\n            A a) {‸", "\n        b();\n    }\n}", "\n        b();\n    }", id="java: parameters"
    ),
    pytest.param("    f(\n            A a) {\n        ‸", " b();\n    }\n}", "b();\n    }", id="java: inside"),
    pytest.param(
        "    f(\n            A a) {\n        if (a) {\n            b();\n        }\n        ‸",
        " c();\n    }\n}",
        "c();\n    }",
        id="java: further down",
    ),
    pytest.param(
        "    void f()\n      throws E {‸", "\n        b();\n    }\n}", "\n        b();\n    }", id="java: throws"
    ),
    pytest.param("\tif a &&\n\t\tb {‸", "\n\t\tc()\n\t}\n}", "\n\t\tc()\n\t}", id="go: condition"),
    pytest.param("\tif a &&\n\t\tb {‸\n\t}\n", "\n\t\tc()\n\t}\n", "\n\t\tc()", id="go: closed already"),
    pytest.param("  if (a ||\n      b) {‸", "\n    return\n  }\n}", "\n    return\n  }", id="javascript: condition"),
    pytest.param(
        "  a\n    .b(() => {‸", "\n      c();\n    })\n    .d()", "\n      c();\n    })", id="javascript: chain"
    ),
    pytest.param(" */\nclass A {‸", "\n    int b;\n}\nc", "\n    int b;\n}", id="java: below a comment"),
    pytest.param("switch (a) {‸", "\ncase 1:\n    b();\n}\nc", "\ncase 1:\n    b();\n}", id="c: labels"),
    pytest.param(
        "void f() {‸", "\n    a();\n#if B\n    c();\n#endif\n}\n", "\n    a();\n#if B\n    c();\n#endif\n}", id="c: #"
    ),
    pytest.param("if x:‸", "\n    a()\n# b\nc()\n", "\n    a()", id="python: a comment outside"),
]

BEHIND_A_LINE = [  # that has just been filled by an accepted suggestion
    pytest.param(
        "def f():\n    a = 1‸", "\n    b = a\n    return b\n\nc", "\n    b = a\n    return b", id="python: next lines"
    ),
    pytest.param("def f():\n    a = 1‸", "\n    b = a\nc = 2\n", "\n    b = a", id="python: not out of the block"),
    pytest.param("for a in b:\n    c‸", "\nelse:\n    d\n", "", id="python: not into another branch"),
    pytest.param(
        "if x:\n    a()‸", "\n    if y:\n        b()\nz", "\n    if y:\n        b()", id="python: inner block"
    ),
    pytest.param("a = 1‸", "\nb = 2\nc = 3\nd = 4\ne = 5\n", "\nb = 2\nc = 3\nd = 4", id="python: three lines"),
    pytest.param("def f():\n    a()‸", "\n\n    b()\n\n    c()", "\n\n    b()", id="python: a paragraph"),
    pytest.param("def f():\n    a()‸\n\n    c()\n", "\n    b()\n    c()\n", "\n    b()", id="python: what follows"),
    pytest.param("def f():\n    a()‸", "\n    a()\n    a()\n", "", id="python: the same again"),
    pytest.param("x = a‸", " + b\ny = c\n\nz", " + b\ny = c", id="python: the line goes on"),
    pytest.param("f() {\n  a();‸\n}", "\n  b();\n}\n", "\n  b();", id="typescript: bracket on the next line"),
    pytest.param(
        "f() {\n  a();‸", "\n  g(() => {\n    c();\n  });\n}", "\n  g(() => {\n    c();\n  });", id="typescript"
    ),
    pytest.param("func f() {\n\ta()‸\n}", "\n\tif b {\n\t\tc()\n\t}\n}", "\n\tif b {\n\t\tc()\n\t}", id="go: tabs"),
    pytest.param("func f() {\n\ta()‸", "\n    b()\n", "", id="go: no spaces among tabs"),
    pytest.param("class A {\n    int a;‸\n}", "\n    int b;\n\n    int c;\n", "\n    int b;", id="java: members"),
    pytest.param("    @Override‸\n}", "\n    void a() {\n    }\n}", "\n    void a() {\n    }", id="java: annotated"),
    pytest.param("int f() {\n    a = 1;‸", "\n    return a;\n}\n", "\n    return a;", id="c: to the bracket"),
    pytest.param("    if (a)‸\n}", "\n        b();\n    c();\n}", "\n        b();\n    c();", id="c: no bracket"),
]

INDENTATION = [
    pytest.param("func f() {\n\t‸", "\ta()\n    b()\n}", "a()", id="go: no spaces among tabs"),
    pytest.param("func f() {\n\tx()\n}\nfunc g() {‸", "\n    b()\n}", "", id="go: no spaces in a file with tabs"),
    pytest.param("def f():\n    ‸", " a\n\tb\n", "a", id="python: no tab among spaces"),
    pytest.param(
        "class A {\n\tint b;\n\n\t‸", "\t/**\n\t * c\n\t */\n}", "/**\n\t * c\n\t */\n}", id="java: aligned comments"
    ),
    pytest.param("if x:\n    ‸", "return 1\n", "", id="another indentation was meant"),
    pytest.param("if x:\n‸", "\n    return 1\n", "    return 1", id="not indented yet"),
]

CHARACTERS = [
    pytest.param("x = '‸'", "naïve 💡'\n", "naïve 💡", id="any language"),
    pytest.param("x = '‸'", "a\ufffd\ufffdb'\n", "a", id="broken character inside"),
    pytest.param("if x:\n    ‸", " a\r\n    b\r\n", "a", id="no carriage returns"),
    pytest.param("x = ‸", "a\x00b\n", "a", id="control character"),
    pytest.param("x = ‸", "a  \t\n", "a", id="trailing blanks"),
    pytest.param("if x:\n    ‸", " a\n    \n", "a", id="trailing blank line"),
]


@pytest.mark.parametrize(
    ("document", "decoded", "expected"),
    [*BRACKETS, *QUOTES, *WORDS, *NOTHING, *REPETITION, *BLOCKS, *LONG_OPENINGS, *INDENTATION, *CHARACTERS],
)
def test_golden(document: str, decoded: str, expected: str) -> None:
    assert suggest(document, decoded) == expected


@pytest.mark.parametrize(("document", "decoded", "expected"), BEHIND_A_LINE)
def test_golden_behind_an_accepted_line(document: str, decoded: str, expected: str) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    decoded = said(prompt, decoded)
    shape = shape_at(before, after, prompt, single_line=False)
    complete_at = [at for at in range(len(decoded) + 1) if is_complete(decoded[:at], shape)]

    assert decoded[suggestion(decoded, shape)] == expected
    assert {decoded[:at][suggestion(decoded[:at], shape)] for at in complete_at} <= {expected}


@pytest.mark.parametrize(
    ("document", "invites"),
    [
        pytest.param("a = 1‸", True, id="a statement"),
        pytest.param("f(\n    a)‸\n", True, id="the end of a statement"),
        pytest.param("    a();‸\n}", True, id="the end of a block"),
        pytest.param("# Adds one.‸", True, id="a comment"),
        pytest.param("    @Override‸", True, id="an annotation"),
        pytest.param("    a = 1  # (why‸\n\nb", True, id="a comment behind a statement"),
        pytest.param("f(a‸", False, id="an open bracket"),
        pytest.param('x = "a‸', False, id="an open string"),
        pytest.param("x = a +‸", False, id="an operator"),
        pytest.param("x = a and‸", False, id="a word that needs another"),
        pytest.param("    return a‸", False, id="nothing follows in the block"),
        pytest.param("f(a‸)", False, id="the line goes on"),
        pytest.param("a = 1‸\nb = 2", False, id="the block goes on already"),
        pytest.param("if a:‸", False, id="a block's first line is asked for anyway"),
        pytest.param("    ‸", False, id="a blank line"),
    ],
)
def test_further_lines_are_welcome_behind_an_ended_statement(document: str, invites: bool) -> None:  # noqa: FBT001 - a case
    assert invites_lines(*document.split(CURSOR)) is invites


@pytest.mark.parametrize(
    ("document", "decoded"),
    [
        pytest.param(*case.values[:2], id=case.id)
        for case in (*BRACKETS, *QUOTES, *REPETITION, *BLOCKS, *LONG_OPENINGS, *INDENTATION)
    ],
)
def test_what_is_complete_does_not_change(document: str, decoded: str) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    decoded = said(prompt, decoded)
    shape = shape_at(before, after, prompt, single_line=None)
    complete_at = [at for at in range(len(decoded) + 1) if is_complete(decoded[:at], shape)]

    assert {decoded[:at][suggestion(decoded[:at], shape)] for at in complete_at} <= {
        decoded[suggestion(decoded, shape)]
    }


@pytest.mark.parametrize(
    ("document", "decoded", "expected"),
    [
        pytest.param("width = 1\nx = ‸", "self.width", "self.width", id="a word of the document"),
        pytest.param("width = 1\nx = ‸", "self.wid", "self.", id="no word of the document"),
        pytest.param("width = 1\nx = wid‸", "th", "th", id="the rest of a word of the document"),
        pytest.param("width = 1\nx = hei‸", "gh", "", id="no rest of a word of the document"),
        pytest.param("x = ‸", "foo(bar)", "foo(bar)", id="ends with a bracket"),
        pytest.param("x = ‸", "foo ", "foo", id="the word was over"),
        pytest.param("if x:\n    ‸", " foo()\n    ba", "foo()", id="only the half word of a further line"),
        pytest.param("x = ‸\ny = bar", "bar", "bar", id="a word behind the cursor"),
        pytest.param("uses: docker/lo‸", "g-", "", id="half of a word with a hyphen"),
        pytest.param("lib = ‸\nimport lib", "lib-", "", id="a known word with a hyphen"),
        pytest.param("x = ‸", "0.", "", id="half of a number"),
        pytest.param("x = ‸", "0.12", "", id="half of a number behind its point"),
        pytest.param("uses: docker/‸", "log-in", "", id="half of a word behind its hyphen"),
        pytest.param("rm ‸", '"$DIR"/$', '"$DIR"/', id="a variable without a name"),
        pytest.param("doc: ‸", "$(INSTALL) --", "$(INSTALL)", id="an option without a name"),
        pytest.param("doc: ‸", "$(HTML) $(", "$(HTML)", id="a variable of make without a name"),
        pytest.param("\\item ‸", " 1, \\", "1,", id="a command without a name"),
        pytest.param("class A implements ‸\nMonolog", "\\Monolog\\", "", id="half of a qualified name"),
        pytest.param("f(http.‸) Handler", "Handler,", "Handler", id="a comma before what the rest closes"),
        pytest.param("| 1 | ‸ |", "2 | 3", "2", id="what the rest begins with, behind the half number"),
        pytest.param('x = {"a": 1, ‸}', '"b": 2, Nam', '"b": 2', id="a comma and half a word before a brace"),
        pytest.param("x = [‸]", "1, 2,", "1, 2", id="a comma behind a number"),
        pytest.param("f(‸\n", "1, 2,", "1, 2,", id="a comma that more may follow"),
    ],
)
def test_a_text_that_a_limit_cut_ends_with_a_whole_word(document: str, decoded: str, expected: str) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    decoded = said(prompt, decoded)
    shape = shape_at(before, after, prompt, single_line=None)
    part = suggestion(decoded, shape)

    assert decoded[without_half_word(decoded, part, shape, before, after)] == expected
