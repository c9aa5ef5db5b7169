"""What the text behind the cursor ends is not ended again: strings, comments, code in strings, marks in pages."""

import pytest

from engine.completion.cleanup import is_complete, suggestion
from engine.completion.closing import closed_below
from engine.completion.prompt import build_prompt
from engine.completion.shape import shape_at

CURSOR = "‸"
WITH_TAGS = ("html", "vue", "svelte", "xml", "javascriptreact", "typescriptreact")
WITH_ELEMENTS = ("javascriptreact", "typescriptreact")
WITH_LONG_STRINGS = ("shellscript", "ruby", "perl", "r", "rust", "julia")
WITH_BLOCK_COMMENTS = ("java", "c", "cpp", "csharp", "javascript", "typescript", "go", "css", "sql")


@pytest.mark.parametrize(
    ("language", "prefix", "suffix", "closed"),
    [
        ("python", 'def f():\n    """Says ', '\n    """\n    return 1\n', True),
        ("python", 'def f():\n    """Says ', ' what.\n\n    More.\n    Args: x\n    """\n', True),
        ("python", 'def f():\n    """Says ', '\n    return 1\n\ndef g():\n    """Tells."""\n', False),
        ("python", 'def f():\n    """Says ', "\n    return 1\n", False),
        ("javascript", "x = `a", "\n`;\ny = `b`;\n", True),
        ("javascript", "x = `a", "\ny = `b`;\n", False),
        ("java", "/** Says", "\n */\nint a;\n", True),
        ("java", "/** Says", "\nint a;\n/** Tells */\nint b;\n", False),
        ("html", "<!-- a", "\n-->\n<p>\n", True),
        ("html", "<!-- a", "\n<p>\n<!-- b -->", False),
        ("lua", "--[[ a", "\n]]\n", True),
        ("shellscript", 'x="a', '\nb"\n', True),
        ("ruby", "=begin\na", "\n=end\n", True),
        ("vue", "<script>\nconst x = `a", "\n`;\n</script>\n", True),
        ("html", "<script>/* a", "\n */\n</script>\n", True),
        ("shellscript", "cat <<EOF\na", "\nEOF\n", True),
        ("csharp", 'var s = $@"\n a {b} ', '\n";\n', True),
        ("csharp", 'var s = $"""\n a "b" ', '\n  """;\n', True),
        ("elixir", '@moduledoc """\n  Keeps ', '\n  """\n', True),
        ("cmake", "#[===[ a", "\n]===]\n", True),
        ("ocaml", "let s = {|a", "\n|}\n", True),
        ("pascal", "{ a", "\n}\n", True),
        ("d", "/+ a", "\n+/\n", True),
        ("jinja-html", "<p>\n{# a", "\n#}\n", True),
        *((language, "/* a", " as in /* here */\nx\n", True) for language in WITH_BLOCK_COMMENTS),
        *((language, "/*\n * a", "\n * as in /* here\n */\nx\n", True) for language in WITH_BLOCK_COMMENTS),
        *((language, "/* a", "\nf();\n/* b */\n", False) for language in WITH_BLOCK_COMMENTS),
        *((language, "/* a", "\nf(); /* b */\n", False) for language in WITH_BLOCK_COMMENTS),
        ("html", "<!-- a", " as in <!-- here -->\n<p>\n", True),
        *((language, 'x = "a', '\nf("b")\ng("c", "d")\n', False) for language in WITH_LONG_STRINGS),
        *((language, 'x = "a', '\n b"\nf("b")\ng("c", "d")\n', True) for language in WITH_LONG_STRINGS),
        *((language, 'x = "a', '\nf("it\'s")\n', False) for language in WITH_LONG_STRINGS),
        ("shellscript", "echo 'a", "\necho 'b'\nif [ \"$c\" = 'd' ]; then\n", False),
        ("shellscript", "awk '{ a", " }\n/b/ { print \"c\" }\n' d\necho 'e'\n", True),
        ("yaml", "a: ['b", "', 'c']\nd: ['e', 'f']\n", True),
        ("yaml", "a: ['b", "\nd: ['e', 'f']\n", False),
        ("csharp", 'var a = @"b', '\nf("c");\ng("d", "e");\n', False),
        ("csharp", 'var a = @"b', '\n""c"" ";\ng("d", "e");\n', True),
        ("html", '<p class="a', '\n<p class="b">\n<p class="c">\n', False),
        ("typescriptreact", 'a = <B c="d', '\n<B c="e" />\n<B c="f" />\n', False),
        ("perl", "=head1 A\n\na", "\n\n=head2 B\n\nb\n\n=cut\nf();\n", True),
        ("perl", "=head1 A\n\na", "\n\nsub b {}\n", False),
    ],
)
def test_what_a_later_line_closes_is_closed(language: str, prefix: str, suffix: str, closed: bool) -> None:  # noqa: FBT001 - a case
    assert (closed_below(prefix, suffix, language) is not None) is closed


