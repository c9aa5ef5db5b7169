"""One of several processes that train tiny exits together; prints what it holds in the end.

Started by `accelerate launch`; its argument is the folder to write to.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from engine.corpus.datasets import Corpus
from engine.corpus.packages import Split
from engine.training.exits import TrainingPlan, train_exits
from engine.training.joint_plan import JointPlan
from engine.training.sharding import Ranks, shard
from tests.engine.training.fakes import code, source_file, tiny_loaded
from tests.tiny_models import tiny_model

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TWO_STEPS = TrainingPlan(
    train_tokens=1500,
    validation_tokens=600,
    test_tokens=600,
    joint_tokens=2100,
    joint=JointPlan(rank=4, learning_rate=5e-3, batch_blocks=2, text_rows=64, exit_rows=64, vocabulary=97),
)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    corpus = Corpus(sha256="c" * 64, files={split: (source_file(code(split)),) for split in SPLITS})
    steps: list[int] = []

    def count(message: str, done: int, total: int | None) -> None:
        if message.startswith("Training exits and layers"):
            steps.append(done)

    trained = train_exits(tiny_loaded(), corpus, folder / "trained_exits.safetensors", plan=TWO_STEPS, progress=count)
    other_text = replace(corpus, sha256="d" * 64)
    going_on = replace(TWO_STEPS, joint=TWO_STEPS.joint.going_on())
    further = train_exits(
        tiny_loaded(), other_text, folder / "further.safetensors", plan=going_on, start=trained.exits, progress=count
    )
    tensors = [tensor for pair in (*trained.exits.maps.values(), *trained.exits.updates.values()) for tensor in pair]
    found = {
        "steps": steps,
        "kept": trained.jointly,
        "finite": all(bool(tensor.isfinite().all()) for tensor in tensors),
        "fingerprint": trained.exits.fingerprint,
        "fingerprint_further": further.exits.fingerprint,
        "agreement": [quality.agreement.value for quality in trained.after],
    }
    whole, ranks = tiny_model("llama"), Ranks.here()
    n_weights = sum(weight.numel() for weight in whole.parameters())
    shard(whole, whole.model.layers, ranks)
    held = sum(weight.to_local().numel() for weight in whole.parameters() if isinstance(weight, DTensor))
    (folder / f"{ranks.own}.json").write_text(json.dumps(found | {"share": round(held / n_weights, 2)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
