"""What the end of a text lies in, in many languages: code, a comment or a string."""

import random
import time
from typing import Any

import pytest

from engine.completion.lexers import Lexer, Part, State, Token
from engine.completion.lexical import enclosure_at, part_at

SCRIPTS = ("javascript", "typescript", "javascriptreact", "typescriptreact")

# What begins a comment, and the languages that have it so.
COMMENTS = {
    "<p><!--": "html",
    "#": "php dockerfile makefile perl r elixir graphql terraform nix tcl cmake nim crystal gdscript properties "
    "dotenv coffeescript fish awk starlark hcl jsonnet git-commit ignore dockercompose perl6",
    "//": "c scss less jsonc dart groovy objective-c proto zig solidity pug verilog systemverilog cuda-cpp glsl hlsl "
    "d stylus sass haxe prisma json5 jsonnet",
    ";": "ini clojure lisp asm racket scheme commonlisp",
    "REM": "bat",
    "%": "erlang prolog tex bibtex",
    "'": "vb vbscript",
    "/*": "scala groovy",
    "<!--": "vue svelte xml markdown handlebars razor astro",
    "!": "fortran fortran-modern",
    "--": "ada vhdl elm haskell plsql purescript applescript",
    '"': "viml",
    "*": "abap",
}
IN_COMMENTS = [
    ("python", "x = 1  # not yet"),
    ("java", "int x; // not"),
    ("java", "/* a\n * b"),
    ("sql", "SELECT 1 -- all"),
    ("shellscript", "echo 'a' # b"),
    ("ruby", "=begin\nabc"),
    ("lua", "--[[ a\nb"),
    ("haskell", "{- a\nb"),
    ("powershell", "<# a\nb"),
    ("php", "<?php\n// a"),
    ("php", "<?php\n/* a\n b"),
    ("c", "/* a\n b"),
    ("rust", "/* a /* b */ c"),
    ("css", "/* a\n"),
    ("yaml", "a: b # c"),
    ("toml", "a = 1 # b"),
    ("julia", "#= a\nb"),
    ("latex", "a % b"),
    ("matlab", "% b"),
    ("fsharp", "(* a\nb"),
    ("ocaml", "(* a\nb"),
    ("sql", "/* a\nb"),
    ("coffeescript", "### a\nb"),
    ("html", "<script>\n// a"),
    ("vue", "<script>\n// a"),
    ("html", "<script>\n/* a\n"),
    ("html", "<style>\n/* a\n"),
    ("vue", '<style scoped lang="scss">\n.a { // b'),
    ("rust", "/// a"),
    ("rust", "/** a"),
    ("nim", "## a"),
    ("perl", "=pod\n\na"),
    ("perl", "=head1 A\n\nit's"),
    ("razor", "@* a"),
    ("handlebars", "{{!-- a"),
    ("cmake", "#[[ a\nb"),
    ("cmake", "#[=====[.rst:\na\n]]\nb"),
    ("perl", '=head1 A\n\na\n\n=cut\n\nf();\n\n=item b\n\n"c'),
    ("powershell", 'if ("\'""".Contains(1)) {\n# a'),
    *((language, "/* a /* b */ c") for language in ("kotlin", "scala", "swift", "dart", "postgres")),
    ("haskell", "{- a {- b -} c"),
    ("ocaml", "(* a (* b *) c"),
    ("julia", "#= a #= b =# c"),
    ("racket", "#| a #| b |# c"),
    ("viml", "  \" it's"),
    ("viml", 'set nowrap " it\'s "a'),
    ("jinja-html", "<p>\n<!-- it's {{ a"),
    ("django-html", "{% comment %} it's"),
    ("erb", "<p>\n<!-- it's"),
    ("erb", "<p>\n<%# it's\n"),
    ("erb", "<p><%= f('a') # it's"),
    ("ejs", "<p>\n<!-- it's"),
    ("html-eex", "<p>\n<!-- it's"),
    ("twig", "<p>\n{# it's"),
    ("blade", "<p>\n{{-- it's"),
    ("handlebars", "<p>\n{{! it's"),
    ("vue", "<template>\n<!-- it's"),
    ("viml", 'execute "a"\n  let x = 1 " it\'s'),
    *(("perl", f"={chapter}\n\nit's") for chapter in ("encoding utf8", "begin html", "for text", "back")),
]
IN_STRINGS = [
    ("python", "x = 'in"),
    ("python", "x = 'it\\'s"),
    ("python", 'x = "a # b'),
    ("python", 'def f():\n    """Says\n    '),
    ("java", 'String s = "// '),
    ("typescript", "const a = `x\n"),
    ("rust", 'let s = "a'),
    ("typescriptreact", "const A = () => (\n <p a='b' onClick={() => { f('x') }}>don't {a ? <b/> : 'x"),
    ("javascript", "const m = `a ${f(() => { return {a: 1} })} b"),
    ("go", "s := `a\nb"),
    ("csharp", 'var s = @"a\nb'),
    ("kotlin", 'val s = """a\nb'),
    ("swift", 'let s = """\na'),
    ("ruby", "x = 'a\nb"),
    ("lua", "x = [[ a\nb"),
    ("php", '<?php $x = "a\nb'),
    ("c", 'x = "a'),
    ("cpp", 'x = R"(a\nb'),
    ("rust", 'let s = r#"a "b'),
    ("sql", "SELECT 'a"),
    ("json", '{"a": "b'),
    ("vb", 'Dim s = "a'),
    ("html", '<a href="x'),
    ("html", "<script>const x = 'a"),
    ("svelte", '<script lang="ts">\nconst x = `a\n'),
    ("shellscript", "cat <<EOF\na"),
    ("shellscript", "cat <<EOF\na <$E> b"),
    ("elixir", '@moduledoc """\n  Keeps the '),
    ("zig", "const s =\n    \\\\<b> a"),
    ("shellscript", "cat <<-'EOF' | sort\n\ta $b"),
    ("ruby", "x = <<~SQL\n  SELECT"),
    ("perl", "my $x = <<EOT;\na"),
    ("php", "<?php\n$x = <<<'EOT'\na"),
    ("terraform", "x = <<EOT\nit's"),
    ("swift", 'let s = """\n  it\'s "a"\n  b'),
    ("javascript", "let a = x++ / 2 + 'b"),
    ("typescript", "let a = y! / 2 + 'b"),
    ("matlab", "a = b' + 'c"),
    ("matlab", "a = [b' 'c"),
    ("octave", "disp('c"),
    ("viml", 'let x = a . "b'),
    ("viml", 'echo "a'),
    ("viml", 'echo "a" "b'),
    ("viml", 'echomsg a "b'),
    ("kotlin", '/* a /* b */ c */ val x = "a'),
    ("jinja-html", "<p>it's {{ url_for('x"),
    ("jinja-html", '<a href="{{ f("a") }}/'),
    ("erb", "<p>don't <%= f(\"x"),
    ("html", '<a href="x\n  y'),
    ("xml", "<a><![CDATA[ b <c> "),
    *((language, "o.if(x) / 2 + 'a") for language in SCRIPTS),
    *((language, "if ((a) / 2 > b / 'c") for language in SCRIPTS),
    *((language, "if (x) a = b / 2; c = 'd") for language in SCRIPTS),
    *((language, "if (x) { a(`${b} ") for language in SCRIPTS),
    *((language, "if (x) { a(`${b}`) }\nc = (d) / 'e") for language in SCRIPTS),
]
IN_CODE = [
    ("python", "x = 1"),
    ("python", "# done\n"),
    ("python", "x = 'in' + "),
    ("python", 'x = "a # b" '),
    ("python", 'def f():\n    """Says "it"."""\n    '),
    ("python", 'x = "" '),
    ("python", "x = 'never closed\ny"),
    ("java", "/* a */ int "),
    ("java", "char c = '\"'; "),
    ("rust", "fn f<'a>(x: &'a str) "),
    ("html", "<!-- a --><p>"),
    ("no-such", "# x"),
    ("", "// x"),
    ("javascript", "const r = /^[/*]+/;\nfunction f() { return "),
    ("javascript", "const r = s.replace(/\\/*$/, '');\nf("),
    ("javascript", "const r = /`/g;\nf("),
    ("javascriptreact", "const A = () => <p>Press ` twice</p>;\nf("),
    ("javascript", "const A = () => <p>don't</p>;\nf("),
    ("javascript", "const n = 1;\nconst m = `a ${"),
    ("python", "name = 'a'\nprint(f'{"),
    ("shellscript", "if [ $# -gt "),
    ("shellscript", "n=${#a}; echo "),
    ("css", ".a { background: url(//x.invalid/a.png); "),
    ("javascript", "a = 'it\nb = "),
    ("java", 's = "it\nb = '),
    ("go", "s := `a`\nb"),
    ("csharp", 'var s = $"a {'),
    ("kotlin", 'val s = "a ${'),
    ("swift", 'let s = "a \\('),
    ("ruby", 'x = "a #{'),
    ("lua", "-- a\nb"),
    ("yaml", "a: b"),
    ("json", '{"a": '),
    ("markdown", "don't "),
    ("html", "<p>it's "),
    ("html", "<script>x = 1; // it's\n</script>\n<p>"),
    ("shellscript", "cat <<EOF | sort\nit's \"\nEOF\necho "),
    ("shellscript", "cat <<< 'a'\n((b = 1 << a))\necho "),
    ("ruby", "a << b\nc << 'd'\n"),
    ("perl", "my $x = 1<<N;\nmy $y = "),
    ("swift", 'let s = """\n  it\'s "a"\n  """; let b = '),
    ("ocaml", "let f (x : 'a list) = "),
    ("fsharp", 'let f (x: \'a) = "b" + '),
    ("ada", "X'Length; Y := "),
    ("julia", "x = a'; y = "),
    ("systemverilog", "x = '{a, b}; y = "),
    ("tcl", "set x {it's}\nset y "),
    ("sql", "SELECT `a` FROM `b` WHERE "),
    ("commonlisp", "(defmacro f () `(a ,b)) (g "),
    ("postgres", "CREATE FUNCTION f() AS $$ BEGIN\n  "),
    ("javascript", "let a = x++ / 2; const b = 'c'; f("),
    ("javascript", "let a = x-- / 2; const b = 'c'; f("),
    ("typescript", 'let a = f()! / 2 + g("it\'s") + h('),
    ("awk", '{ x = NR++ / 2; y = "it\'s"; f('),
    ("ruby", "x = s.gsub(/'/, '') + f("),
    *((language, "a = b'; c = d(") for language in ("matlab", "octave", "scilab", "julia")),
    ("matlab", "a = [1 2]' * f(x)' + {1}' + b.'; c = d("),
    ("octave", "a = [1 2]' * f(x)' + {1}' + b.'; c = d("),
    *((language, "/* a /* b */ c */ x = ") for language in ("kotlin", "scala", "swift", "rust", "dart")),
    *((language, "/* a /* b */ x = ") for language in ("java", "c", "javascript", "go", "css", "php")),
    ("viml", 'call f("a", '),
    ("erb", "<p>it's <%= f("),
    ("jinja-html", "<p>it's {{ f('a') }} "),
    ("twig", "<!-- it's --><p>don't "),
    ("jinja", "if a < b and c == 'd':\n    x = "),
    ("html", "<p>a < b = 'c</p>\n"),
    *((language, "if (x) /['\"]/.test(y); f(") for language in SCRIPTS),
    *((language, "while (f(x)[1] && (a)) /`/.exec(y); f(") for language in SCRIPTS),
    *((language, "for (const a of b) /'/.test(a) && f(") for language in SCRIPTS),
    *((language, "if (\n  a &&\n  b.match(/[)']/)\n) /'/.test(x) || f(") for language in SCRIPTS),
    *((language, "if (a { b }\nconst r = /[/'\"]/v; f(") for language in SCRIPTS),
    ("viml", 'echo "a" "b" '),
    ("perl", "my $x =begin('a');\nf("),
]