# Behind such an opener many editors close neither the bracket nor what is opened in it.
CODE_IN_STRINGS = (
    ('"', "${", "}", "kotlin scala dart shellscript php terraform groovy"),
    ('"', "#{", "}", "ruby elixir crystal"),
    ("`", "${", "}", "javascript typescript typescriptreact"),
    ('"', "\\(", ")", "swift"),
)
# (language, document, decoded text, what is offered of it)
ENDED_BELOW = [
    ("javascript", "const q = `Dear ‸,\nit's ${a}\n`;\nrun('x');\n", " you`;\n", "you"),
    ("javascript", 'const q = `Dear ‸\n"a" don\'t\n`;\nrun(`x`);\n', " you`;\n", "you"),
    ("typescript", 'const q = `\n<a href="x">‸</a>\n`;\nrun(`x`);\n', "b</a>`;\n", "b"),
    ("javascript", "const q = `a ‸ // b\n`;\nrun();\n", " c`;\n", "c"),
    ("javascript", "const q = `a ‸\n/* b\n`;\nrun();\n", " c`;\n", "c"),
    ("javascript", "const q = `a ‸\n/ b\n`;\nrun();\n", " c`;\n", "c"),
    ("javascript", "const q = `a ‸\n<b\n`;\nrun();\n", " c`;\n", "c"),
    ("javascript", "const q = `a ‸\n${b}`;\nrun(`x`);\n", " c`;\n", "c"),
    ("javascript", "const q = `a ‸\n${b(`x`)}`;\nrun(`x`);\n", " c`;\n", "c"),
    ("javascript", "const q = `a ‸\n${b(`x`)}`;\nrun(`x`);\n", " ${d(`e`)} c`;\n", "${d(`e`)} c"),
    ("javascript", "const q = `a ‸\n`;\nrun();\n", " ${d ? `e` : ''} c`;\n", "${d ? `e` : ''} c"),
    ("javascript", "const q = `a ${‸\n  b} c`;\nrun();\n", "d} e`;\n", "d"),
    ("javascript", "const q = `a ${b.map(c =>\n  c‸\n)} c`;\nrun();\n", ".d)} e`;\n", ".d"),
    ("javascript", "const q = `a ${b.map(c =>\n  `<b>${c}‸`\n)} c`;\nrun();\n", "</b>`)} e`;\n", "</b>"),
    ("javascript", "const q = `a ${\n  ‸\n} c`;\nrun();\n", " d} e`;\n", "d"),
    ("javascript", "const q = `a ${\n  f({a: ‸\n})} c`;\nrun();\n", " d})} e`;\n", "d"),
    ("javascript", "const q = `a ${\n  b(‸\n    c)\n} c`;\nrun();\n", "d)} e`;\n", "d)"),
    ("javascript", "const q = `a ${\n  b\n  ‸\n  + c} c`;\nrun();\n", " + d} e`;\n", "+ d"),
    ("typescript", "const t = html`\n  <p>‸\n  </p>\n`;\n", "it's</p>`;\n", "it's</p>"),
    ("typescript", "const t = html`\n  <p>${a ? html`<b>‸\n  </b>` : ''}</p>\n`;\n", " c</b>` : ''}`", " c</b>"),
    ("javascript", "const t = css`\n  color: ‸;\n`;\nconst u = css`\n a: b;\n`;\n", " red;\n`;", "red"),
    ("javascript", "const t = css`\n  color: ‸\n`;\nconst u = css`\n a: b;\n`;\n", " red;`;", "red;"),
    ("javascript", "const t = `\n  a ‸\nconst u = `b`;\nconst v = `c`;\n", " b`;\n", "b`;"),
    ("javascript", 'const t = `\n  a ‸\n\nfunction f() { return "it\'s"; }\n', " b`;\n", "b`;"),
    ("kotlin", 'val s = """\n  a ‸\n  "b" don\'t ${c}\n"""\nval t = "x"\n', ' d"""\n', "d"),
    ("kotlin", 'val s = """\n  a ${b(‸\n  )}\n"""\n', 'c)}\n"""\n', "c"),
    ("kotlin", 'val s = """\n  a ${‸\n    b}\n"""\n', 'c}\n"""\n', "c"),
    ("scala", 'val s = s"""\n  a ${‸\n    b}\n"""\n', 'c} d"""\n', "c"),
    ("scala", 'val s = s"""\n  a ‸\n    ${b("""x""")}\n"""\n', ' d"""\n', "d"),
    ("python", 's = f"""\n  a ‸\n  {b["c"]} it\'s\n"""\nx = 1\n', ' d"""\n', "d"),
    ("python", 's = f"""\n  a {‸\n  b}\n"""\nx = 1\n', 'd} e"""\n', "d"),
    ("python", 's = """\n  a ‸\n  """ + f("""\n b""")\nx = 1\n', ' d"""\n', "d"),
    ("python", "def f():\n    \"\"\"Says ‸\n    '''b'''\n    \"\"\"\n", ' d"""\n', "d"),
    ("python", 'def f():\n    """Says ‸\n    # it\'s\n    """\n    x = """a"""\n', ' d"""\n', "d"),
    ("python", 'def f():\n    r"""Says ‸\n    \\d\n    """\n    x = """a"""\n', ' d"""\n', "d"),
    ("java", 'String s = """\n  a ‸\n  "b" it\'s\n  """;\nint x;\n', ' d""";\n', "d"),
    ("java", 'String s = """\n  a ‸\n  """.formatted("b", """\n c""");\nint x;\n', ' d""";\n', "d"),
    ("csharp", 'var s = $"""\n  a ‸ {b}\n  """;\nint x;\n', ' d""";\n', "d"),
    ("csharp", 'var s = $"""\n  a {‸\n  b}\n  """;\nint x;\n', 'd} e""";\n', "d"),
    ("swift", 'let s = """\n  a \\(‸\n  b)\n  """\nlet x = 1\n', 'd) e"""\n', "d"),
    ("swift", 'let s = """\n  a ‸\n  \\(b("c"))\n  """\nlet x = 1\n', ' e"""\n', "e"),
    ("dart", "var s = '''\n  a ‸\n  ${b['c']}\n''';\nvar x = 'it';\n", " e''';\n", "e"),
    ("dart", "var s = '''\n  a ${‸\n  b}\n''';\nvar x = 'it';\n", "c} e''';\n", "c"),
    ("groovy", 'def s = """\n  a ‸\n  ${b("c")}\n"""\ndef x = 1\n', ' e"""\n', "e"),
    ("groovy", 'def s = """\n  a ${‸\n  b}\n"""\ndef x = 1\n', 'c} e"""\n', "c"),
    ("ruby", "s = <<~SQL\n  SELECT ‸\n  #{b}\nSQL\nx = 1\n", " a\nSQL\n", "a"),
    ("ruby", 's = "a #{‸\n  b} c"\nx = 1\n', 'd} e"\n', "d"),
    ("ruby", "s = %w[a ‸\n  b]\nx = 1\n", " c]\n", "c"),
    ("ruby", "s = %q(a ‸\n  b)\nx = 1\n", " c)\n", "c"),
    ("php", "<?php\n$s = <<<EOT\n a ‸\n it's\nEOT;\n$x = 1;\n", " b\nEOT;\n", "b"),
    ("perl", 'my $s = "a ‸\nit\'s";\nmy $x = 1;\n', ' b";\n', "b"),
    ("perl", "my $s = q{a ‸\nb};\nmy $x = 1;\n", " c};\n", "c"),
    ("shellscript", 's="a ‸\nit\'s ${b}"\nx=1\n', ' b"\n', "b"),
    ("shellscript", 's="a $(b ‸\n  c) d"\nx=1\n', ' -x) e"\n', "-x"),
    ("shellscript", "awk '\n{ print ‸ }\nEND { x }\n' f\n", " $1 }' f\n", "$1"),
    ("shellscript", "awk '\n{ print ‸\n}\nEND { x }\n' f\n", " $1 }' f\n", "$1"),
    ("elixir", 's = """\n  a ‸\n  #{b("c")}\n"""\nx = 1\n', ' e"""\n', "e"),
    ("elixir", "s = ~s(a ‸\n  b)\nx = 1\n", " e)\n", "e"),
    ("julia", 's = """\n  a ‸\n  $(b("c")) it\'s\n"""\nx = 1\n', ' e"""\n', "e"),
    ("rust", 'let s = "a ‸\n it\'s \\"b\\"";\nlet x = 1;\n', ' c";\n', "c"),
    ("go", "s := `a ‸\nit's \"b`\nx := 1\n", " c`\n", "c"),
    ("lua", "s = [[a ‸\nit's \"b]]\nx = 1\n", " c]]\n", "c"),
    ("sql", "SELECT 'a ‸\n\"b' FROM c;\n", " c'\n", "c"),
    ("sql", "SELECT 'a ‸\nit''s' FROM c;\n", " c'\n", "c"),
    ("postgres", "CREATE FUNCTION f() AS $$\nBEGIN ‸\nEND\n$$ LANGUAGE sql;\n", " x; END $$\n", "x; END"),
    ("toml", "a = '''\nx ‸\nit's\n'''\n", " y'''\n", "y"),
    ("yaml", 'a: "x ‸\n  it\'s"\nb: 1\n', ' y"\n', "y"),
    ("nix", "a = ''\n x ‸\n ${b}\n'';\n", " y'';\n", "y"),
    ("xml", "<a><![CDATA[ x ‸\n]]></a>\n", " y ]]></a>\n", "y"),
    ("xml", "<a><![CDATA[ x ‸\n y <b>\n]]></a>\n", " y ]]></a>\n", "y"),
    ("xml", "<a><![CDATA[ x ‸]]></a>\n", " y ]]></a>\n", "y"),
    ("html", "<svg><![CDATA[ x ‸\n]]></svg>\n", " y ]]></svg>\n", "y"),
    ("xml", "<?xml version=‸\n?>\n", ' "1.0"?>\n', ' "1.0"'),
    ("xml", "<!-- a ‸\n <b/>\n-->\n<c/>\n", " y -->\n", "y"),
    ("xml", '<a b="c ‸\n d">\n', ' e">\n', "e"),
    ("html", '<a b="c ‸\n d">\n', ' e">\n', "e"),
    ("html", "<a b='c ‸\n d'>it's</a>\n", " e'>\n", "e"),
    ("html", "<script>\nconst a = `b ‸\n it's`;\n</script>\n", " c`;\n", "c"),
    ("html", "<script>\nconst a = `b ${‸\n c}`;\n</script>\n", "d} e`;\n", "d"),
    ("html", "<style>\n/* a ‸\n*/\n.b { c: 'd' }\n</style>\n", " it */\n", "it"),
    ("vue", "<template>\n<!-- a ‸\n-->\n</template>\n", " it -->\n", "it"),
    ("svelte", "<!-- a ‸\n-->\n<p>\n", " it -->\n", "it"),
    ("markdown", "<!-- a ‸\n-->\nb\n", " it -->\n", "it"),
    ("jinja-html", "<!-- a ‸\n-->\n<p>\n", " it -->\n", "it"),
    ("jinja-html", "{# a ‸\n#}\n<p>\n", " it #}\n", "it"),
    ("erb", "<!-- a ‸\n-->\n<p>\n", " it -->\n", "it"),
    ("erb", "<%# a ‸\n%>\n<p>\n", " it %>\n", "it"),
    ("javascriptreact", "return <p>\n  {/* a ‸\n  */}\n</p>;\n", " b */}\n", "b"),
    ("javascriptreact", "return <p a={`b ‸\n c`} />;\n", " d`} />\n", "d"),
    ("javascriptreact", 'return <p a="b ‸\n  c">it\'s</p>;\n', ' d">e</p>\n', "d"),
    ("typescriptreact", 'return <p a="b ‸\n  c">it\'s</p>;\n', ' d">e</p>\n', "d"),
    ("typescriptreact", "return <p a='b ‸\n  c' d=\"e\" />;\n", " f' />\n", "f"),
    ("typescriptreact", 'return <p a="‸\n', 'b" c="d">\n', 'b" c="d">'),
    ("typescriptreact", "return <p>‸</p>;\n", "it's</p>;\n", "it's"),
    ("typescriptreact", "return <p>a {b} ‸</p>;\n", " it</p>;\n", "it"),
    ("typescriptreact", "return (\n  <p>\n    <a>‸</a>\n", "it</p>\n", "it"),
    ("html", "<p><b>‸</b></p>\n", "it</p>\n", "it"),
    ("typescriptreact", "return <p>{a && ‸}</p>;\n", " <b>c</b>}</p>", "<b>c</b>"),
    ("typescriptreact", "return <p>{a ? ‸ : null}</p>;\n", " <b>c</b> : null}</p>", "<b>c</b>"),
    ("typescriptreact", "const [a] = useState<‸>(<b/>);\n", "string>(null);", "string"),
    ("html", "<p>‸</p>\n", "it's what's there</p>\n", "it's what's there"),
    *((language, "return (‸);\n", "<p>it's here</p>);\n", "<p>it's here</p>") for language in WITH_ELEMENTS),
    *((language, "const a = [‸];\n", "<p>it's</p>, <b/>];\n", "<p>it's</p>, <b/>") for language in WITH_ELEMENTS),
    *((language, "return <A b={‸} />;\n", "<p>we're</p>} />;\n", "<p>we're</p>") for language in WITH_ELEMENTS),
    *((language, '<R p="/" e={‸} />;\n', "<Home />} />;\n", "<Home />") for language in WITH_ELEMENTS),
    *((language, '<R p="/" e={<H‸} />;\n', "ome />} />;\n", "ome />") for language in WITH_ELEMENTS),
    *((language, "<A b={c.map(d => ‸)} />;\n", "<E f={d} />)} />;\n", "<E f={d} />") for language in WITH_ELEMENTS),
    *(
        (language, "<A b={‸}>c</A>;\n", "d > 1 ? 'e' : 'f'}>c</A>;\n", "d > 1 ? 'e' : 'f'")
        for language in WITH_ELEMENTS
    ),
    *((language, '<A b="‸" />;\n', 'c > d" />;\n', "c > d") for language in WITH_ELEMENTS),
    ("html", "<div>‸</div>\n", "<a href='b'>it's here</a></div>\n", "<a href='b'>it's here</a>"),
    *((language, "  <p a‸\n);\nconst b = c > d;\n", "={b} />\n", "={b} />") for language in WITH_ELEMENTS),
    *((language, "<C>‸</C>\n", "<CA>b</CA></C>\n", "<CA>b</CA>") for language in WITH_TAGS),
    *((language, "  <p‸\n  <p>c</p>\n", ' a="b">c</p>\n', ' a="b">c</p>') for language in WITH_TAGS),
    *((language, "<b>\n  <b a=‸\n</b>\n", '"c">d</b>\n', '"c">d</b>') for language in WITH_TAGS),
    *((language, "<b>\n  <b‸>\n</b>\n", ' a="c">d</b>\n', ' a="c"') for language in WITH_TAGS),
    *((language, "<b>\n  <‸\n</b>\n", 'b a="c">d</b>\n', 'b a="c">d</b>') for language in WITH_TAGS),
    ("vue", '<a v-if="‸">b</a>\n', 'c > d">b</a>\n', "c > d"),
    ("vue", '<a v-if="c > ‸">b</a>\n', 'd && e > f">b</a>\n', "d && e > f"),
    ("svelte", "<a b={‸} />\n", "c > d} />\n", "c > d"),
    ("html", "<p><b>‸\n", "it</b></p>\n", "it</b></p>"),
    ("javascriptreact", "return <p a={`b ${‸\n c}`} />;\n", "d} e`} />\n", "d"),
    ("kotlin", "/* a ‸\n /* b */ c\n*/\nval x = 1\n", " d */\n", "d"),
    ("kotlin", "/* a /* b ‸\n */ c\n*/\nval x = 1\n", " d */ e */\n", "d"),
    ("rust", "/* a ‸\n /* b */ c\n*/\nlet x = 1;\n", " d */\n", "d"),
    ("swift", "/* a ‸\n /* b */ c\n*/\nlet x = 1\n", " d */\n", "d"),
    ("java", "/* a ‸\nint y;\n/* b */\nint x;\n", " d */\n", "d */"),
    ("c", '/* a ‸\n * b \'c \n */\nchar *x = "/*";\n', " d */\n", "d"),
    ("css", '.a { content: "b ‸\n}\n.c { d: "e"; }\n', ' f";\n', 'f";'),
    ("haskell", "{- a ‸\n {- b -} c\n-}\nx = 1\n", " d -}\n", "d"),
    ("ocaml", "(* a ‸\n (* b *) c\n*)\nlet x = 1\n", " d *)\n", "d"),
    ("commonlisp", '(defun f () "a ‸\n b" (g "c"))\n', ' d"\n', "d"),
    ("clojure", '(defn f "a ‸\n it\'s b" [] 1)\n', ' d"\n', "d"),
    ("coffeescript", 's = """\n a ‸\n #{b}\n"""\n', ' d"""\n', "d"),
    ("powershell", '$s = @"\n a ‸\n it\'s\n"@\n$x = 1\n', ' d\n"@\n', "d"),
    ("powershell", '$s = "a $(‸\n b) c"\n$x = 1\n', 'd) e"\n', "d"),
    ("terraform", "a = <<EOT\n b ‸\n ${c}\nEOT\n", " d\nEOT\n", "d"),
    ("dockerfile", 'RUN echo "a ‸\n b"\n', ' c"\n', 'c"'),
    ("cpp", 'auto s = R"(a ‸\n "b" )";\nint x;\n', ' c)";\n', "c"),
    ("ocaml", 'let s = "a ‸\n b" in f "c"\n', ' d" in\n', "d"),
    ("fsharp", 'let s = """a ‸\n b"""\nlet x = \'c\'\n', ' d"""\n', "d"),
    ("graphql", '"""\nA ‸\n"""\ntype B { c: D }\n', ' thing"""\n', "thing"),
    ("v", "s := 'a ‸\n b'\nx := 1\n", " c'\n", "c'"),
    ("crystal", 's = "a ‸\n b"\nx = 1\n', ' c"\n', "c"),
    ("r", 's <- "a ‸\n it\'s"\nx <- 1\n', ' c"\n', "c"),
    ("latex", "\\begin{verbatim}\na ‸\n\\end{verbatim}\n", " b\n\\end{verbatim}\n", "b"),
    ("latex", "\\begin{itemize}\n\\item a ‸\n\\end{itemize}\n", " b\n\\end{itemize}\n", "b"),
    ("erb", "<% if a ‸\n%>\n<p>\n", " && b %>\n", "&& b"),
    ("ejs", "<p><%= ‸ %></p>\n", " name %> and more\n", "name"),
    ("jinja-html", "<p>{{ ‸ }}</p>\n", " name }}!\n", "name"),
    ("jinja-html", "{% if ‸ %}\n", " a %}\n", "a"),
    ("jinja-html", "{{ f(\n  a‸\n) }}\n", ", b) }}\n", ", b"),
    ("vue", "<p>{{ ‸ }}</p>\n", " name }} b</p>\n", "name"),
    ("php", "<p><?= ‸ ?></p>\n", " $name ?> b</p>\n", "$name"),
    ("php", "<?php\n$a = ‸;\n?>\n<p>\n", " 1;\n?>\n", "1"),
    ("php", "<?php\n$a = 1;\n‸\n?>\n<p>\n", "\n?>\n", ""),
    ("html-eex", "<p><%= ‸ %></p>\n", " name %> b\n", "name"),
    ("blade", "<p>{{ ‸ }}</p>\n", " $name }} b\n", "$name"),
    ("handlebars", "<p>{{ ‸ }}</p>\n", " name }} b\n", "name"),
    ("handlebars", "{{#if ‸}}\n", " name}} b\n", "name"),
    ("svelte", "<p a={‸}>\n", " b}>\n", " b"),
    ("svelte", "{#if ‸}\n", " name} b\n", "name"),
    ("twig", "{% for ‸ %}\n", " a in b %} c\n", "a in b"),
    ("html", "<p a='‸'>\n", "b'> c\n", "b"),
    ("dart", "var s = '''\n  a ‸\n  ${b}\n''';\n", " c'''; d\n", "c"),
    ("python", 'def f():\n    """Says ‸\n    x = 1\n', ' "a; b."""\n', '"a; b."""'),
]


