"""START HERE for trained exits: `train_exits` trains the exits of any supported model, in minutes.

The closed form comes first and leaves the backbone as it is. A joint training of exits and layers may follow; it is
kept only where the last layer does not get worse. A killed run goes on from its last checkpoint. Where the text comes
from is `engine.corpus.datasets`; where the result is used, `engine.model.reference.trained_exits`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.errors import TrainingError
from engine.files import written_whole
from engine.model.reference.eager import backbone_of
from engine.model.reference.trained_exits import TrainedExits, save_trained_exits
from engine.model.stored_exits import TrainedExitsInfo
from engine.training.agreement import ExitQuality, judge
from engine.training.averaging import averaged
from engine.training.joint import ExitStudent, train_jointly
from engine.training.joint_plan import JointPlan
from engine.training.ridge import RegressionSums, fit
from engine.training.shortlist import shortlist
from engine.training.states import Block, block_states, blocks
from engine.types import ProgressSink, no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

    from engine.corpus.datasets import Corpus
    from engine.corpus.packages import Split
    from engine.model.early_exit import EarlyExitModel
    from engine.model.loaded import LoadedModel

_CHECKPOINT_EVERY = 32  # blocks; about half a minute on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How much text is used.

    Attributes:
        train_tokens: Tokens for the ridge regression.
        joint_tokens: Tokens for the joint training of exits and layers; 0 leaves it out and the layers as they are.
        joint: How the joint training runs.
        validation_tokens: Tokens to choose the ridge by, and to see whether the joint training did good.
        test_tokens: Tokens to judge the result by.
    """

    train_tokens: int = 80_000
    joint_tokens: int = 0
    joint: JointPlan = field(default_factory=JointPlan)
    validation_tokens: int = 12_000
    test_tokens: int = 20_000

    @property
    def n_tokens(self) -> int:
        """How often a token runs through the model, but for the joint training; the test's before and after."""
        return self.train_tokens + self.validation_tokens + 2 * self.test_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitTraining:
    """What a training gave.

    Attributes:
        exits: The exits as they were saved.
        jointly: Whether the joint training was kept.
        before: Every exit on the test text as the model came, the last layer at the end.
        after: The same with the trained exits.
        refused: The same on the validation text, before and after a joint training that was not kept; None for no such.
    """

    exits: TrainedExits
    jointly: bool
    before: list[ExitQuality]
    after: list[ExitQuality]
    refused: tuple[list[ExitQuality], list[ExitQuality]] | None = None


def train_exits(
    loaded: LoadedModel,
    corpus: Corpus,
    output: Path,
    *,
    plan: TrainingPlan,
    start: TrainedExits | None = None,
    progress: ProgressSink = no_progress,
) -> ExitTraining:
    """Fits a map for every exit of a model, trains on where asked, judges it on held-out packages, and saves it.

    Args:
        loaded: The model, without trained exits. A joint training adapts its layers.
        corpus: Training text in its three splits.
        output: The file to write; checkpoints lie beside it until the end.
        plan: How much text to use.
        start: Exits to train on from, in place of a first fit; the joint training reads on where theirs ended.
        progress: Is called for each block.

    Raises:
        TrainingError: If a split is empty, a checkpoint cannot be written, or nothing compiles the layers.
        ModelError: If the result cannot be written.
    """
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
    run = _run_key(model, corpus, plan, start)
    checkpoints: dict[str, Path] = {
        name: output.with_suffix(f".{name}.checkpoint") for name in ("train", "validation", "joint")
    }
    first = start or _fitted(loaded, corpus, parts, checkpoints, run=run, progress=progress)
    backbone = backbone_of(model.runner)
    if start is not None:
        start.adapt(backbone)
    before = judge(model, parts["test"], (start,), progress=progress)[0]
    jointly = refused = None
    if plan.joint_tokens:
        goes_on = start is not None and start.info.corpus_sha256 == corpus.sha256
        already = first.info.train_tokens if goes_on else 0
        text = blocks(corpus.files["train"], loaded.tokenization, max_tokens=plan.joint_tokens, skip=already)
        jointly, refused = _trained_jointly(
            model,
            first,
            text=list(text),
            validation=parts["validation"],
            checkpoint=checkpoints["joint"],
            plan=plan.joint,
            run=run,
            progress=progress,
        )
    exits = jointly or first
    after = judge(model, parts["test"], (exits,), progress=progress)[0]
    agreement = tuple(round(quality.agreement.value, 4) for quality in after[:-1])
    listed = shortlist(corpus.files["train"], loaded.tokenization, model.n_vocabulary)
    exits = TrainedExits(replace(exits.info, agreement=agreement), exits.maps, exits.updates, listed)
    save_trained_exits(exits, output)
    for path in checkpoints.values():
        path.unlink(missing_ok=True)
    return ExitTraining(exits=exits, jointly=jointly is not None, before=before, after=after, refused=refused)


