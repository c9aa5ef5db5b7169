"""Golden rules of clean-up that ask for the language: what of a decoded text is inserted at the cursor `‸`."""

import time

import pytest

from engine.completion.cleanup import RULES, is_complete, suggestion
from engine.completion.prompt import build_prompt
from engine.completion.shape import shape_at
from engine.completion.site import Site, offered
from engine.types import FinishReason

CURSOR = "‸"
WITH_LOOPS = ("c", "cpp", "csharp", "java", "javascript", "php", "typescript")

# (language, document, decoded text, what is offered of it)
CLOSED_BELOW = [
    ("python", 'def f(r):\n    """Return ‸\n    """\n    return 3\n', ' the area."""\n    x', "the area."),
    ("python", "def f(r):\n    '''Return ‸\n    '''\n    return 3\n", " the area.'''\n    x", "the area."),
    (
        "python",
        'def f(r):\n    """Return ‸\n\n    Args: r\n    """\n    return 3\n',
        ' the area.\n    """\n',
        "the area.",
    ),
    (
        "python",
        'def f(r):\n    """Return ‸\n    return 3\n\n\ndef g():\n    """Other."""\n',
        ' the area."""\n',
        'the area."""',
    ),
    ("javascript", "const q = `SELECT * FROM users ‸\n`;\nrun(q);\n", " WHERE id = 1`;\n", "WHERE id = 1"),
    ("typescript", "const q = `a ${b} ‸\n`;\nrun(`x`);\n", " c`;\n", "c"),
    ("java", "/** Returns the sum ‸\n */\nint add() {}\n", " of two numbers. */\n", "of two numbers."),
    ("kotlin", "/** Returns the sum ‸\n */\nfun add() {}\n", " of two numbers. */\n", "of two numbers."),
    ("kotlin", 'val s = """a ‸\n"""\n', ' b"""\n', "b"),
    ("c", "/* Returns ‸\n */\nint a;\n", " it */ int b;\n", "it"),
    ("rust", "/* Returns ‸\n */\nfn a() {}\n", " it */\n", "it"),
    ("rust", 'let s = "a ‸\nb";\n', ' c";\n', "c"),
    ("rust", 'let s = r#"a ‸\n"#;\n', ' c"#;\n', "c"),
    ("go", "q := `SELECT ‸\n`\nrun(q)\n", " 1`\n", "1"),
    ("go", "/* Adds ‸\n*/\nfunc add() {}\n", " one */\n", "one"),
    ("csharp", "/* Adds ‸\n*/\nint a;\n", " one */\n", "one"),
    ("csharp", 'var s = @"a ‸\nb";\n', ' c";\n', "c"),
    ("css", "/* Colours ‸\n*/\n.a {}\n", " of it */\n", "of it"),
    ("scss", "/* Colours ‸\n*/\n.a {}\n", " of it */\n", "of it"),
    ("html", "<!-- Header ‸\n-->\n<h1>Hi</h1>\n", " of it -->\n", "of it"),
    ("xml", "<!-- Header ‸\n-->\n<a/>\n", " of it -->\n", "of it"),
    ("php", "<?php\n/** Adds ‸\n */\nfunction a() {}\n", " one */\n", "one"),
    ("php", '<?php\n$s = "a ‸\nb";\n', ' c";\n', "c"),
    ("ruby", "=begin\nAdds ‸\n=end\n", " one\n=end\n", "one"),
    ("ruby", 's = "a ‸\nb"\n', ' c"\n', "c"),
    ("shellscript", 's="a ‸\nb"\n', ' c"\n', "c"),
    ("sql", "/* All ‸\n*/\nSELECT 1;\n", " of it */\n", "of it"),
    ("sql", "SELECT 'a ‸\nb';\n", " c';\n", "c"),
    ("swift", "/* Adds ‸\n*/\nfunc a() {}\n", " one */\n", "one"),
    ("swift", 'let s = """\na ‸\n"""\n', ' c"""\n', "c"),
    ("lua", "--[[ Adds ‸\n]]\nlocal a = 1\n", " one ]]\n", "one"),
    ("lua", "s = [[ a ‸\n]]\n", " c]]\n", "c"),
    ("haskell", "{- Adds ‸\n-}\na = 1\n", " one -}\n", "one"),
    ("powershell", "<# Adds ‸\n#>\n$a = 1\n", " one #>\n", "one"),
    ("scala", 'val s = """a ‸\n"""\n', ' c"""\n', "c"),
    ("dart", "/* Adds ‸\n*/\nint a;\n", " one */\n", "one"),
    ("elixir", '@doc """\nAdds ‸\n"""\n', ' one\n"""\n', "one"),
    ("julia", '"""\nAdds ‸\n"""\nf(x) = 1\n', ' one"""\n', "one"),
    ("toml", 'a = """\nx ‸\n"""\n', ' y"""\n', "y"),
    ("markdown", "```python\nprint(1)\n‸\n```\n", "\n```\n", ""),
]
CLOSED_BEHIND = [
    ("ruby", 'puts "Hello #{‸}"\n', 'name}!"\n', "name"),
    ("javascript", "x = `Hello ${‸}`\n", "name}, you`\n", "name"),
    ("kotlin", 'val s = "Hello ${‸}"\n', "name}!", "name"),
    ("csharp", 'var s = $"Hello {‸}";\n', "name}!", "name"),
    ("javascriptreact", '<label>Name <input type="text" ‸ /></label>\n', ' name="n" /></label>\n', 'name="n"'),
    (
        "javascriptreact",
        "<button ‸>Cancel</button>\n",
        " onClick={() => go()}>Cancel</button>\n",
        "onClick={() => go()}",
    ),
    ("javascript", "const a = <p>‸</p>;\n", "Hi</p>;\n", "Hi"),
    ("typescriptreact", "return (\n    <div>\n      ‸\n    </div>\n);\n", " <p>a</p>\n    </div>\n  );", "<p>a</p>"),
    ("html", "<a ‸>About</a>\n", ' href="/about">About</a>\n', 'href="/about"'),
    ("html", "<ul>\n  <li>‸\n</ul>\n", "One</li>\n", "One</li>"),
    ("html", "<ul>\n  <li>‸</li>\n</ul>\n", "One</li>\n  <li>Two</li>\n", "One"),
    ("html", '<svg><circle r="2" /><path d="M0 0" ‸/></svg>\n', ' fill="red"/></svg>\n', 'fill="red"'),
    ("html", "<img ‸>\n", ' src="a.png">\n', 'src="a.png"'),
    ("html", "<p>a &nbsp;‸</p>\n", " b &lt; c</p>\n", " b &lt; c"),
    ("xml", "<item ‸/>\n", ' id="1"/>\n', 'id="1"'),
    ("vue", "<template>\n  <p ‸>a</p>\n</template>\n", ' v-if="b">a</p>\n', 'v-if="b"'),
    ("java", "List<‸> names = new ArrayList<>();\n", "String> names = new ArrayList<>();\n", "String"),
    ("java", "Map<String, ‸> m = f();\n", " List<Integer>> m = f();\n", "List<Integer>"),
    ("java", "if (a < b && ‸) {\n", " c > d) {\n", "c > d"),
    ("java", "x.map(a -> ‸);\n", " a.b());\n", "a.b()"),
    ("rust", "let v: Vec<‸> = Vec::new();\n", "u8> = Vec::new();\n", "u8"),
    ("rust", "let v = Vec::<‸>::new();\n", "u8>::new();\n", "u8"),
    ("cpp", "std::map<std::string, ‸> counts;\n", " int> counts;\n", "int"),
    ("cpp", "#include <‸>\n", "vector>\n", "vector"),
    ("csharp", "List<‸> a = new();\n", "string> a = new();\n", "string"),
    ("kotlin", "val a: List<‸> = f()\n", "String> = f()\n", "String"),
    ("swift", "let a: Array<‸> = f()\n", "String> = f()\n", "String"),
    ("typescript", "const a: Promise<‸> = load();\n", "string> = load();\n", "string"),
    ("typescript", "const m = new Map<string, ‸>();\n", " number>();\n", "number"),
    ("typescript", "const f = (a: number): Array<‸> => [];\n", "number> => [];\n", "number"),
    ("scala", "val a: F[‸] = f\n", "Int] = f\n", "Int"),
    ("go", "var a map[‸]int\n", "string]int\n", "string"),
    ("dart", "List<‸> a = [];\n", "int> a = [];\n", "int"),
    ("php", "<?php\n$x = $a ? ‸ : 0;\n", " $a : 1;\n", "$a"),
    ("javascript", "const x = a ? ‸ : 0;\n", " a : a + 1;\n", "a"),
    ("c", "int x = a ? ‸ : 0;\n", " a : 1;\n", "a"),
    ("c", "for (int i = 0; ‸; i++) {\n", " i < n; i++) {\n", "i < n"),
    ("java", "int x = ‸;\n", " 1;\n", "1"),
    ("java", "int x = ‸ + 1;\n", " a;\n", "a"),
    ("css", ".a { color: ‸; }\n", " red; }\n", "red"),
    ("matlab", "x = f(rows', [1 2]', ‸);\n", " cols');\n", "cols'"),
]
OPENED_BEFORE_TEXT = [
    ("matlab", "B = A' * ‸;\n", "[1 2", ""),
    ("python", 'days = ["Mon", ‸]\n', '"Tue", "', '"Tue"'),
    ("javascript", "const days = ['Mon', ‸];\n", "'Tue', 'Wed", "'Tue'"),
    ("go", "days := []string{‸}\n", '"Mon", "Tue", x[', '"Mon", "Tue", x'),
    ("java", "int x = ‸;\n", " foo(", "foo"),
    ("python", "x = ‸foo\n", '"bar', ""),
    ("python", "print(‸name)\n", "f(", ""),
    ("python", "print(‸ name)\n", "f(", "f"),
    ("javascript", "const a = ‸ b;\n", " `c", ""),
]
NOT_WORTH_SHOWING = [
    ("ruby", "puts ‸\n", ' (f"', ""),
    ("python", "x = ‸\n", ' f"', ""),
    ("javascriptreact", "<select ‸>\n", ' class="', ""),
    ("html", '<input type="text" ‸>\n', " class=", ""),
    ("python", "f(‸)\n", "key=", ""),
    ("python", "x = ‸\n", " (", ""),
    ("python", "x = ‸\n", ' "', ""),
    ("python", "x‸\n", " =", ""),
    ("java", "foo‸\n", "(", ""),
    ("javascript", "const f = ‸\n", " {", ""),
    ("python", "x = f(a‸\n", ")", ""),
    ("c", "int a‸\n", ";", ""),
    ("python", "x = ‸\n", " []", ""),
    ("python", "print(‸\n", '"', ""),
    ("ruby", "puts ‸\n", '"#{', ""),
    ("html", "<p‸\n", ">", ""),
    ("html", "‸\n", "<", ""),
    ("python", "x = 'a‸\n", "'", ""),
    ("go", "x := ‸\n", " &", ""),
    ("shellscript", "echo ‸\n", ' "$', ""),
    ("css", ".a ‸\n", " {", ""),
    ("yaml", "run: docker build ‸\n", "--", ""),
    ("shellscript", "rm ‸\n", "--", ""),
    ("sql", "SELECT a; ‸\n", "--", ""),
    ("c", "x ‸\n", "/*", ""),
    ("c", "p‸\n", "->", ""),
    ("javascript", "f(a ‸\n", "=>", ""),
    ("kotlin", "if (‸) {\n", "!", ""),
]
WORTH_SHOWING = [
    ("python", "x = ‸\n", ' foo("', "foo("),
    ("python", "x = ‸\n", ' foo("bar', 'foo("bar'),
    ("python", "def f():\n    ‸\n", ' x = 1\n    """', "x = 1"),
    ("python", "x = ‸\n", ' "a" + b["c"]', '"a" + b["c"]'),
    ("shellscript", "echo ‸\n", ' "$a"', '"$a"'),
    ("python", "x = ‸\n", " 1", "1"),
    ("c", "i‸\n", "--;\n", "--;"),
    ("javascript", "foo(() => {\n  a();\n‸\n", "\n});\n", "});"),
    ("python", "x = f(a‸\n", "))", "))"),
]
# What a model says goes on with a word that the person has ended with a blank.
ENDED_WORDS = [
    ("sql", "INSERT ‸\n", "-1.1.1", ""),
    ("sql", "DROP ‸\n", "_TABLE_ERROR", ""),
    ("python", "import ‸\n", "-as-python", ""),
    ("python", "import os ‸\n", ".path", ""),
    ("javascript", "const ‸\n", "ant = 3;", ""),
    ("yaml", "name: api ‸\n", "/v1", ""),
    ("markdown", "All of them ‸\n", ", and more", ""),
    ("markdown", "你好 ‸\n", "世界", "世界"),
    ("go", "func ‸\n", " main() {", "main() {"),
    ("javascript", "function ‸\n", "(a) {", "(a) {"),
    ("c", "f(a ‸\n", " - 1);", "- 1);"),
    ("java", "x = f(a, ‸\n", "b);", "b);"),
]
SAID_BY_THE_REST = [
    ("sql", "HAVING SUM(o.total) ‸> 100\n", "> 0", ""),
    ("sql", "HAVING ‸ > 100\n", " SUM(o.total) > 0", "SUM(o.total)"),
    ("python", "if ‸ == 3:\n", " f(a=1) == 4:", "f(a=1)"),
    ("java", "int ‸ = 3;\n", " count = 4;", "count"),
    ("javascript", "if (a ‸=== b) {\n", "=== c", ""),
    ("rust", "if a ‸!= b {\n", "!= c", ""),
    ("c", "if (a ‸&& b)\n", "&& c ", "&& c"),
    ("csharp", "if (x ‸ >= 2)\n", " + y >= 3", "+ y"),
    ("kotlin", "x‸ += 2\n", " += 3", ""),
    ("html", "<input disabled‸>\n", '="disabled"', '="disabled"'),
    ("go", "// ‸to it, and then calls\n", "to it.", ""),
    ("php", "<?php\n$this->‸level = f($level);\n", "level = $level;", ""),
    ("ruby", "puts ‸name.upcase\n", "name, ", ""),
    ("python", "f(‸alpha, b)\n", "alphabet, ", "alphabet,"),
    ("python", "return ‸value\n", " not value\n", "not "),
    ("python", "return ‸value\n", " not a\n", ""),
    ("java", "public ‸class A {\n", " static class A {\n", "static "),
    ("sql", "SELECT ‸FROM b\n", " id FROM b\n", "id "),
    ("sql", "SELECT ‸ FROM b\n", " id FROM b\n", "id"),
    ("scss", "// Toggle ‸global options\n", " the default global options\n", "the default "),
    ("markdown", "the ‸filename matches\n", " pattern matches the\n", ""),
]
SAYS_THE_LINE_ABOVE = [
    ("java", "import android.os.Build;\n‸\n", "\nimport android.os.Build", ""),
    ("java", "import android.os.Build;\n‸\n", "\nimport android.os.Build.", ""),
    ("java", "import android.os.Build;\n‸\n", "\nimport android.os.Handler;", "import android.os.Handler;"),
    ("python", "import os\n‸\n", "\nimport os.path", "import os.path"),
    ("yaml", "a:\n  - first\n  ‸\n", " - second", "- second"),
]
INDENTED_OTHERWISE = [
    (
        "python",
        "class A:\n        def f(self):\n                return 1\n\n        def g(self):‸\n",
        "\n            return 2\n",
        "",
    ),
    (
        "python",
        "class A:\n        def f(self):\n                return 1\n\n        def g(self):‸\n",
        "\n                return 2\n",
        "\n                return 2",
    ),
    ("python", "if a:\n  b()\nif c:\n  ‸\n", " for d in e:\n      f()\n", "for d in e:"),
    ("python", "if a:\n  b()\nif c:\n  ‸\n", " for d in e:\n    f()\n", "for d in e:\n    f()"),
    (
        "java",
        "class A {\n        void f() {\n                a();\n        }\n\n        void g() {‸\n}\n",
        "\n            b();\n        }\n",
        "",
    ),
    (
        "java",
        "class A {\n   void f() {\n      a();\n   }\n\n   void g() {‸\n}\n",
        "\n      b();\n   }\n",
        "\n      b();\n   }",
    ),
    ("go", "func f() {\n\ta()\n}\n\nfunc g() {‸\n", "\n\tb()\n}\n", "\n\tb()\n}"),
    ("go", "func f() {\n\ta()\n}\n\nfunc g() {‸\n", "\n\t\tb()\n}\n", ""),
    ("javascript", "function f() {\n a();\n}\nfunction g() {‸\n", "\n b();\n}\n", "\n b();\n}"),
    ("yaml", "a:\n    b: 1\nc:‸\n", "\n  d: 2\n", ""),
    ("c", "void f(void)\n{\n\ta();\n}\n\nvoid g(void)\n{‸\n", "\n\tb();\n}\n", "\n\tb();\n}"),
    ("rust", "fn f() {\n    a();\n}\n\nfn g() {‸\n", "\n  b();\n}\n", ""),
]
# What an editor has closed is left, and nothing before it is lost.
BEFORE_CLOSED = [
    *((language, "for (int i‸)\n", " = 0; i < f(n); i++)\n", " = 0; i < f(n); i++") for language in WITH_LOOPS),
    *((language, "for (int i = f(0); ‸) {\n", " i < n; i++) {\n", "i < n; i++") for language in WITH_LOOPS),
    ("shellscript", 'echo "to \'‸"\n', "$DIR'\"\n", "$DIR'"),
    ("shellscript", 'if [ "$‸" ]\n', '{a}" ]\n', "{a}"),
    ("kotlin", 'f("$‸")\n', '{a} b")\n', "{a} b"),
    ("javascript", "x = `a $‸`\n", "{b} c`;\n", "{b} c"),
    ("javascript", 'x = `{"a": ${b}, ‸`\n', ' "c": ${d}}`;\n', '"c": ${d}}'),
    ("java", 'f("a \\"‸")\n', 'b\\"")\n', 'b\\"'),
    ("python", "f('a=\"‸')\n", "b\"')\n", 'b"'),
    ("typescriptreact", f"f('{'a-b-' * 60}‸')\n", "c')\n", "c"),
    ("javascript", "import a from './b‸\n", "';\n", "';"),
    ("json", '"a": "b‸\n', '",\n', ""),
    ("python", "f(a['b‸\n", "'])\n", "'])"),
]
# What a limit or doubt cut behind a sign that leads on.
CUT = [
    ("python", "def f(error):\n    raise ‸\n", "error.", "error"),
    ("python", "x = [\n  ‸\n]\n", "x,\n  x[0].", "x,\n  x[0]"),
    ("python", "error = 1\nprint(error‸)\n", ".error.", ".error"),
    ("javascript", "const error = 1;\nreturn ‸;\n", "error?.", "error"),
    ("typescriptreact", "const error = 1;\nreturn <p>{‸}</p>;\n", "error!.", "error"),
    ("php", "<?php\n$error = 1;\nreturn ‸;\n", "$error->", "$error"),
    ("cpp", "using std;\nreturn ‸;\n", "std::", "std"),
    ("rust", "use error;\nreturn ‸;\n", "error::", "error"),
    ("go", "x := fmt\nreturn ‸\n", "fmt.", "fmt"),
    ("python", "x = ‸\n", "[1, 2] or `", "[1, 2] or"),
    ("python", "# This is an ‸\n", "error.", "error."),
    ("python", "# Use ‸\n", "(1) or `", "(1) or"),
    ("python", '"""Use ‸\n"""\n', "``1`` or ``", "``1`` or"),
    ("markdown", "Says an ‸\n", "[1]. [1] **", "[1]. [1]"),
    ("html", "<p>Says an ‸</p>\n", "html.", "html."),
]
ALL = [
    *(pytest.param(*case, id=f"closed below: {case[0]}") for case in CLOSED_BELOW),
    *(pytest.param(*case, id=f"closed behind: {case[0]}") for case in CLOSED_BEHIND),
    *(pytest.param(*case, id=f"opened before text: {case[0]}") for case in OPENED_BEFORE_TEXT),
    *(pytest.param(*case, id=f"not worth showing: {case[0]}") for case in NOT_WORTH_SHOWING),
    *(pytest.param(*case, id=f"worth showing: {case[0]}") for case in WORTH_SHOWING),
    *(pytest.param(*case, id=f"goes on an ended word: {case[0]}") for case in ENDED_WORDS),
    *(pytest.param(*case, id=f"said by the rest: {case[0]}") for case in SAID_BY_THE_REST),
    *(pytest.param(*case, id=f"says the line above: {case[0]}") for case in SAYS_THE_LINE_ABOVE),
    *(pytest.param(*case, id=f"before closed: {case[0]}") for case in BEFORE_CLOSED),
    *(pytest.param(*case, id=f"indented otherwise: {case[0]}") for case in INDENTED_OTHERWISE),
]


