"""From a folder with weights to a model on its device. Where the folder comes from: `engine.model.sources.store`.

On a CPU the model runs on kernels of our own or on ONNX Runtime, from weights that were prepared once and are kept in
the cache; on a GPU, in training, and where the fast runners do not know a model's blocks, on torch
(`engine.model.reference.pretrained`). Importing torch takes longer and more memory than all the rest, so it is imported
only where it is needed: prepared weights need none.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from engine.errors import ConfigError, DeviceError, UnsupportedModelError
from engine.model.early_exit import EarlyExitModel
from engine.model.loaded import LoadedModel, cpu_threads, readable
from engine.model.mapped_files import MappedFiles
from engine.model.sources.apart import run_apart
from engine.model.tokenization import Tokenization
from engine.model.torch_missing import is_torch_there, needs_torch
from engine.model.trained_exit_files import TRAINED_EXITS
from engine.sentences import Sentence
from engine.types import no_progress

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Device, DeviceChoice, EngineConfig
    from engine.model.prepared.layout import PreparedModel
    from engine.types import Precision, ProgressSink, Runtime

logger = logging.getLogger(__name__)

# To numpy: its products are small here, and on a busy machine two threads wait for one another most of the time.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def load_model(
    name: str,
    folder: Path,
    config: EngineConfig,
    *,
    with_trained_exits: bool = True,
    reference: bool = False,
    kernels: bool = True,
    progress: ProgressSink = no_progress,
) -> LoadedModel:
    """Loads weights, tokenizer and trained exits: int8 on a CPU unless the user wants otherwise, bf16 on a GPU.

    Args:
        name: The model, as the user named it.
        folder: The folder with config.json, weights and tokenizer.
        config: The device, its threads, the precision, the exits.
        with_trained_exits: False leaves trained exits out, such as to train new ones.
        reference: Load transformers' own layers, whatever the device: to train them, or to compare with them.
        kernels: False leaves kernels of our own out, to compare ONNX Runtime with them.
        progress: Is called when the weights are prepared for the fast runner.

    Raises:
        ConfigError: If the precision does not go with the device.
        DeviceError: If the device asked for is not there, or its memory is too small.
        ModelCorruptError: If the files cannot be read.
        PolicyError: If the user's own trained exits belong to other weights.
        UnsupportedModelError: If no adapter knows the model's family, or no runner for the precision asked for.
    """
    device = pick_device(config.device)
    if device != "cpu" and config.precision != "auto":
        raise ConfigError(
            Sentence(
                "On a GPU the precision is always bf16; set it to 'auto', not '{precision}'.",
                precision=config.precision,
            )
        )
    if device != "cpu" or reference or config.precision == "fp32":
        return _load_reference(name, folder, config, device, with_trained_exits=with_trained_exits)
    return _load_fast(name, folder, config, with_trained_exits=with_trained_exits, kernels=kernels, progress=progress)


def _load_reference(
    name: str, folder: Path, config: EngineConfig, device: Device, *, with_trained_exits: bool
) -> LoadedModel:
    with needs_torch(Sentence("To run the model '{name}' this way", name=name)):
        from engine.model.reference.pretrained import load_reference
    return load_reference(name, folder, config, device, with_trained_exits=with_trained_exits)


def prepare_model(name: str, folder: Path, config: EngineConfig, *, progress: ProgressSink) -> None:
    """Has in the cache what `load_model` opens with the same arguments, and loads nothing.

    Raises:
        EngineError: As `load_model`.
    """
    if pick_device(config.device) == "cpu" and config.precision != "fp32":
        _find_or_prepare(name, folder, config, progress=progress)


def _load_fast(
    name: str, folder: Path, config: EngineConfig, *, with_trained_exits: bool, kernels: bool, progress: ProgressSink
) -> LoadedModel:
    """Opens the prepared model of the cache, and prepares it first where it is missing."""
    found = _find_or_prepare(
        name, folder, config, with_trained_exits=with_trained_exits, kernels=kernels, progress=progress
    )
    if found is None:
        return _load_reference(name, folder, config, "cpu", with_trained_exits=with_trained_exits)
    return _open_prepared(name, *found, config=config, precision=_precision_of(config))


def _precision_of(config: EngineConfig) -> Precision:
    return "int4" if config.precision == "int4" else "int8"


def _find_or_prepare(
    name: str,
    folder: Path,
    config: EngineConfig,
    *,
    with_trained_exits: bool = True,
    kernels: bool = True,
    progress: ProgressSink,
) -> tuple[Path, PreparedModel] | None:
    """A folder of the cache, and what is in it; None where the fast runners do not know the model: it runs in fp32."""
    from engine.model.prepared.layout import find_prepared, prepared_name, refuse_other_blocks
    from engine.model.prepared.native import library

    precision = _precision_of(config)
    trained_exits_path = TRAINED_EXITS.path(name) if with_trained_exits else None
    native = kernels and library.load() is not None
    key = prepared_name(name, folder, trained_exits_path, config.exit_layers, precision, native=native)
    if (found := find_prepared(key)) is not None:
        return found
    try:
        if config.precision == "auto":
            with readable(name):
                refuse_other_blocks(name, folder, native=native)  # else every start would import torch first
        progress(Sentence("Preparing the model for this CPU"), 0, None)
        call = partial(
            _prepare,
            key,
            name=name,
            folder=folder,
            config=config,
            precision=precision,
            native=native,
            with_trained_exits=with_trained_exits,
        )
        task = Sentence("prepares the model {name}", name=name)
        run_apart(call, task=task, progress=progress, environment={} if precision == "int4" else _ONE_THREAD)
    except UnsupportedModelError as error:
        if config.precision != "auto":
            raise
        logger.info("%s runs in fp32: %s", name, error)
        return None
    found = find_prepared(key)
    assert found is not None
    return found


def _prepare(
    prepared_name: str,
    *,
    name: str,
    folder: Path,
    config: EngineConfig,
    precision: Precision,
    native: bool,
    with_trained_exits: bool,
    progress: ProgressSink,
) -> None:
    """What the other process does: only there torch is imported, and where the model is plain not even there."""
    from engine.model.prepared.writing import write_prepared
    from engine.model.without_torch.plain_llama import PlainLlama
    from engine.model.without_torch.plain_weights import plain_files

    if precision != "int4" and (files := plain_files(folder)) is not None:
        plain = PlainLlama(name, files, config.exit_layers, with_trained_exits=with_trained_exits)
        write_prepared(
            prepared_name,
            plain,
            Tokenization(files.tokenizer, plain.end_ids).tokenizer,
            model_name=name,
            precision=precision,
            native=native,
            threads=cpu_threads(config),
            progress=progress,
        )
        return
    with needs_torch(Sentence("To prepare the model '{name}' once", name=name)):
        from engine.model.reference.preparation import prepare
        from engine.model.reference.pretrained import load_reference

    loaded = load_reference(name, folder, config, "cpu", with_trained_exits=with_trained_exits, streamed=True)
    prepare(
        prepared_name,
        loaded.model,
        loaded.tokenization,
        model_name=name,
        precision=precision,
        native=native,
        progress=progress,
    )


def _open_prepared(
    name: str, folder: Path, prepared: PreparedModel, *, config: EngineConfig, precision: Precision
) -> LoadedModel:
    """Opens a folder of the cache on the runner that it was prepared for."""
    from engine.model.prepared.layout import TOKENIZER_FILE
    from engine.model.prepared.native import library
    from engine.model.prepared.opening import open_runner

    threads = cpu_threads(config)
    runtime: Runtime = prepared.layout.runtime
    if runtime == "native" and (instructions := library.instructions()) is not None:
        runtime = library.RUNTIMES[instructions]
    with readable(name), ThreadPoolExecutor(1) as beside:
        files = MappedFiles(folder.iterdir())
        reading = beside.submit(Tokenizer.from_file, str(folder / TOKENIZER_FILE))
        runner = open_runner(folder, prepared.layout, threads=threads)
        tokenizer = reading.result()
    return LoadedModel(
        name=name,
        model=EarlyExitModel(
            runner,
            prepared.layout.bounds[1:-1],
            fingerprint=prepared.fingerprint,
            exits_fingerprint=prepared.exits_fingerprint,
        ),
        tokenization=Tokenization(tokenizer, prepared.end_ids),
        device="cpu",
        processor="CPU",
        threads=threads,
        precision=precision,
        runtime=runtime,
        files=files,
    )


def pick_device(choice: DeviceChoice) -> Device:
    """The device to run on.

    Raises:
        DeviceError: If a GPU was asked for and torch finds none of its kind.
        TorchMissingError: If a GPU was asked for and there is no torch.
    """
    if choice == "cpu" or (choice == "auto" and not (_has_nvidia_driver() and is_torch_there())):
        return "cpu"
    with needs_torch(Sentence("To run on a GPU")):
        import torch
    if choice == "xpu":
        if not torch.xpu.is_available():
            raise DeviceError(
                Sentence(
                    "The device 'xpu' was asked for, but PyTorch finds no Intel GPU; install its build for XPU, or "
                    "set the device to 'auto' or 'cpu'."
                )
            )
        return "xpu"
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise DeviceError(
            Sentence(
                "The device 'cuda' was asked for, but PyTorch finds no NVIDIA GPU here; set the device to "
                "'auto' or 'cpu'."
            )
        )
    return "cuda" if available else "cpu"


def _has_nvidia_driver() -> bool:
    """Whether it is worth asking torch for a GPU."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libnvidia-ml.so.1")  # what pynvml asks for, once it is imported, which takes longer
        except OSError:
            return False
    nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return False
    nvml.nvmlShutdown()
    return True
