import pytest

from engine.errors import ConfigError, PolicyError
from engine.policy.baselines import FixedExit
from engine.policy.operating_point import plan_for
from tests.engine.policy.tiny_policy import tiny_policy

LAYERS = (6, 12, 18, 24, 30)


def test_only_green_mode_zero_is_lossless_and_takes_every_core() -> None:
    plans = [plan_for(mode, None, LAYERS) for mode in (0, 1, 50, 100)]

    assert [plan.point.lossless for plan in plans] == [True, False, False, False]
    assert [plan.all_cores for plan in plans] == [True, False, False, False]


def test_full_depth_by_name_is_lossless_wherever_the_slider_stands() -> None:
    assert plan_for(50, "full-depth", LAYERS).point.lossless
    assert not plan_for(50, "fixed:24", LAYERS).point.lossless


def test_without_a_learned_policy_the_energy_weight_is_the_share_of_the_slider() -> None:
    assert [plan_for(mode, None, LAYERS).point.energy_weight for mode in (0, 25, 100)] == [0.0, 0.25, 1.0]


def test_green_mode_zero_is_full_depth_whatever_was_learned() -> None:
    assert [plan_for(0, None, LAYERS, learned).policy.name for learned in (None, tiny_policy())] == ["full-depth"] * 2


def test_above_zero_the_learned_policy_decides_with_the_weight_that_its_file_gives_the_position() -> None:
    learned = tiny_policy()
    plan = plan_for(50, None, LAYERS, learned)

    assert plan.policy is learned
    assert plan.point.energy_weight == learned.energy_weight(50) == pytest.approx(0.4)
    assert plan_for(0, "learned", LAYERS, learned).policy is learned


@pytest.mark.parametrize("green_mode", [-1, 101])
def test_a_slider_outside_its_range_is_refused(green_mode: int) -> None:
    with pytest.raises(ConfigError, match="between 0 and 100"):
        plan_for(green_mode, None, LAYERS)


def test_a_greener_mode_never_goes_deeper() -> None:
    policies = [plan_for(mode, None, (18, 21, 24, 27, 30)).policy for mode in range(1, 101)]
    layers = [policy.exit_layer for policy in policies if isinstance(policy, FixedExit)]

    assert (layers[0], layers[49], layers[99]) == (30, 27, 21)
    assert layers == sorted(layers, reverse=True)


def test_a_greener_mode_reads_no_more_of_the_window_and_a_lossless_one_all_of_it() -> None:
    shares = [plan_for(mode, None, LAYERS).point.window_share for mode in range(101)]

    assert shares[0] == plan_for(100, "full-depth", LAYERS).point.window_share == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0.2


def test_only_a_lossless_mode_reads_far_tokens_to_the_last_layer() -> None:
    depths = [plan_for(mode, None, LAYERS).point.prompt_depth for mode in range(101)]

    assert depths[0] == plan_for(100, "full-depth", LAYERS).point.prompt_depth == 1.0
    assert max(depths[1:]) < 1.0


@pytest.mark.parametrize("spec", ["full-depth", "fixed:24", "fixed:30", "confidence:0.8"])
def test_a_policy_is_found_by_its_name(spec: str) -> None:
    assert plan_for(0, spec, LAYERS).policy.name == spec


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("fixed:7", "its exits are after layers 6, 12, 18, 24, 30"),
        ("fixed:", "names no exit"),
        ("fixed:-6", "names no exit"),
        ("confidence:2", "between 0 and 1"),
        ("confidence:much", "between 0 and 1"),
        ("confidence:nan", "between 0 and 1"),
        ("greedy", "choose full-depth, fixed:LAYER, confidence:P, learned or project"),
        ("", "is unknown"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan_for(0, spec, LAYERS)


def test_a_learned_policy_that_is_not_there_is_refused() -> None:
    with pytest.raises(PolicyError, match="no learned policy"):
        plan_for(0, "learned", LAYERS)