@pytest.mark.parametrize(("language", "document", "decoded", "expected"), ALL)
def test_golden_in_many_languages(language: str, document: str, decoded: str, expected: str) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    if prompt.typed.strip():
        decoded = prompt.typed + decoded  # a model says the word at the cursor once more
    shape = shape_at(before, after, prompt, single_line=None, language_id=language)
    complete = [decoded[:end] for end in range(len(decoded) + 1) if is_complete(decoded[:end], shape)]

    assert decoded[suggestion(decoded, shape)] == expected
    assert {text[suggestion(text, shape)] for text in complete} <= {expected}


@pytest.mark.parametrize(("language", "document", "decoded", "expected"), CUT)
def test_a_cut_text_ends_with_no_sign_that_leads_on(language: str, document: str, decoded: str, expected: str) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    site = Site(prefix=before, suffix=after, prompt=prompt, language_id=language)

    assert offered(site, prompt.typed + decoded, FinishReason.UNLIKELY) == expected


def test_each_rule_has_a_name_of_its_own_and_those_that_end_decoding_come_first() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert [rule.is_final for rule in RULES] == sorted((rule.is_final for rule in RULES), reverse=True)


@pytest.mark.parametrize("language", ["json", "python", "javascript", "html", "cpp", ""])
def test_a_long_line_is_read_once_and_not_for_each_token(language: str) -> None:
    line = '[{"id": 1, "name": "a", "tags": ["a<b>", \'c\'], "ok": true}, ' * 6000  # 360 kB
    before, after = line[: len(line) // 2], line[len(line) // 2 :]
    decoded = ' "b", "c": [1, 2, (3, 4)], "d": `e` > f, {"g": "h"}, '
    shape = shape_at(before, after, build_prompt(before, after), single_line=None, language_id=language)
    started_s = time.process_time()
    for end in range(0, len(decoded), 3):
        is_complete(decoded[:end], shape)
        suggestion(decoded[:end], shape)

    assert (time.process_time() - started_s) / (len(decoded) / 3) < 0.01  # of a token's ten milliseconds or more