ENDED_BEHIND = [
    *(
        (language, f"f({quote}a {opener}b‸{quote})\n", f".c{closer} d{quote}, e)\n", f".c{closer} d")
        for quote, opener, closer, languages in CODE_IN_STRINGS
        for language in languages.split()
    ),
    *(
        (language, f"f({quote}a {opener}b(‸{quote})\n", f"c[0]){closer} d{quote}, e)\n", f"c[0]){closer} d")
        for quote, opener, closer, languages in CODE_IN_STRINGS
        for language in languages.split()
    ),
    ("python", 'f(f"{a[\'‸")\n', "b']} c\", d)\n", "b']} c"),
    ("python", 'f(f"{‸}")\n', 'a}", b)\n', "a"),
    ("python", 'f(f"{a‸")\n', "b", "b"),
    ("shellscript", 'echo "$(a‸"\n', ' b) c"\n', " b) c"),
    ("yaml", 'a: "${{ b‸"\n', '.c }} d"\n', ".c }} d"),
    ("kotlin", 'f("a ${b‸\n}\n', '.c} d", e)\n', '.c} d", e)'),
    ("csharp", 'f($"a {b‸");\n', '.c} d", e);\n', ".c} d"),
    ("python", 'f(f"a {b‸")\n', '.c} d", e)\n', ".c} d"),
]


@pytest.mark.parametrize(("language", "document", "decoded", "expected"), ENDED_BELOW + ENDED_BEHIND)
def test_what_ends_behind_the_cursor_is_not_ended_at_it(
    language: str, document: str, decoded: str, expected: str
) -> None:
    before, _, after = document.partition(CURSOR)
    prompt = build_prompt(before, after)
    decoded = prompt.typed + decoded if prompt.typed.strip() else decoded
    shape = shape_at(before, after, prompt, single_line=None, language_id=language)
    complete = [decoded[:end] for end in range(len(decoded) + 1) if is_complete(decoded[:end], shape)]

    assert decoded[suggestion(decoded, shape)] == expected
    assert {text[suggestion(text, shape)] for text in complete} <= {expected}
