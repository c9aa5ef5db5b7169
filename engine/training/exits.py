"""START HERE for trained exits: `train_exits` makes shortcuts for the exits of any supported model, in minutes.

The backbone is frozen and stays as it is, so the last layer's text cannot change. A killed run goes on from its last
checkpoint. Where the text comes from is `engine.training.datasets`; where the result is used, `engine.model.shortcuts`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.errors import TrainingError
from engine.model.shortcuts import Shortcuts, ShortcutsInfo, save_shortcuts
from engine.training.agreement import ExitQuality, judge
from engine.training.distillation import distil
from engine.training.ridge import RegressionSums, fit
from engine.training.states import BLOCK_TOKENS, Block, BlockStates, block_states, blocks
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

    from engine.model.early_exit import EarlyExitModel
    from engine.model.loading import LoadedModel
    from engine.training.datasets import Corpus
    from engine.training.packages import Split

_CHECKPOINT_EVERY = 32  # blocks; about half a minute on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How much text is used.

    Attributes:
        train_tokens: For the ridge regression.
        distilled_tokens: How many of them the distillation sees; their states are kept in memory. 0 leaves it out.
        epochs: Passes of the distillation over them.
        validation_tokens: To choose the ridge, and between the two kinds of shortcut.
        test_tokens: To judge the result.
    """

    train_tokens: int = 80_000
    distilled_tokens: int = 0
    epochs: int = 2
    validation_tokens: int = 12_000
    test_tokens: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExits:
    """What a training gave.

    Attributes:
        shortcuts: As they were saved.
        distilled: The exits whose ridge solution the distillation made better on the validation text.
        before: Every exit on the test text as the model came, the last layer at the end.
        after: The same through the shortcuts.
    """

    shortcuts: Shortcuts
    distilled: tuple[int, ...]
    before: list[ExitQuality]
    after: list[ExitQuality]


def train_exits(
    loaded: LoadedModel,
    corpus: Corpus,
    output: Path,
    *,
    plan: TrainingPlan | None = None,
    progress: ProgressSink = no_progress,
) -> TrainedExits:
    """Fits a shortcut for every exit of a model, distils it, judges it on held-out packages, and saves it.

    Args:
        loaded: The model; it is not changed.
        corpus: Training text in its three splits.
        output: The file to write; checkpoints lie beside it until the end.
        plan: How much text to use.
        progress: Told of the blocks done.

    Raises:
        TrainingError: If a split is empty, or a checkpoint cannot be written.
        ModelError: If the result cannot be written.
    """
    plan = plan or TrainingPlan()
    model = loaded.model
    wanted: dict[Split, int] = {
        "train": plan.train_tokens,
        "validation": plan.validation_tokens,
        "test": plan.test_tokens,
    }
    parts = {split: list(blocks(corpus.files[split], loaded.tokenization, max_tokens=n)) for split, n in wanted.items()}
    for split, part in parts.items():
        if not part:
            raise TrainingError(f"The training text has no files for the split '{split}'.")
    run = _run_key(model, corpus, plan)
    checkpoints: dict[Split, Path] = {
        "train": output.with_suffix(".train.checkpoint"),
        "validation": output.with_suffix(".validation.checkpoint"),
    }
    train, validation = (
        regression_sums(model, parts[split], path, run=f"{run}-{split}", progress=progress)
        for split, path in checkpoints.items()
    )
    maps = {
        exit_: (affine[:-1].T.float(), affine[-1].float())
        for exit_, affine in zip(model.exit_layers, fit(train, validation), strict=True)
    }
    info = ShortcutsInfo(
        model=loaded.name,
        fingerprint=model.fingerprint,
        exit_layers=model.exit_layers,
        corpus_sha256=corpus.sha256,
        train_tokens=train.count,
        created=datetime.now(timezone.utc).date().isoformat(),
        agreement=(),
    )
    shortcuts, distilled = _distilled(model, Shortcuts(info, maps), parts, plan, progress)
    before, after = judge(model, parts["test"], (None, shortcuts), progress=progress)
    agreement = tuple(round(quality.agreement.mean, 4) for quality in after[:-1])
    shortcuts = Shortcuts(replace(info, agreement=agreement), shortcuts.maps)
    save_shortcuts(shortcuts, output)
    for path in checkpoints.values():
        path.unlink(missing_ok=True)
    return TrainedExits(shortcuts=shortcuts, distilled=distilled, before=before, after=after)


