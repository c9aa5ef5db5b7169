"""From a folder with weights to a model on its device. Where the folder comes from: `engine.model.store`.

On a CPU the model runs on ONNX Runtime, from weights that were prepared once and are kept in the cache; on a GPU, in
training, and where the fast runner does not know a model's blocks, on torch.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import safetensors
import torch
from tokenizers import Tokenizer

from engine.errors import ConfigError, DeviceError, ModelCorruptError, UnsupportedModelError
from engine.model.architectures import SUPPORTED_FAMILIES
from engine.model.early_exit import EarlyExitModel
from engine.model.shortcuts import FILE_NAME, find_shortcuts, load_shortcuts, model_fingerprint, shortcuts_file
from engine.model.tokenization import Tokenization
from engine.types import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from engine.config import Device, DeviceChoice, EngineConfig
    from engine.model.runners.onnx_layout import Conversion
    from engine.model.runners.quantization import Precision
    from engine.types import ProgressSink

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to decode.

    Attributes:
        name: As the user named it.
        device_name: For people, such as "CPU, 2 threads, int8".
    """

    name: str
    model: EarlyExitModel
    tokenization: Tokenization
    device: Device
    device_name: str


def load_model(
    name: str,
    folder: Path,
    config: EngineConfig,
    *,
    with_shortcuts: bool = True,
    reference: bool = False,
    progress: ProgressSink = no_progress,
) -> LoadedModel:
    """Loads weights, tokenizer and trained exits: int8 on a CPU unless the user wants otherwise, bf16 on a GPU.

    Args:
        name: As the user named it.
        folder: Where config.json, weights and tokenizer lie.
        config: The device, its threads, the precision, the exits.
        with_shortcuts: False leaves trained exits out, such as to train new ones.
        reference: Load transformers' own layers, whatever the device: to train them, or to compare with them.
        progress: Told when the weights are prepared for the fast runner.

    Raises:
        ConfigError: If the precision does not go with the device.
        DeviceError: If the device asked for is not there, or its memory is too small.
        ModelCorruptError: If the files cannot be read.
        PolicyError: If the user's own trained exits belong to other weights.
        UnsupportedModelError: If no adapter knows the model's family, or no runner for the precision asked for.
    """
    device = pick_device(config.device)
    if device == "cuda" and config.precision != "auto":
        raise ConfigError(f"On a GPU the precision is always bf16; set it to 'auto', not '{config.precision}'.")
    if device == "cuda" or reference or config.precision == "fp32":
        return _load_reference(name, folder, config, device, with_shortcuts=with_shortcuts)[0]
    return _load_fast(name, folder, config, with_shortcuts=with_shortcuts, progress=progress)


def _load_fast(
    name: str, folder: Path, config: EngineConfig, *, with_shortcuts: bool, progress: ProgressSink
) -> LoadedModel:
    from engine.model.runners.onnx_layout import conversion_name, find_conversion

    precision: Precision = "int4" if config.precision == "int4" else "int8"
    shortcuts_path = shortcuts_file(name) if with_shortcuts else None
    key = conversion_name(name, folder, shortcuts_path, config.exit_layers, precision)
    if (found := find_conversion(key)) is None:
        from engine.model.runners.conversion import convert

        loaded, end_ids = _load_reference(name, folder, config, "cpu", with_shortcuts=with_shortcuts)
        try:
            convert(
                key,
                loaded.model,
                loaded.tokenization.tokenizer,
                model_name=name,
                precision=precision,
                end_ids=end_ids,
                progress=progress,
            )
        except UnsupportedModelError as error:
            if config.precision != "auto":
                raise
            logger.info("%s runs in fp32: %s", name, error)
            return loaded
        del loaded  # two copies of the weights need not meet in memory
        found = find_conversion(key)
        assert found is not None
    return _open_conversion(name, *found, config=config, precision=precision)


def _open_conversion(
    name: str, converted: Path, conversion: Conversion, *, config: EngineConfig, precision: Precision
) -> LoadedModel:
    from engine.model.runners.onnx_layout import TOKENIZER_FILE
    from engine.model.runners.onnx_runtime import OnnxRunner

    threads = cpu_threads(config)
    torch.set_num_threads(1)  # what is left to torch is small, and its pool would spin beside the runner's
    shortcuts = None
    if (converted / FILE_NAME).is_file():
        shortcuts = load_shortcuts(converted / FILE_NAME, conversion.fingerprint)
    with _readable(name):
        tokenizer = Tokenizer.from_file(str(converted / TOKENIZER_FILE))
        runner = OnnxRunner(converted, conversion.layout, threads=threads)
    return LoadedModel(
        name=name,
        model=EarlyExitModel(
            runner,
            conversion.layout.bounds[1:-1],
            shortcuts,
            fingerprint=conversion.fingerprint,
            exits_fingerprint=conversion.exits_fingerprint,
        ),
        tokenization=Tokenization(tokenizer, conversion.end_ids),
        device="cpu",
        device_name=_device_name("cpu", threads, precision),
    )


def _load_reference(
    name: str, folder: Path, config: EngineConfig, device: Device, *, with_shortcuts: bool
) -> tuple[LoadedModel, Sequence[int]]:
    """The model on torch, and the tokens that its configuration names as ends."""
    from transformers import AutoConfig, AutoModelForCausalLM

    threads = cpu_threads(config)
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
        tokenizer = _tokenizer(folder)
    fingerprint = model_fingerprint(model)
    shortcuts = find_shortcuts(name, fingerprint) if with_shortcuts else None
    if shortcuts is not None:
        shortcuts.adapt(model)
    model = _to_device(model.eval(), device, name)
    end_ids = _eos_ids(model)
    loaded = LoadedModel(
        name=name,
        model=EarlyExitModel.from_transformers(model, config.exit_layers, shortcuts, fingerprint=fingerprint),
        tokenization=Tokenization(tokenizer, end_ids),
        device=device,
        device_name=_device_name(device, threads, "fp32"),
    )
    return loaded, end_ids


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


def _tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer behind the one of transformers, which sets it up by the model's other files."""
    from transformers import AutoTokenizer

    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    return tokenizer


def _eos_ids(model: Any) -> list[int]:
    eos = model.generation_config.eos_token_id
    if eos is None:
        eos = model.config.eos_token_id
    if eos is None:
        return []
    return [int(idx) for idx in (eos if isinstance(eos, list | tuple) else [eos])]


def cpu_threads(config: EngineConfig) -> int:
    """The threads that a model takes on a CPU: those asked for, else one for each physical core."""
    return config.threads or psutil.cpu_count(logical=False) or 1


def _device_name(device: Device, threads: int, precision: Precision) -> str:
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, bf16"
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}, {precision}"


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns what transformers, tokenizers and safetensors raise for unreadable files into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, safetensors.SafetensorError) as error:
        raise ModelCorruptError(
            f"The files of the model '{name}' cannot be read; fetch it again with "
            f"`green-code models remove {name}` and `green-code models pull {name}`."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' progress bars and advice away from stdout and stderr: they may be a protocol's."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