@pytest.mark.parametrize(
    ("language", "prefix", "part"),
    [
        *((language, f"{mark} a", "comment") for mark, ids in COMMENTS.items() for language in ids.split()),
        *((language, prefix, "comment") for language, prefix in IN_COMMENTS),
        *((language, prefix, "string") for language, prefix in IN_STRINGS),
        *((language, prefix, "code") for language, prefix in IN_CODE),
    ],
)
def test_the_language_tells_code_from_comments_and_strings(language: str, prefix: str, part: Part) -> None:
    assert part_at(prefix, language) == part


@pytest.mark.parametrize(
    ("language", "prefix", "closer"),
    [
        ("python", 'def f():\n    """Says ', '"""'),
        ("python", "x = 'a", ""),
        ("python", "# a", ""),
        ("javascript", "x = `a", "`"),
        ("java", "/** Says", "*/"),
        ("html", "<!-- a", "-->"),
        ("lua", "--[[ a", "]]"),
        ("lua", "x = [==[ a", "]==]"),
        ("rust", 'x = r##"a "# b', '"##'),
        ("rust", 'x = "a', '"'),
        ("cpp", 'x = R"sql(a )', ')sql"'),
        ("ruby", "x = 'a", "'"),
        ("shellscript", 'x="a', '"'),
        ("haskell", "{- a", "-}"),
        ("kotlin", 'x = """a "', '"""'),
        ("go", "x := `a", "`"),
        ("powershell", "<# a", "#>"),
    ],
)
def test_what_goes_over_lines_is_known_by_what_ends_it(language: str, prefix: str, closer: str) -> None:
    assert enclosure_at(prefix, language).closer == closer