def _distilled(
    model: EarlyExitModel,
    ridge: Shortcuts,
    parts: Mapping[Split, Sequence[Block]],
    plan: TrainingPlan,
    progress: ProgressSink,
) -> tuple[Shortcuts, tuple[int, ...]]:
    """For each exit the better on the validation text of its ridge solution and the distilled one; and which those are.

    All are rounded as they will be stored, so that what is judged is what ships.
    """
    ridge = _rounded(ridge)
    states: list[BlockStates] = []
    n_blocks = min(len(parts["train"]), plan.distilled_tokens // BLOCK_TOKENS)
    for done, block in enumerate(parts["train"][:n_blocks]):
        progress("Preparing the distillation", done, n_blocks)
        states.append(block_states(model, block.token_ids))
    if not states:
        return ridge, ()
    maps = distil(model, states, ridge.maps, epochs=plan.epochs, progress=progress)
    distilled = _rounded(Shortcuts(ridge.info, maps))
    by_ridge, by_distillation = judge(model, parts["validation"], (ridge, distilled), progress=progress)
    better = tuple(
        new.exit_layer
        for old, new in zip(by_ridge[:-1], by_distillation[:-1], strict=True)
        if new.agreement.mean > old.agreement.mean
    )
    chosen = {exit_: (distilled if exit_ in better else ridge).maps[exit_] for exit_ in model.exit_layers}
    return Shortcuts(ridge.info, chosen), better


def _rounded(shortcuts: Shortcuts) -> Shortcuts:
    maps = {exit_: (weight.half().float(), bias.half().float()) for exit_, (weight, bias) in shortcuts.maps.items()}
    return Shortcuts(shortcuts.info, maps)


def regression_sums(
    model: EarlyExitModel,
    part: Sequence[Block],
    checkpoint: Path,
    *,
    run: str,
    progress: ProgressSink = no_progress,
) -> RegressionSums:
    """Sums over every token of `part`; goes on from the checkpoint where that belongs to the same `run`.

    Raises:
        TrainingError: If the checkpoint cannot be written.
    """
    width = model.exit_state(model.embed(part[0].token_ids[:1], 0), model.n_layers).shape[-1]
    n_done, sums = _resumed(checkpoint, run) or (0, RegressionSums.empty(len(model.exit_layers), width, model.device))
    sums = replace(sums, xx=sums.xx.to(model.device), xy=sums.xy.to(model.device), yy=sums.yy.to(model.device))
    for done in range(n_done, len(part)):
        progress("Training the exits", done, len(part))
        states = block_states(model, part[done].token_ids)
        sums.add(states.exits, states.last)
        if (done + 1) % _CHECKPOINT_EVERY == 0 or done + 1 == len(part):
            _keep(checkpoint, run, done + 1, sums)
    return sums


def _run_key(model: EarlyExitModel, corpus: Corpus, plan: TrainingPlan) -> str:
    """What must be the same for a checkpoint to be of use."""
    key = json.dumps([model.fingerprint, model.exit_layers, corpus.sha256, asdict(plan)])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _keep(path: Path, run: str, n_done: int, sums: RegressionSums) -> None:
    partial = path.with_suffix(".partial")
    metadata = {"run": run, "n_done": str(n_done), "count": str(sums.count)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"xx": sums.xx, "xy": sums.xy, "yy": sums.yy}, partial, metadata=metadata)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"The checkpoint {path} could not be written; the disk may be full.") from error


def _resumed(path: Path, run: str) -> tuple[int, RegressionSums] | None:
    """The sums of a checkpoint and how many blocks they cover; None where it is missing, damaged or another run's."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("run") != run:
                return None
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in ("xx", "xy", "yy")}
            return int(metadata["n_done"]), RegressionSums(**tensors, count=int(metadata["count"]))
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
