import pytest

from engine.energy.power_limits import TABLE, cpu_power_limit_w


@pytest.mark.parametrize(
    ("name", "power_w"),
    [
        ("AMD Ryzen 7 5800X 8-Core Processor", 105.0),
        ("AMD Ryzen 7 7840U w/ Radeon  780M Graphics", 28.0),
        ("AMD EPYC 9124 16-Core Processor", 200.0),
        ("Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", 15.0),
        ("Intel(R) Core(TM) Ultra 7 155H", 28.0),
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 300.0),
        ("Apple M2", 22.0),
    ],
)
def test_a_cpu_is_known_by_the_name_that_systems_tell(name: str, power_w: float) -> None:
    assert cpu_power_limit_w(name) == power_w


@pytest.mark.parametrize("name", ["", "AMD EPYC", "Intel64 Family 6 Model 142 Stepping 10, GenuineIntel"])
def test_of_another_nothing_is_known(name: str) -> None:
    assert cpu_power_limit_w(name) is None


def test_the_table_names_source_and_licence() -> None:
    head = "".join(line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#"))

    assert "CodeCarbon" in head
    assert "MIT" in head
