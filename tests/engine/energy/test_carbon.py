import pytest

from engine.energy.carbon import TABLE, carbon_intensity, own_intensity
from engine.errors import ConfigError


@pytest.mark.parametrize("name", ["FRA", "fra", " France "])
def test_a_country_is_known_by_its_code_and_its_name(name: str) -> None:
    intensity = carbon_intensity(name)

    assert 20 < intensity.g_per_kwh < 100
    assert "France in 2023" in intensity.source
    assert "CC BY 4.0" in intensity.source


def test_a_kilowatt_hour_emits_its_intensity() -> None:
    assert own_intensity(381.0).grams(3.6e6) == 381.0
    assert own_intensity(381.0).source == "your own figure"


def test_an_unknown_country_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"^There is no carbon intensity of 'Atlantis'; name the country by"):
        carbon_intensity("Atlantis")


@pytest.mark.parametrize("g_per_kwh", [-1.0, float("nan"), float("inf")])
def test_grams_that_mean_nothing_are_refused(g_per_kwh: float) -> None:
    with pytest.raises(ConfigError, match="are a number from 0 on"):
        own_intensity(g_per_kwh)


def test_the_table_names_source_and_licence() -> None:
    head = "".join(line for line in TABLE.read_text(encoding="utf-8").splitlines(keepends=True) if line.startswith("#"))

    assert "Our World in Data" in head
    assert "CC BY 4.0" in head
