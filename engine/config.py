"""How an engine is set up: which model, on which device; and where its files are kept. Imports no torch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from engine.errors import ConfigError
from engine.sentences import Sentence

APP_NAME = "green-code"
VERSION = "0.1.0"
DEFAULT_MODEL = "smollm2-135m"
_MOST_LETTERS = 120  # of a folder's name; file systems end at 255 bytes, and more is put behind it

Device = Literal["cpu", "cuda", "xpu"]
DeviceChoice = Literal["auto", "cpu", "cuda", "xpu"]
PrecisionChoice = Literal["auto", "fp32", "int8", "int4"]

COMPUTING_THREADS = "layers"
"""How the names of threads begin that run layers for a request beside the thread that asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """The choices that need a new engine when they change.

    Attributes:
        model: "smollm2-135m", a Hugging Face id such as "Qwen/Qwen2.5-Coder-0.5B", or a local folder.
        device: "auto" takes an NVIDIA GPU where torch finds one, else the CPU. "xpu" is an Intel GPU.
        precision: How a CPU holds the weights. "auto" is int8 where the fast runner knows the model's blocks, and fp32
            elsewhere; "fp32" is the reference that tests compare with. A GPU always holds bf16.
        threads: CPU threads; None takes the physical cores.
        exit_layers: Layers after which a token may leave, ascending, without the last; None takes every third.
        remote_url: A completion server elsewhere, which then has the model; "" for a model here. Its token is never
            part of this.
        remote_model: Which of its models; "" for the only one.
        is_paced: Whether joules that are modelled on a CPU follow the CPU seconds that requests take. Builds are
            compared without: by the same prices.
        shared: Whether servers that ask for the same share one; read by who opens an engine, not by the engine.
    """

    model: str = DEFAULT_MODEL
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    exit_layers: tuple[int, ...] | None = None
    remote_url: str = ""
    remote_model: str = ""
    is_paced: bool = True
    shared: bool = False

    @property
    def first_step(self) -> Sentence:
        """What a load does, for people."""
        if self.remote_url:
            return Sentence("Connecting to the completion server.")
        return Sentence("Loading the model {model}.", model=self.model)


def cache_dir() -> Path:
    """Where model files are kept; may be deleted at any time.

    Raises:
        ConfigError: If the user has no home folder.
    """
    _require_home()
    return Path(platformdirs.user_cache_path(APP_NAME, appauthor=False))


def data_dir() -> Path:
    """Where the energy ledger and the device calibration are kept.

    Raises:
        ConfigError: If the user has no home folder.
    """
    _require_home()
    return Path(platformdirs.user_data_path(APP_NAME, appauthor=False))


def _require_home() -> None:
    # Old platformdirs make a folder called "~", new ones raise; the server reads git's settings there as well.
    try:
        Path.home()
    except RuntimeError:
        raise ConfigError("This user has no home folder. Set HOME to a folder that Green Code may write to.") from None


def folder_name(model_name: str) -> str:
    """What a model's folder is called where things that were trained for it are kept."""
    name = re.sub(r"[^\w.-]+", "--", model_name).strip("-.") or "model"
    if len(name) <= _MOST_LETTERS:
        return name
    return f"{name[-_MOST_LETTERS:].strip('-.')}-{hashlib.sha256(model_name.encode()).hexdigest()[:12]}"
