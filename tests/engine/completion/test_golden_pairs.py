"""Golden rules of clean-up on brackets and quotes whose partners stand further off: what is inserted at `‸`."""

import pytest

from engine.completion.cleanup import suggestion
from engine.completion.prompt import build_prompt
from engine.completion.shape import shape_at

CURSOR = "‸"

# (language, document, decoded text, what is offered of it)
# A bracket that nothing has opened, or that a line further below closes.
CLOSED_FURTHER_BELOW = [
    ("r", "f <- function(object) {\n    df <- ‸\n    if (a) {\n        b\n    }\n}\n", " g(1)[1])\n", "g(1)[1]"),
    ("javascript", "function f() {\n  a = ‸\n  return a;\n}\n", " { ...b, c);\n", "{ ...b, c"),
    ("jsonc", '{\n\t"a": 1,\n\t‸\n\t"b": 2\n}\n', '\t"c", "d"],\n', '"c", "d"'),
    ("perl", "my $x = new(‸\n\ta => 1,\n\tb => 2,\n);\n", "$stop);\n", "$stop"),
    ("python", "x = f(\n    a,\n    ‸\n    c,\n)\n", " b)\n", "b"),
    ("go", "x := f(\n\ta,\n\t‸\n\tc,\n)\n", "\tb)\n", "b"),
    ("go", "func f() {\n\tx := g(a‸\n\treturn x\n}\n", ", b)\n", ", b)"),
    ("java", "void f() {\n    g(a,\n        ‸\n    h();\n}\n", " b);\n", "b);"),
    ("java", "void f() {\n    if (a) {\n        ‸\n    b();\n}\n", " c();\n    }\n", "c();\n    }"),
    ("ruby", "def f\n  g(‸\n  h\nend\n", "a)\n", "a)"),
    ("shellscript", "f() {\n  case $1 in\n  a) b ;;\n  ‸\n  c) d ;;\n  esac\n}\n", " *) e ;;\n", "*) e ;;"),
    ("c", "void f(void)\n{\n    a();\n    // ‸\n    b();\n}\n", " 1) begin\n", "1) begin"),
]
# A bracket that nothing opened, where the text behind closes nothing either, or the line goes on.
CLOSED_BY_NOTHING = [
    ("python", "def f(a):\n    b = ‸\n    return b\n", " g(a))\n", "g(a)"),
    ("python", "def f(a):\n    x = g(\n        a,\n        ‸", " b)\n", "b)"),
    ("typescript", "class A {\n  public ‸", " f(a: B): C.D): T;\n", "f(a: B): C.D"),
    ("java", "class A {\n    int[] b = c[‸", "l) {\n", "l"),
    ("r", "f <- function(a) {\n    b <- a‸$c\n    b\n}\n", "$d[1])\n", "$d[1]"),
    ("csharp", "Setup(c =>\n{\n    ‸", " f(c);\n});\n", "f(c);\n});"),
    ("c", "int f(int a)\n{\n    ‸", " g(a);\n}\n", "g(a);\n}"),
]
# The arguments stand behind the cursor.
CALLED_BEHIND = [
    ("python", "def fo‸(a, b):\n    pass\n", "o(x):\n", "o"),
    ("javascript", "a.ba‸(1);\n", "r(2);\n", "r"),
    ("javascript", "a.b‸(1);\n", "(2).c\n", "(2).c"),
    ("python", "x = ‸(a)\n", "f(b) + g\n", "f(b) + g"),
    ("python", "x = ‸(a)\n", "f(b)\n", "f"),
]
# A bracket that is a character.
NO_BRACKETS = [
    ("python", "def f():\n    ‸\n    y()\n", " # 1) first\n", "# 1) first"),
    ("python", "def f():\n    ‸\n    y()\n", " x = 1  # a) first\n", "x = 1  # a) first"),
    ("java", "void f() {\n    ‸\n    y();\n}\n", " // 1) first\n", "// 1) first"),
    ("java", "void f() {\n    ‸\n    y();\n}\n", " x = ')';\n", "x = ')';"),
    ("javascript", "function f() {\n  a = ‸\n  y();\n}\n", " b.match(/\\)$/);\n", "b.match(/\\)$/);"),
    ("javascript", "function f() {\n  a = ‸\n  y();\n}\n", " /[^)]+/.test(b);\n", "/[^)]+/.test(b);"),
    ("haskell", "f = do\n  a\n  ‸\n  b\n", " map (\\(x, y) -> x) z\n", "map (\\(x, y) -> x) z"),
    ("yaml", "a:\n  - ‸\n  - b\n", "x) y\n", "x) y"),
    ("asciidoc", "a:\n  ‸\n  - b\n", " 1) y\n", "1) y"),
]
# A value, and the word behind the cursor.
VALUE_BEFORE_A_WORD = [
    ("python", "def f():\n    ‸return x\n", " g()\n", ""),
    ("python", "def f():\n    ‸return x\n", " y = [1, 2]\n", ""),
    ("python", "f(‸a)\n", "g(b)\n", ""),
    ("python", "x = f(‸in y)\n", "g(b) in y\n", "g(b) "),
    ("javascript", "const a = ‸b;\n", " await c()\n", ""),
    ("java", "int a = ‸b();\n", " (int) \n", "(int)"),
    ("c", "if ‸return 1;\n", " (a)\n", "(a)"),
    ("c", "‸return 1;\n", "if(a)\n", "if(a)"),
    ("go", "var a ‸int\n", " map[string]\n", "map[string]"),
]
# The rest of the line is code, or in a string, as before.
QUOTED_BEFORE_THE_REST = [
    ("php", "<?php\n‸$mail->add('a@b.c', 'D');\n", "$m->to('e\"", ""),
    ("javascript", "a.b‸('in')\n", "c('d\"", "c"),
    ("typescript", "f(null, '‸word', 1);\n", "Success, '", "Success,"),
    ("javascript", 'f(‸"a")\n', '"b", \n', '"b",'),
    ("python", "x = f(‸, 1)\n", '"a"\n', '"a"'),
]


@pytest.mark.parametrize(
    ("language", "document", "decoded", "expected"),
    [
        *(pytest.param(*case, id=f"closed further below: {case[0]}") for case in CLOSED_FURTHER_BELOW),
        *(pytest.param(*case, id=f"closed by nothing: {case[0]}") for case in CLOSED_BY_NOTHING),
        *(pytest.param(*case, id=f"called behind: {case[0]}") for case in CALLED_BEHIND),
        *(pytest.param(*case, id=f"no brackets: {case[0]}") for case in NO_BRACKETS),
        *(pytest.param(*case, id=f"a value before a word: {case[0]}") for case in VALUE_BEFORE_A_WORD),
        *(pytest.param(*case, id=f"quoted before the rest: {case[0]}") for case in QUOTED_BEFORE_THE_REST),
    ],
)
def test_golden_pairs(language: str, document: str, decoded: str, expected: str) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    decoded = prompt.typed + decoded if prompt.typed.strip() else decoded
    shape = shape_at(before, after, prompt, single_line=None, language_id=language)

    assert decoded[suggestion(decoded, shape)] == expected
