from engine.completion.fim import FORMATS
from engine.model.families import FAMILIES


def test_every_family_says_what_its_models_are_and_under_what_licence() -> None:
    assert all(family.title and family.models and family.licence for family in FAMILIES.values())


def test_the_formats_of_families_are_those_of_the_table() -> None:
    assert {name for family in FAMILIES.values() for name in family.formats} <= {each.name for each in FORMATS}


def test_all_but_opt_have_a_fast_runner() -> None:
    assert [family.name for family in FAMILIES.values() if not family.runtimes] == ["opt"]
