import pytest

from engine.completion.acceptance import (
    ACCEPTANCE,
    AcceptanceModel,
    PlaceKind,
    place_features,
    place_kind,
)
from engine.errors import ConfigError
from engine.outlook import Outlook


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("", PlaceKind.LINE_START),
        ("def f():\n    ", PlaceKind.LINE_START),
        ("x = ", PlaceKind.WORD_START),
        ("print(", PlaceKind.WORD_START),
        ("self.", PlaceKind.WORD_START),
        ("retu", PlaceKind.IN_WORD),
        ("größe", PlaceKind.IN_WORD),
        ("f(x)", PlaceKind.OTHER),
    ],
)
def test_the_kind_of_a_place(prefix: str, kind: PlaceKind) -> None:
    assert place_kind(prefix) is kind


def test_the_signs_are_the_same_names_everywhere_and_of_the_order_of_one() -> None:
    places = ["", "\n", "import os\n\n", "# a comment", "x = [" + "1, " * 2000, "self.name", "if x:\n\t\t"]
    signs = [place_features(prefix) for prefix in places]

    assert len({tuple(sign) for sign in signs}) == 1
    assert all(0 <= value <= 1.1 for sign in signs for value in sign.values())


def test_what_repeats_the_file_matches() -> None:
    repeated = "self.assertEqual(first, 1)\nself.assertEqual("

    assert place_features(repeated)["match"] > 2 * place_features("one two three\nfour zzz")["match"]


def test_the_shipped_model_knows_the_signs_and_tells_places_apart() -> None:
    shipped = ACCEPTANCE.load(ACCEPTANCE.packaged)

    assert set(shipped.coefficients) == set(place_features("", Outlook()))
    assert 0.05 < shipped.mean < 0.7
    within_what_repeats = "    self.assertEqual(first, 1)\n    self.assertEqual(fir"
    new_word = "    self.assertEqual(first, 1)\n    q"
    assert shipped.chance(within_what_repeats) > 1.25 * shipped.chance(new_word)
    assert shipped.chance(new_word) > 1.5 * shipped.chance("    total = count(self)")


def test_the_shipped_model_listens_to_the_project() -> None:
    shipped, place = ACCEPTANCE.load(ACCEPTANCE.packaged), "    total = count(items"

    ends, unsure, sure = (
        shipped.chance(place, Outlook(text=text, chance=chance))
        for text, chance in (("\n", 0.5), (" for", 0.1), (" for", 0.7))
    )

    assert ends < 0.6 * unsure
    assert unsure < sure
    assert ends < shipped.chance(place)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("\n    ", "project ends the line"),
        (" \n", "project ends the line"),
        (" ünder", "project has a word"),
        ("(", "project has a sign"),
        ("", None),
    ],
)
def test_what_the_project_says_is_of_one_kind(text: str, sign: str | None) -> None:
    signs = place_features("x = y", Outlook(text=text, chance=0.3))

    kinds = ("project ends the line", "project has a word", "project has a sign")
    assert [kind for kind in kinds if signs[kind]] == ([sign] if sign else [])
    assert signs["project's chance"] == 0.3


def test_it_is_written_and_read_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("acceptance") / "new" / "acceptance.json"
    fitted = AcceptanceModel(
        intercept=-1.0, coefficients={"after a dot": 2.0}, mean=0.2, model="m", n_places=3, corpus_sha256="", created=""
    )

    ACCEPTANCE.save(fitted, path)

    assert ACCEPTANCE.load(path) == fitted
    assert fitted.chance("x.") == pytest.approx(0.731, abs=1e-3)


def test_where_there_is_no_project_one_number_stands_for_its_signs() -> None:
    fitted = AcceptanceModel(
        intercept=0.0,
        coefficients={"project ends the line": -3.0},
        no_outlook=-1.0,
        mean=0.2,
        model="m",
        n_places=3,
        corpus_sha256="",
        created="",
    )

    assert fitted.chance("x", Outlook(text="y", chance=0.1)) == 0.5
    assert fitted.chance("x") == pytest.approx(0.269, abs=1e-3)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"intercept": "a"}'])
def test_what_cannot_be_read_is_said(content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("acceptance") / "acceptance.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match="cannot be read"):
        ACCEPTANCE.load(path)
