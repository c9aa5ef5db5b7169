"""Grams of CO2 equivalents of a joule, by country: a table that ships with us, or a figure of the user's own.

Nobody is looked up by address: the country is the one that the user names, or there is no figure.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError
from engine.sentences import Sentence

TABLE = Path(__file__).with_name("carbon_intensity.csv")
J_PER_KWH = 3.6e6
_SOURCE = Sentence("Our World in Data (CC BY 4.0) from Ember and the Energy Institute")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonIntensity:
    """What a kilowatt hour of electricity has emitted.

    Attributes:
        g_per_kwh: Grams of CO2 equivalents, over the power plants' life cycle.
        source: Whose figure it is, with its year and licence, for people.
    """

    g_per_kwh: float
    source: str

    def grams(self, energy_j: float) -> float:
        """Grams of CO2 equivalents of some joules."""
        return energy_j / J_PER_KWH * self.g_per_kwh


def carbon_intensity(country: str) -> CarbonIntensity:
    """A country's mean, by its ISO 3166 code of three letters, such as "FRA", or its English name.

    Raises:
        ConfigError: The table does not know it.
    """
    asked = country.strip().casefold()
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = next((row for row in rows if asked in {row["country"].casefold(), row["name"].casefold()}), None)
    if found is None:
        raise ConfigError(
            Sentence(
                "There is no carbon intensity of '{country}'; name the country by its ISO code of three letters, such "
                "as FRA, or give grams of CO2 per kWh yourself.",
                country=country,
            )
        )
    return CarbonIntensity(
        g_per_kwh=float(found["g_per_kwh"]),
        source=Sentence("mean of {name} in {year}, {source}", name=found["name"], year=found["year"], source=_SOURCE),
    )


def own_intensity(g_per_kwh: float) -> CarbonIntensity:
    """A figure that the user gives.

    Raises:
        ConfigError: It is negative, or no number.
    """
    if not 0 <= g_per_kwh < float("inf"):
        raise ConfigError(f"Grams of CO2 per kWh are a number from 0 on, not {g_per_kwh:g}.")
    return CarbonIntensity(g_per_kwh=g_per_kwh, source="your own figure")