def test_reading_comes_to_an_end_whatever_is_typed() -> None:
    pieces = [
        '"""',
        '"',
        "'",
        "`",
        "$$",
        "#",
        "//",
        "/*",
        "*/",
        "{",
        "}",
        "${",
        "\\",
        "\n",
        "a = ",
        "(",
        "<",
        ">",
        "f'",
    ]
    languages = "haskell swift kotlin scala postgres csharp ruby perl yaml julia nix elixir typescriptreact"
    draw = random.Random(1)
    for language in languages.split() * 40:
        assert part_at("".join(draw.choices(pieces, k=20)), language) in {"code", "comment", "string"}


def test_a_key_costs_what_its_line_costs() -> None:
    lines = 'x = "a" + \'b\'  # c\n"""d\ne"""\n'
    text = lines * 5000  # 155 kB
    enclosure_at(text, "python")

    def elapsed_s(prefix: str) -> float:
        started_s = time.process_time()
        assert part_at(prefix, "python") == "comment"
        return time.process_time() - started_s

    keys_s = sorted(elapsed_s(f"{text}# {'x' * n_keys}") for n_keys in range(1, 20))
    assert keys_s[len(keys_s) // 2] < 0.01
    above_s = sorted(elapsed_s(text[: len(lines) * n_times + lines.index("c")]) for n_times in range(100, 4900, 300))
    assert above_s[len(above_s) // 2] < 0.01


def test_a_key_reads_what_is_not_settled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x = \"a\" + 'b'  # c\n" * 1000
    enclosure_at(text, "python")
    read: list[int] = []
    step = Lexer._step

    def counted(lexer: Lexer, text: str, context: Any, state: State) -> list[Token]:  # noqa: ANN401
        read.append(state.at)
        return step(lexer, text, context, state)

    monkeypatch.setattr(Lexer, "_step", counted)
    assert part_at(f"{text}y = '", "python") == "string"

    assert read
    assert len(read) - len(set(read)) <= 1  # the step over where it begins
    assert min(read) > len(text) - 500


def test_keys_in_several_documents_in_turns_cost_what_their_lines_cost() -> None:
    texts = [f"# {number}\n" + "x = \"a\" + 'b'  # c\n" * 2000 for number in range(16)]
    for text in texts:
        enclosure_at(text, "python")

    def elapsed_s(prefix: str) -> float:
        started_s = time.process_time()
        assert part_at(prefix, "python") == "string"
        return time.process_time() - started_s

    keys_s = sorted(elapsed_s(f"{text}y = '{'x' * n_keys}") for n_keys in range(1, 4) for text in texts)
    assert keys_s[len(keys_s) // 2] < 0.01
