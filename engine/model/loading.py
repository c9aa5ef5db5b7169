"""From a folder with weights to a model on its device. Where the folder comes from: `engine.model.store`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import safetensors
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from engine.errors import DeviceError, ModelCorruptError, UnsupportedModelError
from engine.model.architectures import SUPPORTED_FAMILIES
from engine.model.early_exit import EarlyExitModel
from engine.model.shortcuts import find_shortcuts, model_fingerprint
from engine.model.tokenization import Tokenization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.config import Device, DeviceChoice, EngineConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to decode.

    Attributes:
        name: As the user named it.
        device_name: For people, such as "CPU, 2 threads, fp32".
    """

    name: str
    model: EarlyExitModel
    tokenization: Tokenization
    device: Device
    device_name: str


def load_model(name: str, folder: Path, config: EngineConfig, *, with_shortcuts: bool = True) -> LoadedModel:
    """Loads weights, tokenizer and trained exits: fp32 on a CPU, bf16 on a GPU.

    Args:
        name: As the user named it.
        folder: Where config.json, weights and tokenizer lie.
        config: The device, its threads, the exits.
        with_shortcuts: False leaves trained exits out, such as to train new ones.

    Raises:
        DeviceError: If the device asked for is not there, or its memory is too small.
        ModelCorruptError: If the files cannot be read.
        PolicyError: If the user's own trained exits belong to other weights.
        UnsupportedModelError: If no adapter knows the model's family.
    """
    device = pick_device(config.device)
    threads = config.threads or psutil.cpu_count(logical=False) or 1
    if device == "cpu":
        torch.set_num_threads(threads)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    with _readable(name), _quiet():
        family = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if family not in SUPPORTED_FAMILIES:
            known = ", ".join(SUPPORTED_FAMILIES)
            raise UnsupportedModelError(
                f"The model '{name}' is of the family '{family}', which is not supported; choose one of {known}."
            )
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    fingerprint = model_fingerprint(model)
    shortcuts = find_shortcuts(name, fingerprint) if with_shortcuts else None
    if shortcuts is not None:
        shortcuts.adapt(model)
    model = _to_device(model.eval(), device, name)
    early_exit = EarlyExitModel(model, config.exit_layers, shortcuts, fingerprint=fingerprint)
    return LoadedModel(
        name=name,
        model=early_exit,
        tokenization=Tokenization(tokenizer, _eos_ids(model)),
        device=device,
        device_name=_device_name(device, threads),
    )


def pick_device(choice: DeviceChoice) -> Device:
    """The device to run on, "cpu" or "cuda".

    Raises:
        DeviceError: If "cuda" was asked for and torch finds no NVIDIA GPU.
    """
    if choice == "cpu":
        return "cpu"
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise DeviceError(
            "The device 'cuda' was asked for, but PyTorch finds no NVIDIA GPU here; set the device to 'auto' or 'cpu'."
        )
    return "cuda" if available else "cpu"


def synchronize(device: Device) -> None:
    """Waits until the device has done what it was given, so that clocks and counters may be read."""
    if device == "cuda":
        torch.cuda.synchronize()


def _to_device(model: Any, device: Device, name: str) -> Any:
    try:
        return model.to(device)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"The GPU has too little free memory for the model '{name}'; use the device 'cpu'."
        ) from error


def _eos_ids(model: Any) -> list[int]:
    eos = model.generation_config.eos_token_id
    if eos is None:
        eos = model.config.eos_token_id
    if eos is None:
        return []
    return [int(idx) for idx in (eos if isinstance(eos, list | tuple) else [eos])]


def _device_name(device: Device, threads: int) -> str:
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, bf16"
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}, fp32"


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns what transformers, tokenizers and safetensors raise for unreadable files into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        raise ModelCorruptError(
            f"The files of the model '{name}' cannot be read; fetch it again with "
            f"`green-code models remove {name}` and `green-code models pull {name}`."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' progress bars and advice away from stdout and stderr: they may be a protocol's."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
