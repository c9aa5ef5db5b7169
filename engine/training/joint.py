"""Exits and backbone trained together: low-rank updates of the layers, and the maps that read exits.

Starts from the maps of the ridge. The last layer learns from the text, each exit from the last layer's choice of words
(LayerSkip, arXiv 2404.16710, by distillation and with weights growing with depth); the base weights stay as they are,
beside low-rank updates (LoRA, arXiv 2106.09685) that are small enough to ship. A training that goes on from an earlier
one holds the last layer at what it says already: more text of the same kind makes it worse, not better. A killed run
goes on from its last checkpoint. Under `accelerate launch` several processes train together, each with its share of
weights and text.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from engine.errors import TrainingError
from engine.files import written_whole
from engine.model.reference.adapters import adapter_for
from engine.training.batches import IGNORED, frequent_words, groups, padded
from engine.training.sharding import Ranks, shard, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel

    from engine.model.reference.trained_exits import Affine, LowRank
    from engine.training.batches import Batch
    from engine.training.joint_plan import JointPlan
    from engine.training.states import Block
    from engine.types import ProgressSink

_CHECKPOINT_EVERY = 50  # steps
_BETAS = (0.9, 0.98)
_WARMUP = 0.03  # share of the steps
_SEED = 0
_TRIED = 4  # steps, to know how long one takes


def cxx_compiler() -> str:
    """The one that PyTorch compiles with, whether it is there or not."""
    return os.environ.get("CXX", {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++"))


class ExitStudent(nn.Module):
    """A backbone with exit maps, whose forward pass is the loss of a batch."""

    def __init__(
        self,
        model: PreTrainedModel,
        exit_layers: Sequence[int],
        maps: Mapping[int, Affine],
        plan: JointPlan,
        *,
        updates: Mapping[str, LowRank] | None = None,
        teacher: PreTrainedModel | None = None,
    ) -> None:
        """Wraps `model`, which is good for nothing else afterwards, as `teacher` is.

        Args:
            model: The base model.
            exit_layers: Where its exits are, in ascending order.
            maps: Where the maps start, by exit.
            plan: How to train.
            updates: Where the updates start; None starts them at nothing.
            teacher: What the last layer is held at and the exits learn from; None lets the last layer learn.
        """
        super().__init__()
        self._plan, self._exit_layers = plan, tuple(exit_layers)
        self._adapter = adapter_for(model)
        self.layers = [*self._adapter.layers]
        self.teacher = teacher
        if teacher is not None:
            self.layers += adapter_for(teacher).layers
            teacher.requires_grad_(requires_grad=False)
        if plan.bf16:
            for each in filter(None, (model, teacher)):
                each.to(torch.bfloat16)
        updates = updates or {}
        rank = max((up.shape[1] for up, _ in updates.values()), default=0)
        self.backbone = _with_updates(model, plan.rank and max(plan.rank, rank))
        self._start_from(updates)
        self.weights = nn.ParameterDict({str(e): nn.Parameter(maps[e][0].clone()) for e in exit_layers})
        self.biases = nn.ParameterDict({str(e): nn.Parameter(maps[e][1].clone()) for e in exit_layers})

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, words: torch.Tensor) -> dict[str, torch.Tensor]:
        """The loss of a batch.

        Args:
            input_ids: [B, T], padded at the end.
            labels: The tokens that follow, [B, T], -100 where there is none.
            words: The vocabulary that the exits are judged on, [K].

        Returns:
            "loss", and for the log "last" (of the last layer: cross-entropy, or with a teacher the KL from it) and
            "exits" (mean KL of the exits).
        """
        plan, labels = self._plan, labels.flatten()
        states = _states(self.backbone, input_ids)
        rows = (labels != IGNORED).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), device=rows.device)]
        text_rows, exit_rows = rows[: plan.text_rows], rows[: plan.exit_rows]
        choice = functional.log_softmax(self._adapter.head(states[-1][text_rows]).float(), dim=-1)
        last_loss = functional.nll_loss(choice, labels[text_rows])
        loss = plan.text_weight * last_loss
        taught = states[-1].detach()
        if self.teacher is not None:
            with torch.no_grad():
                taught = _states(self.teacher, input_ids)[-1]
                target = functional.log_softmax(self._adapter.head(taught[text_rows]).float(), dim=-1)
            last_loss = functional.kl_div(choice, target, log_target=True, reduction="batchmean")
            loss = loss + plan.held_weight * last_loss
        head = self._head(words)
        target = functional.log_softmax(head(taught[exit_rows]), dim=-1)
        exits_loss = last_loss.new_zeros(())
        total = sum(self._exit_layers)
        for exit_ in self._exit_layers:
            normed = self._adapter.final_norm(states[exit_][exit_rows]).float()
            state = functional.linear(normed, self.weights[str(exit_)], self.biases[str(exit_)])
            choice = functional.log_softmax(head(state), dim=-1)
            kl = functional.kl_div(choice, target, log_target=True, reduction="batchmean")
            exits_loss = exits_loss + kl * (exit_ / total if plan.grows else 1 / len(self._exit_layers))
        loss = loss + plan.exit_weight * exits_loss
        return {"loss": loss, "last": last_loss.detach(), "exits": exits_loss.detach()}

    def _head(self, words: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """The LM head for some words alone."""
        weight: torch.Tensor = self.backbone.get_output_embeddings().weight.detach()[words].float()
        return lambda states: functional.linear(states.float(), weight).float()

    def learned(self) -> dict[str, torch.Tensor]:
        """Everything that training changes, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def compile_layers(self) -> None:
        """Compiles each layer at its first run: what a norm or a softmax passes over several times is passed over once.

        The one fused kernel of attention cannot be compiled into the rest, so its plain steps are.

        Raises:
            TrainingError: If there is no C++ compiler.
        """
        if shutil.which(cxx_compiler()) is None:
            raise TrainingError(f"Compiling the layers needs a C++ compiler, and there is no {cxx_compiler()}.")
        for each in filter(None, (self.backbone, self.teacher)):
            each.set_attn_implementation("eager")
        for layer in self.layers:
            layer.compile(dynamic=False)

    def maps(self) -> dict[int, Affine]:
        """The maps as they are now."""
        return {e: (whole(self.weights[str(e)]), whole(self.biases[str(e)])) for e in self._exit_layers}

    def updates(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """The low-rank updates: for each weight of the base model the factors (up [out, r], down [r, in])."""
        return {name: (whole(up.weight) * scaling, whole(down.weight)) for name, up, down, scaling in self._factors()}

    @torch.no_grad()
    def _start_from(self, updates: Mapping[str, LowRank]) -> None:
        for name, up, down, scaling in self._factors():
            if name in updates:
                up_start, down_start = updates[name]
                rank = len(down_start)
                up.weight[:, :rank] = up_start / scaling  # further ones add nothing yet
                up.weight[:, rank:] = 0
                down.weight[:rank] = down_start

    def _factors(self) -> Iterator[tuple[str, nn.Linear, nn.Linear, float]]:
        """For each updated weight of the base model its name, its factors up and down, and what they are scaled by."""
        for name, module in self.backbone.named_modules():
            if hasattr(module, "lora_A") and "default" in module.lora_A:
                weight = f"{name.removeprefix('base_model.model.')}.weight"
                yield weight, module.lora_B["default"], module.lora_A["default"], module.scaling["default"]


def train_jointly(
    student: ExitStudent,
    blocks: Sequence[Block],
    checkpoint: Path,
    *,
    plan: JointPlan,
    run: str,
    progress: ProgressSink,
) -> int:
    """One pass over the blocks, or over as many as the plan has the time for; `student` is changed in place.

    Several processes keep no checkpoint: a killed run of theirs begins anew.

    Args:
        student: The model with its exits.
        blocks: Training text.
        checkpoint: File to go on from, and to keep on the way.
        plan: How to train.
        run: Names the run; a checkpoint of another run is not used.
        progress: Is called for each step.

    Returns:
        How many tokens were learned from.

    Raises:
        TrainingError: If a checkpoint cannot be written, or the layers are to be compiled and nothing can.
    """
    ranks = Ranks.here()
    if ranks.count > 1:
        shard(student, student.layers, ranks)
    torch.manual_seed(_SEED)
    if plan.compiled:
        student.compile_layers()
    words = frequent_words(blocks, plan.vocabulary).to(next(student.parameters()).device)
    length = max(len(block.token_ids) for block in blocks)  # one for all: what is compiled has one shape
    steps = list(groups(blocks, max(plan.batch_blocks, ranks.count)))
    batches = [padded(group[ranks.own :: ranks.count], length) for group in steps]
    if plan.seconds is not None:
        batches = batches[: _steps_in(plan, student, batches, words, ranks)]
    optimizer = torch.optim.Adam(student.learned().values(), lr=plan.learning_rate, betas=_BETAS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, total_steps=max(2, len(batches)), pct_start=_WARMUP, cycle_momentum=False
    )
    state = _Run(run, student, optimizer, schedule)
    done = _resume(checkpoint, state) if ranks.count == 1 else 0
    student.train()
    for step in range(done, len(batches)):
        with _precision(plan, words.device):
            losses = student(*(part.to(words.device) for part in batches[step]), words)
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(student.learned().values(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        last, exits = float(losses["last"]), float(losses["exits"])
        progress(f"Training exits and layers (last layer {last:.2f}, exits {exits:.2f})", step + 1, len(batches))
        if (step + 1) % _CHECKPOINT_EVERY == 0 and ranks.count == 1:
            _keep(checkpoint, state, step + 1)
    student.eval()
    return sum(len(block.token_ids) for group in steps[: len(batches)] for block in group)


def _states(model: PreTrainedModel, input_ids: torch.Tensor) -> list[torch.Tensor]:
    """Before the first layer, behind each but the last, and behind the final norm: [B * T, D] each."""
    out = model(input_ids=input_ids, output_hidden_states=True, use_cache=False, logits_to_keep=1)
    return [state.flatten(0, 1) for state in out.hidden_states]


def _precision(plan: JointPlan, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=plan.bf16)


def _steps_in(
    plan: JointPlan, student: ExitStudent, batches: Sequence[Batch], words: torch.Tensor, ranks: Ranks
) -> int:
    """How many steps the plan has the time for, as the fastest of a few tells that change nothing."""
    assert plan.seconds is not None
    took_s = []
    for batch in batches[:_TRIED]:
        started_s = time.perf_counter()
        with _precision(plan, words.device):
            loss = student(*(part.to(words.device) for part in batch), words)["loss"]
        loss.backward()
        float(loss.detach())  # waits for a GPU
        student.zero_grad()
        took_s.append(time.perf_counter() - started_s)
    steps = int((plan.seconds - sum(took_s)) / min(took_s, default=1.0))
    return ranks.least(max(1, min(len(batches), steps)))


def _with_updates(model: PreTrainedModel, rank: int) -> PreTrainedModel:
    model.requires_grad_(requires_grad=False)
    if not rank:
        return model
    try:
        from peft import LoraConfig, get_peft_model
        from peft.tuners.lora import LoraLayer
    except ImportError as error:
        raise TrainingError("Training needs more packages: run `pip install 'green-code[train]'` first.") from error
    wrapped = get_peft_model(model, LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear"))
    for module in wrapped.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False  # autocast casts the small factors instead of every state
    return wrapped


@dataclass(frozen=True, slots=True)
class _Run:
    """What a checkpoint holds."""

    name: str
    student: ExitStudent
    optimizer: Optimizer
    schedule: LRScheduler


def _keep(path: Path, run: _Run, done: int) -> None:
    state = {
        "run": run.name,
        "done": done,
        "learned": {name: parameter.detach().cpu() for name, parameter in run.student.learned().items()},
        "optimizer": run.optimizer.state_dict(),
        "schedule": run.schedule.state_dict(),
    }
    try:
        with written_whole(path) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"The checkpoint {path} could not be written; the disk may be full.") from error


def _resume(path: Path, run: _Run) -> int:
    """Steps done by an earlier, killed run, whose state is put back; 0 where there is none."""
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["run"] != run.name:
            return 0
        learned = run.student.learned()
        with torch.no_grad():
            for name, value in state["learned"].items():
                learned[name].copy_(value)
        run.optimizer.load_state_dict(state["optimizer"])
        run.schedule.load_state_dict(state["schedule"])
        return int(state["done"])
    except (OSError, RuntimeError, KeyError, ValueError, EOFError):
        return 0
