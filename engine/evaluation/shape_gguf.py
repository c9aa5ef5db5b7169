"""Random weights of a shape as llama.cpp reads them: the same numbers, as GGUF. Knows nothing of what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import torch
from safetensors import safe_open

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.model.catalogue import KnownModel

# Granite's multipliers are 1 in a shape, and its two inputs of the MLP one tensor.
_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "granitemoehybrid": gguf.MODEL_ARCH.GRANITE,
}
_NORM_EPSILON = 1e-6
_POSITIONS = 2048


def write_gguf(known: KnownModel, folder: Path) -> Path | None:
    """Writes the weights of a folder into a GGUF file beside them, in 16 bits.

    Args:
        known: The model whose sizes they have.
        folder: What `write_shape` has filled.

    Returns:
        The file, without a tokenizer; None for a family whose names are not known here.
    """
    architecture = _ARCHITECTURES.get(known.family)
    if architecture is None:
        return None
    sizes, path = known.sizes, folder / "shape.gguf"
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(_POSITIONS)
    writer.add_block_count(sizes.n_layers)
    writer.add_embedding_length(sizes.width)
    writer.add_feed_forward_length(sizes.mlp_width)
    writer.add_head_count(sizes.n_heads)
    writer.add_head_count_kv(sizes.n_kv_heads)
    writer.add_key_length(sizes.head_dim)
    writer.add_value_length(sizes.head_dim)
    writer.add_rope_dimension_count(sizes.head_dim)
    writer.add_layer_norm_rms_eps(_NORM_EPSILON)
    writer.add_vocab_size(sizes.n_vocabulary)
    writer.add_tokenizer_model("none")
    if architecture is gguf.MODEL_ARCH.GRANITE:
        writer.add_logit_scale(1.0)
    names = gguf.get_tensor_name_map(architecture, sizes.n_layers)
    for file in sorted(folder.glob("model-*.safetensors")):
        for name, tensor in _tensors(file):
            dtype = torch.float32 if tensor.dim() == 1 else torch.float16  # as llama.cpp wants norms and biases
            known_as = names.get_name(name, try_suffixes=(".weight", ".bias"))
            assert known_as is not None, name
            writer.add_tensor(known_as, tensor.to(dtype).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a file under the names that Llama's have."""
    with safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118 - not a dict
            tensor = opened.get_tensor(name)
            if "shared_mlp.input_linear" in name:
                for part, rows in zip(("gate_proj", "up_proj"), tensor.chunk(2), strict=True):
                    yield name.replace("shared_mlp.input_linear", f"mlp.{part}"), rows
            else:
                yield name.replace("shared_mlp.output_linear", "mlp.down_proj"), tensor
