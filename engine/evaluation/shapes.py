"""Memory, time and modelled energy at the sizes of a model whose weights are not here: with random ones, seeded.

Random weights are as large and as fast as real ones. They say nothing of what a model writes, nor how its exits do.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from engine.config import EngineConfig
from engine.energy.cost_model import default_cost_model
from engine.evaluation.decode_bench import cold_start, read_prompts
from engine.evaluation.decode_speed import OURS, Measured, Stepper, ratio, steps, timed
from engine.evaluation.llama_cpp import LlamaCpp, is_installed, quantized
from engine.evaluation.shape_gguf import write_gguf
from engine.model.loaded import cpu_threads
from engine.model.loading import load_model, prepare_model
from engine.model.sources import model_cache
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.decode_speed import Ratio
    from engine.model.catalogue import KnownModel
    from engine.types import Precision

_PROMPT_TOKENS, _STEPS = 256, 8
_FP32_STEPS = 2  # each takes half a second
_POSITIONS = 2048
_SEED, _SPREAD = 0, 0.02  # of the weights, as most models begin their training


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeReport:
    """What was measured of a shape.

    Attributes:
        name: The model whose sizes these are.
        device: Where it ran, for people.
        n_params: Its weights.
        prepared_s: Seconds until it could be opened, its weights rounded; next to none where it runs as it is.
        peak_bytes: The most memory of the process that prepared it, or else of one that loaded it; None where that
            cannot be told, as behind a larger model in the same process.
        resident_bytes: Memory of an engine's process behind a completion, the model in it.
        prefill_ms: A prompt of 256 tokens.
        by_depth_ms: A token and the whole head, by layers run.
        by_depth_j: The same in modelled joules.
        peer: The same weights at the same bits in llama.cpp; None where it is not installed, or does not have them so.
    """

    name: str
    device: str
    n_params: int
    prepared_s: float
    peak_bytes: int | None
    resident_bytes: float
    prefill_ms: float
    by_depth_ms: dict[int, float]
    by_depth_j: dict[int, float]
    peer: PeerTimes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTimes:
    """llama.cpp, with the number of threads by which its token is fastest.

    Attributes:
        name: Its format and threads.
        prefill_ms: The same prompt.
        token_ms: A token at full depth.
        prefill: Our time of the prompt as a multiple of its, round by round.
        decode: The same of a token at full depth.
    """

    name: str
    prefill_ms: float
    token_ms: float
    prefill: Ratio
    decode: Ratio


def measure_shape(
    known: KnownModel, *, rounds: int, threads: int | None, progress: ProgressSink = no_progress
) -> ShapeReport:
    """Writes random weights of a model's sizes into a folder for a while, and decodes with what the product would run.

    On a CPU that is int8, or fp32 on PyTorch where no fast runner knows the family's blocks.

    Args:
        known: The model.
        rounds: How often each depth takes its turn, after one that warms up.
        threads: CPU threads; None takes the physical cores.
        progress: Is called on the way.

    Raises:
        EngineError: If the model cannot be prepared.
    """
    with tempfile.TemporaryDirectory(prefix="green-code-shape-") as folder:
        progress(f"Writing random weights of {known.name}'s sizes", 0, None)
        write_shape(known, Path(folder))
        name = str(Path(folder).resolve())
        config = EngineConfig(model=name, device="cpu", threads=threads)
        started_s = time.perf_counter()
        try:
            prepare_model(name, Path(name), config, progress=progress)
            prepared_s, peak = time.perf_counter() - started_s, _peak_of_children()
            # Before it is loaded here: in fp32 there is hardly room for two.
            start = cold_start(config, read_prompts()[0][-_PROMPT_TOKENS:], n_starts=1)
            if not known.sizes.runs_rounded:
                peak = _peak_of_children()
            loaded = load_model(name, Path(name), config, progress=progress)
        finally:
            for prepared in model_cache.prepared_from(name):
                model_cache.remove(prepared, kind="prepared")  # what is open stays until it is closed
        peers = _peers(known, Path(folder), config, loaded.precision)
    model, geometry = loaded.model, loaded.model.geometry
    cost = default_cost_model(geometry, "cpu", loaded.runtime)
    n_steps = _STEPS if known.sizes.runs_rounded else _FP32_STEPS
    ids = torch.randint(known.sizes.n_vocabulary, (_PROMPT_TOKENS + n_steps,), generator=_generator()).tolist()
    ours = Stepper(loaded)
    runners: list[tuple[str, LlamaCpp | Stepper]] = [*((peer.name, peer) for peer in peers), (OURS, ours)]
    prompt: dict[str, Measured] = defaultdict(Measured)
    step: dict[str, Measured] = defaultdict(Measured)
    by_depth: dict[int, Measured] = defaultdict(Measured)
    model.use_cores(all_cores=True)
    for round_ in range(rounds + 1):
        progress("Rounds of decoding", round_, rounds + 1)
        if round_ == 1:
            prompt, step, by_depth = (defaultdict(Measured) for _ in range(3))
        for name, runner in runners:
            timed(prompt[name], 1, partial(runner.prefill, ids[:_PROMPT_TOKENS]))
            timed(step[name], n_steps, partial(steps, runner.step, ids[_PROMPT_TOKENS:]))
        for depth in (*model.exit_layers, model.n_layers):
            ours.back_to(_PROMPT_TOKENS)
            a_step = partial(ours.step, depth=depth, whole_head=True)
            timed(by_depth[depth], n_steps, partial(steps, a_step, ids[_PROMPT_TOKENS:]))
    return ShapeReport(
        name=known.name,
        device=loaded.device_name,
        n_params=known.sizes.n_params,
        prepared_s=prepared_s,
        peak_bytes=peak,
        resident_bytes=start.resident_bytes,
        prefill_ms=1e3 * statistics.median(prompt[OURS].wall_s),
        by_depth_ms={depth: 1e3 * statistics.median(found.wall_s) for depth, found in by_depth.items()},
        by_depth_j={depth: cost.token_j + depth * cost.layer_pass_j + cost.head_pass_j for depth in by_depth},
        peer=_peer_times(prompt, step),
    )


def _peers(known: KnownModel, folder: Path, config: EngineConfig, precision: Precision) -> list[LlamaCpp]:
    """llama.cpp with these weights at these bits, on all threads and on one; it keeps its file open."""
    if not is_installed() or precision in {"fp32", "bf16"} or (file := write_gguf(known, folder)) is None:
        return []
    rounded = quantized(file, precision, folder)
    counts = sorted({1, cpu_threads(config)}, reverse=True)
    return [LlamaCpp(rounded, threads=count, max_positions=2 * _PROMPT_TOKENS) for count in counts]


def _peer_times(prompt: dict[str, Measured], step: dict[str, Measured]) -> PeerTimes | None:
    peers = [name for name in step if name != OURS]
    if not peers:
        return None
    fastest = min(peers, key=lambda name: statistics.median(step[name].wall_s))
    return PeerTimes(
        name=fastest,
        prefill_ms=1e3 * statistics.median(prompt[fastest].wall_s),
        token_ms=1e3 * statistics.median(step[fastest].wall_s),
        prefill=ratio(prompt[OURS].wall_s, prompt[fastest].wall_s),
        decode=ratio(step[OURS].wall_s, step[fastest].wall_s),
    )


def write_shape(known: KnownModel, folder: Path) -> None:
    """Writes configuration, tokenizer and random weights in bf16, a layer at a time."""
    config = AutoConfig.for_model(known.family, **_settings(known))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    generator, parts = _generator(), defaultdict[str, dict[str, torch.Size]](dict)
    places: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        parts[name.rpartition("layers.")[2].partition(".")[0] if "layers." in name else "ends"][name] = parameter.shape
    for part, shapes in parts.items():
        file = f"model-{part}.safetensors"
        save_file({name: _drawn(name, shape, generator) for name, shape in shapes.items()}, folder / file)
        places |= dict.fromkeys(shapes, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    config.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=_bytes_tokenizer()).save_pretrained(folder)


def _settings(known: KnownModel) -> dict[str, Any]:
    sizes = known.sizes
    settings: dict[str, Any] = {
        "num_hidden_layers": sizes.n_layers,
        "hidden_size": sizes.width,
        "num_attention_heads": sizes.n_heads,
        "num_key_value_heads": sizes.n_kv_heads,
        "head_dim": sizes.head_dim,
        "intermediate_size": sizes.mlp_width,
        "vocab_size": sizes.n_vocabulary,
        "tie_word_embeddings": sizes.is_tied,
        "max_position_embeddings": _POSITIONS,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if known.family == "opt":
        settings |= {"ffn_dim": sizes.mlp_width, "word_embed_proj_dim": sizes.width}
    if known.family == "granitemoehybrid":
        attends = {"layer_types": ["full_attention"] * sizes.n_layers, "position_embedding_type": "rope"}
        settings |= attends | {"shared_intermediate_size": sizes.mlp_width, "num_local_experts": 0}
    return settings


def _drawn(name: str, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    if len(shape) == 1:  # of norms, and biases
        return torch.full(tuple(shape), 1.0 if name.endswith("norm.weight") else 0.0, dtype=torch.bfloat16)
    return torch.empty(tuple(shape), dtype=torch.bfloat16).normal_(0.0, _SPREAD, generator=generator)


def _bytes_tokenizer() -> Tokenizer:
    """A token for each byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: place for place, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(_SEED)


def _peak_of_children() -> int | None:
    """None where this process has been as large: a child counts as large as its parent was when it began."""
    if sys.platform == "win32":
        return None
    import resource

    most, own = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    if most <= own:
        return None
    return most if sys.platform == "darwin" else 1024 * most
