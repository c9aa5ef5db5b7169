import pytest

from engine.completion.fim import FORMATS
from engine.model.families import FAMILIES
from engine.model.sizes import sizes_of
from tests.tiny_models import tiny_model


def test_every_family_says_what_its_models_are_and_under_what_licence() -> None:
    assert all(family.title and family.models and family.licence for family in FAMILIES.values())


def test_the_formats_of_families_are_those_of_the_table() -> None:
    assert {name for family in FAMILIES.values() for name in family.formats} <= {each.name for each in FORMATS}


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"opt"}))
def test_the_sizes_of_a_configuration_are_those_of_the_model(family: str) -> None:
    model = tiny_model(family, 0, hidden_size=64)

    sizes = sizes_of(model.config.to_dict())

    assert sizes is not None
    products = [parameter.numel() for name, parameter in model.named_parameters() if parameter.ndim > 1]
    assert sizes.n_params == sum(products)


def test_a_configuration_that_leaves_sizes_out_tells_none() -> None:
    assert sizes_of({"model_type": "llama"}) is None
