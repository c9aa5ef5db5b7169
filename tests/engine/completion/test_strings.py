"""Quotes of many languages: escaped ones, raw strings, heredocs, characters, names and regular expressions."""

import pytest

from engine.completion.lexical import enclosure_at, part_at

SCRIPTS = ("javascript", "typescript", "javascriptreact", "typescriptreact")
WITH_BACKSLASHES = (
    "awk c clojure coffeescript commonlisp cpp crystal csharp css d dart elixir elm erlang fish fsharp go groovy "
    "haskell java javascript javascriptreact julia kotlin lua nim objective-c ocaml perl python r racket ruby rust "
    "scala scheme scss shellscript solidity swift terraform toml typescript typescriptreact zig"
)
WITH_APOSTROPHES = "coffeescript dart groovy javascript lua perl python r ruby typescript"

# (language, text that ends behind a string or a name)
CLOSED = [
    ("shellscript", "echo $'a\\'b' "),
    ("shellscript", "echo 'a\\' "),
    ("shellscript", "echo \"$(echo 'it')\" "),
    ("shellscript", "echo it\\'s "),
    ("shellscript", "cat <<A <<B\nit's\nA\nit's\nB\nx "),
    ("shellscript", 'cat <<"E F"\nit\'s\nE F\nx '),
    ("shellscript", "cat <<EOF\nnot EOF it's\nEOF\nx "),
    ("shellscript", "cat <<-EOF\n\tit's\n\tEOF\nx "),
    ("shellscript", "x=$(cat <<EOF\nit's\nEOF\n)\ny "),
    ("ruby", "x = <<~A + <<~B\n it's\nA\n it's\nB\ny = "),
    ("ruby", "foo(<<~SQL, 'a')\n it's\nSQL\ny = "),
    ("perl", "print <<A, <<B;\nit's\nA\nit's\nB\n$x = "),
    ("php", "<?php\n$x = <<<EOT\n  it's\n  EOT . f("),
    ("terraform", "a = <<-EOT\n not EOT it's\n EOT\nb = "),
    ("swift", 'let s = #"b"c"# + '),
    ("swift", 'let s = ##"b"#c"## + '),
    ("swift", 'let s = #"""\n "b" \n"""# + '),
    ("kotlin", 'val s = """"b"""" + '),
    ("kotlin", 'val s = """a"b"""" + '),
    ("scala", 'val s = """"b"""" + '),
    ("csharp", 'var s = """"a"""b"""" + '),
    ("csharp", 'var s = @"a ""b"" c" + '),
    ("rust", 'let s = r#"a"b"# + '),
    ("cpp", 'auto s = LR"x(a"b)x" + f('),
    ("python", "x = f\"{a['b']}\" + "),
    ("dart", "var s = r'a\\' + "),
    ("lua", "x = [==[it's]]]==] .. "),
    ("sql", "SELECT `it's` FROM "),
    ("sql", "SELECT [it's] FROM "),
    ("sql", 'SELECT "it\'s" FROM '),
    ("sql", "SELECT ARRAY['a', "),
    ("postgres", "SELECT 'a'::text, E'it\\'s' FROM "),
    ("mysql", "SELECT `it's` FROM "),
    ("kotlin", "fun `it's a test`() = "),
    ("scala", "val `it's` = "),
    ("fsharp", "let ``it's`` () = "),
    ("r", "`it's` <- "),
    *((language, "x = '\"' + ") for language in ("c", "elm", "go", "haskell", "java", "kotlin", "rust", "zig")),
    *((language, "x = '\\'' + ") for language in ("c", "csharp", "go", "haskell", "java", "kotlin", "ocaml", "rust")),
    *((language, "if (x) { g() } /it's/.test(y); h(") for language in SCRIPTS),
    *((language, "f(() => { g() }); if (x) { g() }\n/it's/.test(y) && h(") for language in SCRIPTS),
    *((language, "const {a} = b; /'/.test(`${c}/'`); h(") for language in SCRIPTS),
    *((language, "return <p a={b}>{c} / {d} it's</p>; f(") for language in SCRIPTS[2:]),
]
# (language, text that ends in a string, what ends that)
OPEN = [
    ("shellscript", "echo $'a\\'b", "'"),
    ("shellscript", "cat <<A <<B\nit's\nA\nb", "B"),
    ("shellscript", "cat <<'E F'\nit's", "E F"),
    ("shellscript", "cat <<EOF\nnot EOF it's", "EOF"),
    ("ruby", "x = <<~A + <<~B\n it's\nA\n it's", "B"),
    ("perl", "print <<A, <<B;\nit's\nA\nit's", "B"),
    ("swift", 'let s = #"b"c', '"#'),
    ("swift", 'let s = #"""\n b"""\n"c', '"""#'),
    ("kotlin", 'val s = """"b', '"""'),
    ("csharp", 'var s = """"b """ c', '"""'),
    ("php", "<?php\n$x = <<<EOT\n  a\n  EOT . '", "'"),
    ("elixir", '@doc """\n  A.\n\n  ## B\n\n      iex> c = ', '"""'),
    ("elixir", 'x = ~S"""\n  it\'s "a"\n  b', '"""'),
    ("kotlin", 'f("$', ""),
    ("shellscript", 'echo "a $', '"'),
    ("javascript", "a = {b: `${c}/${d}`}; e = (f + g) / 2; h = 'i", ""),
    ("typescriptreact", "return <p a={{b: 'c'}} d='e", "'"),
]


@pytest.mark.parametrize(("language", "text"), CLOSED)
def test_what_is_closed_is_left(language: str, text: str) -> None:
    assert part_at(text, language) == "code"


@pytest.mark.parametrize(("language", "text", "closer"), OPEN)
def test_what_is_open_is_known_by_what_ends_it(language: str, text: str, closer: str) -> None:
    enclosure = enclosure_at(text, language)

    assert (enclosure.part, enclosure.closer) == ("string", closer)


@pytest.mark.parametrize(
    ("language", "quote"),
    [
        *((language, '"') for language in WITH_BACKSLASHES.split()),
        *((language, "'") for language in WITH_APOSTROPHES.split()),
    ],
)
def test_a_quote_behind_a_backslash_ends_no_string(language: str, quote: str) -> None:
    string = f"{'key' if language == 'toml' else 'x'} = {quote}a\\{quote}b"

    assert part_at(string, language) == "string"
    assert part_at(f"{string}{quote} + ", language) == "code"
    assert part_at(f"x = {quote}a\\\\{quote} + ", language) == "code"