def _fitted(
    loaded: LoadedModel,
    corpus: Corpus,
    parts: Mapping[Split, Sequence[Block]],
    checkpoints: Mapping[str, Path],
    *,
    run: str,
    progress: ProgressSink,
) -> TrainedExits:
    """Maps in closed form; the layers stay as they are."""
    model = loaded.model
    fitted_on: tuple[Split, ...] = ("train", "validation")
    train, validation = (
        regression_sums(model, parts[split], checkpoints[split], run=f"{run}-{split}", progress=progress)
        for split in fitted_on
    )
    maps = {
        exit_: (affine[:-1].T.float(), affine[-1].float())
        for exit_, affine in zip(model.exit_layers, fit(train, validation), strict=True)
    }
    info = TrainedExitsInfo(
        model=loaded.name,
        fingerprint=model.fingerprint,
        exit_layers=model.exit_layers,
        corpus_sha256=corpus.sha256,
        train_tokens=train.count,
        created=_today(),
        agreement=(),
    )
    return TrainedExits(info, maps).rounded()


def _trained_jointly(
    model: EarlyExitModel,
    first: TrainedExits,
    *,
    text: Sequence[Block],
    validation: Sequence[Block],
    checkpoint: Path,
    plan: JointPlan,
    run: str,
    progress: ProgressSink,
) -> tuple[TrainedExits, None] | tuple[None, tuple[list[ExitQuality], list[ExitQuality]]]:
    """Exits trained together with the layers of `model`, which are adapted to `first` and then to what comes of it.

    Where that made the last layer worse on the validation text, how all were there before and after in their place;
    the layers are then as they were.
    """
    was = judge(model, validation, (first,), progress=progress)[0]
    backbone = backbone_of(model.runner)
    trainee = copy.deepcopy(backbone)
    first.take_out(trainee)
    teacher = copy.deepcopy(backbone) if plan.held_weight else None
    student = ExitStudent(trainee, model.exit_layers, first.maps, plan, updates=first.updates, teacher=teacher)
    learned = train_jointly(student, text, checkpoint, plan=plan, run=run, progress=progress)
    learned += first.info.train_tokens if first.updates else 0
    info = replace(first.info, train_tokens=learned, created=_today())
    trained = TrainedExits(info, student.maps(), student.updates())
    trained = (trained if plan.share == 1.0 else averaged(first, trained, plan.share)).rounded()
    del student, trainee, teacher
    as_it_was = copy.deepcopy(backbone.state_dict())
    first.take_out(backbone)
    trained.adapt(backbone)
    now = judge(model, validation, (trained,), progress=progress)[0]
    if now[-1].accuracy.value >= was[-1].accuracy.value:
        return trained, None
    backbone.load_state_dict(as_it_was)
    return None, (was, now)


def _today() -> str:
    return datetime.now(timezone.utc).date().isoformat()


def regression_sums(
    model: EarlyExitModel,
    part: Sequence[Block],
    checkpoint: Path,
    *,
    run: str,
    progress: ProgressSink,
) -> RegressionSums:
    """Sums over every token of `part`; goes on from the checkpoint where that belongs to the same `run`.

    Args:
        model: The model whose states are summed.
        part: The training text.
        checkpoint: The file that the sums are kept in on the way.
        run: Names what the sums are of.
        progress: Is called for each block.

    Raises:
        TrainingError: If the checkpoint cannot be written.
    """
    width = model.exit_state(model.embed(part[0].token_ids[:1], 0), model.n_layers).shape[-1]
    device = backbone_of(model.runner).device
    n_done, sums = _resumed(checkpoint, run) or (0, RegressionSums.empty(len(model.exit_layers), width, device))
    sums = replace(sums, xx=sums.xx.to(device), xy=sums.xy.to(device), yy=sums.yy.to(device))
    for done in range(n_done, len(part)):
        progress("Training the exits", done, len(part))
        states = block_states(model, part[done].token_ids)
        sums.add(states.exits, states.last)
        if (done + 1) % _CHECKPOINT_EVERY == 0 or done + 1 == len(part):
            _keep(checkpoint, run, done + 1, sums)
    return sums


def _run_key(model: EarlyExitModel, corpus: Corpus, plan: TrainingPlan, start: TrainedExits | None) -> str:
    """What must be the same for a checkpoint to be of use."""
    begun = None if start is None else start.fingerprint
    key = json.dumps([model.fingerprint, model.exit_layers, corpus.sha256, asdict(plan), begun])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _keep(path: Path, run: str, n_done: int, sums: RegressionSums) -> None:
    metadata = {"run": run, "n_done": str(n_done), "count": str(sums.count)}
    try:
        with written_whole(path) as partial:
            save_file({"xx": sums.xx, "xy": sums.xy, "yy": sums.yy}, partial, metadata=metadata)
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
