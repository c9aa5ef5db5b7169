"""`LoadedModel`, which every way of loading gives, and what they share. Knows none of them, and imports no torch."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import safetensors

from engine.errors import DeviceError, ModelCorruptError
from engine.model.mapped_files import MappedFiles
from engine.sentences import Sentence, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine.config import Device, EngineConfig
    from engine.model.early_exit import EarlyExitModel
    from engine.model.tokenization import Tokenization
    from engine.types import Precision, Runtime

_RUNTIMES: Mapping[Runtime, str] = {
    "torch": "PyTorch",
    "onnx": "ONNX Runtime",
    "native": Sentence("native kernels"),
    "native-amx": Sentence("native kernels for AMX"),
    "native-avxvnni": Sentence("native kernels for AVX-VNNI"),
    "native-avx2": Sentence("native kernels for AVX2"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to decode.

    Attributes:
        name: The model, as the user named it.
        model: The layers, with exits between them.
        tokenization: Its tokenizer.
        device: Where it runs.
        processor: The GPU's own name, or "CPU".
        threads: The most threads that it takes on a CPU; None on a GPU.
        precision: How its weights are held.
        runtime: What computes the layers.
        files: What it runs on, where that is mapped.
    """

    name: str
    model: EarlyExitModel
    tokenization: Tokenization
    device: Device
    processor: str
    threads: int | None
    precision: Precision
    runtime: Runtime
    files: MappedFiles = field(default_factory=MappedFiles)

    @property
    def device_name(self) -> str:
        """For people, such as "CPU, 2 threads, int8, ONNX Runtime"; whoever needs a part of it reads the fields."""
        if self.threads is None:
            return f"{self.processor}, {self.precision}"
        threads = Sentence("1 thread") if self.threads == 1 else Sentence("{n} threads", n=self.threads)
        return joined((self.processor, threads, self.precision, _RUNTIMES[self.runtime]), ", ")


def cpu_threads(config: EngineConfig) -> int:
    """The threads that a model takes on a CPU: those asked for, else one for each physical core that we may use."""
    process = psutil.Process()
    ours = len(process.cpu_affinity() or [0]) if hasattr(process, "cpu_affinity") else None  # not on macOS
    physical = psutil.cpu_count(logical=False) or 1
    return config.threads or (physical if ours is None else min(physical, ours))


def synchronize(device: Device) -> None:
    """Waits until the device has done what it was given, so that clocks and counters may be read."""
    if device == "cpu":
        return
    import torch

    (torch.cuda if device == "cuda" else torch.xpu).synchronize()


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """Turns what transformers, tokenizers and safetensors raise for unreadable files into one sentence.

    Raises:
        DeviceError: There was too little memory for them.
        ModelCorruptError: They are no model.
    """
    try:
        yield
    except (
        MemoryError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        RuntimeError,
        safetensors.SafetensorError,
    ) as error:
        # What is not Python's own tells it by words alone.
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise DeviceError(
                Sentence(
                    "There is too little free memory for the model '{name}'; close other programs, or choose a smaller "
                    "one.",
                    name=name,
                )
            ) from error
        raise ModelCorruptError(
            f"The files of the model '{name}' cannot be read; fetch it again with "
            f"`green-code models remove {name}` and `green-code models pull {name}`."
        ) from error
