import pytest

from engine.errors import ConfigError, PolicyError
from engine.policy.baselines import FixedExit
from engine.policy.operating_point import operating_point, policy_for
from tests.engine.policy.tiny_policy import tiny_policy

EXITS = (6, 12, 18, 24)


def test_only_green_mode_zero_is_lossless() -> None:
    assert [operating_point(mode).lossless for mode in (0, 1, 50, 100)] == [True, False, False, False]


def test_full_depth_by_name_is_lossless_whatever_the_slider_says() -> None:
    assert operating_point(50, spec="full-depth").lossless
    assert not operating_point(50, spec="fixed:24").lossless


def test_the_energy_weight_is_the_slider() -> None:
    assert [operating_point(mode).energy_weight for mode in (0, 25, 100)] == [0.0, 0.25, 1.0]


def test_green_mode_zero_is_full_depth_whatever_was_learned() -> None:
    assert policy_for(None, 0, EXITS, 30).name == policy_for(None, 0, EXITS, 30, tiny_policy()).name == "full-depth"


def test_above_zero_the_learned_policy_decides_with_the_weight_that_its_slider_says() -> None:
    learned = tiny_policy()

    assert policy_for(None, 1, EXITS, 30, learned) is policy_for("learned", 0, EXITS, 30, learned) is learned
    assert operating_point(50, learned).energy_weight == learned.energy_weight(50)


@pytest.mark.parametrize("green_mode", [-1, 101])
def test_a_slider_outside_its_range_is_refused(green_mode: int) -> None:
    with pytest.raises(ConfigError, match="between 0 and 100"):
        operating_point(green_mode)


def test_a_greener_mode_never_goes_deeper() -> None:
    policies = [policy_for(None, mode, (18, 21, 24, 27), 30) for mode in range(1, 101)]
    layers = [policy.exit_layer for policy in policies if isinstance(policy, FixedExit)]

    assert (layers[0], layers[49], layers[99]) == (30, 27, 21)
    assert layers == sorted(layers, reverse=True)


@pytest.mark.parametrize("spec", ["full-depth", "fixed:24", "fixed:30", "confidence:0.8"])
def test_a_policy_is_found_by_its_name(spec: str) -> None:
    assert policy_for(spec, 0, EXITS, 30).name == spec


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("fixed:7", "its exits are after layers 6, 12, 18, 24, 30"),
        ("fixed:", "names no exit"),
        ("fixed:-6", "names no exit"),
        ("confidence:2", "between 0 and 1"),
        ("confidence:much", "between 0 and 1"),
        ("confidence:nan", "between 0 and 1"),
        ("greedy", "choose full-depth, fixed:LAYER, confidence:P or learned"),
        ("", "is unknown"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        policy_for(spec, 0, EXITS, 30)


def test_a_learned_policy_that_is_not_there_is_refused() -> None:
    with pytest.raises(PolicyError, match="no learned policy"):
        policy_for("learned", 0, EXITS, 30)
