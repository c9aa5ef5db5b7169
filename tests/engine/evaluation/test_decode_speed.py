import pytest

from engine.evaluation import decode_speed
from engine.evaluation.decode_speed import GREEN_MODES, OURS, OURS_FRUGAL, Measured, line, measure_decoding, ratio
from tests.engine.policy.tiny_policy import tiny_policy
from tests.engine.training.policy.fakes import CHECK_LAYERS, tiny_loaded

TEXT = "def area(width, height):\n    return width * height\n" * 6


class Peer:
    """Counts what it is asked."""

    name = "peer"

    def __init__(self) -> None:
        self.prompts: list[list[int]] = []
        self.steps: list[int] = []

    def prefill(self, token_ids: list[int]) -> None:
        self.prompts.append(token_ids)

    def step(self, token_id: int) -> None:
        self.steps.append(token_id)


@pytest.fixture(autouse=True)
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_speed, "_CANCELLATIONS", 4)
    monkeypatch.setattr(decode_speed, "_STREAM_BYTES", 1 << 20)
    monkeypatch.setattr(decode_speed, "STEPS", 4)
    monkeypatch.setattr(decode_speed, "_PIECES", 3)


def test_everything_takes_its_turn_once_a_round() -> None:
    loaded, peer = tiny_loaded(), Peer()

    speed = measure_decoding(loaded, None, [TEXT, TEXT], [peer], rounds=2)  # type: ignore[list-item]  # does what is used

    end_ids = loaded.tokenization.encode(TEXT)[-(256 + 4) :]
    whole = [prompt for prompt in peer.prompts if len(prompt) > 1]  # the others are beside the neighbour
    assert whole == [end_ids[:256]] * 3  # a round to warm up
    assert peer.steps[:4] == end_ids[256:]
    assert set(speed.neighbour) == {None, OURS, OURS_FRUGAL, "peer"}
    assert {len(found) for found in speed.neighbour.values()} == {2}
    assert set(speed.step) == {OURS, OURS_FRUGAL, "peer"}
    assert set(speed.by_depth) == {1, 2, 3, 4, 5, 6}
    for measured in (*speed.step.values(), *speed.prefill.values(), *speed.by_depth.values()):
        assert len(measured.wall_s) == len(measured.cpu_s) == 2
        assert min(measured.wall_s) > 0
    assert (speed.by_green_mode, speed.policy_check_s) == ({}, None)  # nobody trained a policy
    assert speed.weight_bytes == 4 * (6 * loaded.model.geometry.layer_params + loaded.model.geometry.head_params)


def test_green_modes_are_timed_where_a_policy_was_trained_for_them() -> None:
    policy = tiny_policy(check_layers=CHECK_LAYERS)

    speed = measure_decoding(tiny_loaded(), policy, [TEXT], [], rounds=1)

    assert set(speed.by_green_mode) == set(GREEN_MODES)
    assert speed.policy_check_s is not None


def test_ratios_are_taken_within_rounds() -> None:
    # The machine was ten times slower in the second round, for both.
    assert ratio([1.0, 10.0, 1.2], [2.0, 20.0, 2.0]) == (0.5, 0.5, 0.6)


def test_a_token_is_a_constant_and_a_time_for_each_layer() -> None:
    times = {depth: Measured(wall_s=[2e-3 + 1e-3 * depth], cpu_s=[0.0]) for depth in (3, 6, 9)}

    intercept_s, slope_s, correlation = line(times)

    assert (intercept_s, slope_s, correlation) == pytest.approx((2e-3, 1e-3, 1.0))
