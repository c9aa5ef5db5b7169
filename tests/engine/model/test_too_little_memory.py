"""A machine that runs out of memory is told of that, not of files that are broken."""

import mmap

import pytest
import torch

from engine.errors import DeviceError
from engine.model.loaded import readable

TOO_MUCH = 1 << 60


@pytest.mark.parametrize(
    "take",
    [lambda: mmap.mmap(-1, TOO_MUCH), lambda: bytearray(TOO_MUCH), lambda: torch.empty(TOO_MUCH, dtype=torch.uint8)],
    ids=["mapped", "python", "torch"],
)
def test_too_little_memory_is_said(take: object) -> None:
    assert callable(take)
    with pytest.raises(DeviceError, match=r"^There is too little free memory for the model 'tiny'"), readable("tiny"):
        take()
