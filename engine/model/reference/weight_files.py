"""The weights of a folder for transformers' layers, tensor by tensor, as safetensors or GGUF hold them.

transformers itself reads GGUF slowly, and makes another configuration of it. Knows no runner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.initialization import no_init_weights
from transformers.utils import GENERATION_CONFIG_NAME

from engine.errors import ModelCorruptError
from engine.model.sources.llama_gguf import kept_gguf
from engine.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HEAD = "lm_head.weight"
_ROWS = 4096


class WeightFiles:
    """The tensors of a folder's safetensors, or of the GGUF file there, by the names of the model's parameters."""

    def __init__(self, folder: Path) -> None:
        """Reads the heads of the files."""
        self._places: dict[str, tuple[Path, str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._gguf = kept_gguf(folder)
        if self._gguf is not None:
            self._shapes = {name: self._gguf.shape(name) for name in self._gguf.tensors}
        for path in sorted(folder.glob("model*.safetensors")):
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - not a dict
                    name = key if key.startswith(("model.", _HEAD)) else f"model.{key}"
                    self._places[name], self._shapes[name] = (path, key), tuple(file.get_slice(key).get_shape())

    @property
    def is_gguf(self) -> bool:
        """Whether it is the GGUF file's, which transformers cannot load beside our configuration."""
        return self._gguf is not None

    def hold(self, parameters: Mapping[str, torch.Tensor]) -> bool:
        """Whether these parameters are there, and no head beside the embedding that a model has for one."""
        return (_HEAD in self._shapes) <= (_HEAD in parameters) and all(
            self._shapes.get(name) == parameter.shape for name, parameter in parameters.items()
        )

    def read(self, name: str, rows: slice = slice(None)) -> torch.Tensor:
        """A tensor as it is stored, in fp32 where that is GGUF, or some rows; what it maps of a file goes with it."""
        if self._gguf is not None:
            return torch.from_numpy(np.require(self._gguf.read(name, rows), requirements="W"))
        path, key = self._places[name]
        with safe_open(path, framework="pt") as file:
            return file.get_slice(key)[rows]  # type: ignore[no-any-return]  # untyped

    @torch.no_grad()
    def fill(self, parameter: torch.Tensor, name: str) -> None:
        """Copies a tensor into a parameter, some rows at a time so that no second one is in memory."""
        for start in range(0, len(parameter), _ROWS):
            rows = slice(start, start + _ROWS)
            parameter[rows] = self.read(name, rows)


def load_whole(folder: Path, settings: Any, dtype: torch.dtype) -> Any:
    """A transformers model with all its weights.

    Args:
        folder: The folder with the weights.
        settings: Its configuration, as transformers reads it.
        dtype: Of the weights.

    Raises:
        ModelCorruptError: If the GGUF file there is not that of the configuration.
    """
    files = WeightFiles(folder)
    if not files.is_gguf:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    with no_init_weights():  # memory that nobody writes to is not taken
        model = AutoModelForCausalLM.from_config(settings, dtype=dtype)
    model.tie_weights()
    parameters = dict(model.named_parameters())
    if not files.hold(parameters):
        raise ModelCorruptError(Sentence("The weights in {folder} are not the model's; fetch it again.", folder=folder))
    for name, parameter in parameters.items():
        files.fill(parameter, name)
    generation_settings(model, folder)
    return model


def generation_settings(model: Any, folder: Path) -> None:
    """Gives a model what its folder says of generating, if anything."""
    if (folder / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
