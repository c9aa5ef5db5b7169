"""A transformers model on torch: on a GPU, in training, as the reference, and to be prepared for the fast runner.

Which of these is wanted is `engine.model.loading`'s decision; importing this module imports torch and transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoTokenizer

from engine.errors import DeviceError, ModelCorruptError
from engine.model.early_exit import EarlyExitModel
from engine.model.families import supported_family
from engine.model.loaded import LoadedModel, cpu_threads, readable
from engine.model.mapped_files import MappedFiles
from engine.model.reference.eager import TorchRunner
from engine.model.reference.graphs import GraphRunner
from engine.model.reference.silence import silenced
from engine.model.reference.streamed import load_streamed
from engine.model.reference.trained_exits import find_trained_exits, model_fingerprint
from engine.model.reference.weight_files import load_whole
from engine.model.stored_exits import UNTRAINED
from engine.model.tokenization import Tokenization
from engine.sentences import Sentence

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

    from engine.config import Device, EngineConfig


def load_reference(
    name: str, folder: Path, config: EngineConfig, device: Device, *, with_trained_exits: bool, streamed: bool = False
) -> LoadedModel:
    """The model on torch: fp32 on a CPU, bf16 on a GPU.

    Args:
        name: The model, as the user named it.
        folder: The folder with config.json, weights and tokenizer.
        config: The threads and the exits.
        device: Where it runs.
        with_trained_exits: False leaves trained exits out, such as to train new ones.
        streamed: Whether to hold one layer at a time, where the files allow it: for a walk through the layers.

    Raises:
        DeviceError: If the GPU's memory is too small.
        ModelCorruptError: If the files cannot be read.
        PolicyError: If the user's own trained exits belong to other weights.
        UnsupportedModelError: If no adapter knows the model's family.
    """
    threads = cpu_threads(config)
    if device == "cpu":
        torch.set_num_threads(threads)
    else:
        # cuDNN's attention plans anew for every length: on Hopper and Blackwell that takes longer than a token.
        torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    files = MappedFiles(folder.glob("*.safetensors") if device == "cpu" else ())  # a GPU has a copy
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    with readable(name), silenced():
        settings = AutoConfig.from_pretrained(folder, local_files_only=True)
        family = supported_family(settings.model_type, Sentence("The model '{name}'", name=name))
        tokenizer = _tokenizer(folder)
        _refuse_other_tokenizer(tokenizer, settings.vocab_size, name)
        model = load_streamed(folder, settings) if streamed and family.runtimes else None
        layers = None if model is None else model.model.layers
        if model is None:
            model = load_whole(folder, settings, dtype)
    fingerprint = model_fingerprint(model, None if layers is None else layers.files.read)
    trained_exits = find_trained_exits(name, fingerprint) if with_trained_exits else None
    if trained_exits is not None:
        trained_exits.adapt(model)
        if layers is not None:
            layers.trained_exits = trained_exits
    model = model.eval() if device == "cpu" else _to_device(model.eval(), device, name)
    runner_class = GraphRunner if device == "cuda" else TorchRunner
    return LoadedModel(
        name=name,
        model=EarlyExitModel(
            runner_class(model, trained_exits),
            config.exit_layers,
            fingerprint=fingerprint,
            exits_fingerprint=UNTRAINED if trained_exits is None else trained_exits.fingerprint,
        ),
        tokenization=Tokenization(tokenizer, _eos_ids(model)),
        device=device,
        processor=_processor(device),
        threads=threads if device == "cpu" else None,
        precision="fp32" if device == "cpu" else "bf16",
        runtime="torch",
        files=files,
    )


def _processor(device: Device) -> str:
    if device == "cpu":
        return "CPU"
    return str((torch.cuda if device == "cuda" else torch.xpu).get_device_name())


def _to_device(model: Any, device: Device, name: str) -> Any:
    try:
        return model.to(device)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            Sentence("The GPU has too little free memory for the model '{name}'; use the device 'cpu'.", name=name)
        ) from error


def _tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer behind the one of transformers, which sets it up by the model's other files."""
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    return tokenizer


def _refuse_other_tokenizer(tokenizer: Tokenizer, n_vocabulary: int, name: str) -> None:
    """Refuses a tokenizer that knows tokens which the model has no embedding of: it is another model's."""
    n_tokens = tokenizer.get_vocab_size(with_added_tokens=True)
    if n_tokens > n_vocabulary:
        raise ModelCorruptError(
            Sentence(
                "The tokenizer of the model '{name}' has {n_tokens:,} tokens, and the model knows "
                "{n_vocabulary:,}: one of them is another model's.",
                name=name,
                n_tokens=n_tokens,
                n_vocabulary=n_vocabulary,
            )
        )


def _eos_ids(model: Any) -> list[int]:
    eos = model.generation_config.eos_token_id
    if eos is None:
        eos = model.config.eos_token_id
    if eos is None:
        return []
    return [int(idx) for idx in (eos if isinstance(eos, list | tuple) else [eos])]
