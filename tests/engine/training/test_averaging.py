import pytest
import torch

from engine.model.reference.trained_exits import TrainedExits
from engine.model.stored_exits import TrainedExitsInfo
from engine.training.averaging import averaged

INFO = TrainedExitsInfo(
    model="m", fingerprint="f", exit_layers=(2,), corpus_sha256="c", train_tokens=1, created="2026-12-01", agreement=()
)


def exits(rank: int, seed: int) -> TrainedExits:
    random = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    return TrainedExits(INFO, {2: (drawn(6, 6), drawn(6))}, {"w": (drawn(12, rank), drawn(rank, 10))})


def product(of: TrainedExits) -> torch.Tensor:
    up, down = of.updates["w"]
    return up @ down


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_maps_and_updates_lie_in_between(share: float) -> None:
    begun, ended = exits(2, 0), exits(5, 1)
    begun_map, ended_map = begun.maps[2][0], ended.maps[2][0]

    found = averaged(begun, ended, share)

    torch.testing.assert_close(found.maps[2][0], (1 - share) * begun_map + share * ended_map)
    assert found.updates["w"][1].shape == (5, 10)
    wanted = (1 - share) * product(begun) + share * product(ended)
    lost = torch.linalg.svdvals(wanted)[5:]
    assert float((product(found) - wanted).norm()) == pytest.approx(float(lost.norm()), abs=1e-4)  # no rank 5 is nearer
