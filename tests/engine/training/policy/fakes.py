"""A tiny model with trained-exit places, and training text for it."""

from engine.corpus.datasets import Corpus
from engine.model.loaded import LoadedModel
from engine.training.policy.plan import PolicyPlan
from engine.training.policy.ppo import PpoPlan
from tests.engine.training.fakes import LetterTokenization, code, source_file
from tests.tiny_models import early_exit_model, tiny_model

CHECK_LAYERS = (1, 2, 4, 5)

PLAN = PolicyPlan(
    places=12,
    validation_places=4,
    text_tokens=1000,
    start_steps=20,
    ppo=PpoPlan(steps=400, n_envs=4, rollout=128, batch_size=64, epochs=2),
    closed_loop_steps=60,
    table_places=2,
    check_layers=CHECK_LAYERS,
)


def tiny_loaded() -> LoadedModel:
    return LoadedModel(
        name="tiny",
        model=early_exit_model(tiny_model("llama", max_position_embeddings=2048), range(1, 6)),
        tokenization=LetterTokenization(),  # type: ignore[arg-type]  # its methods are all that is used
        device="cpu",
        processor="CPU",
        threads=1,
        precision="fp32",
        runtime="torch",
    )


def corpus() -> Corpus:
    return Corpus(
        sha256="c" * 64,
        files={
            "train": tuple(source_file(code(f"train{n}")) for n in range(4)),
            "validation": tuple(source_file(code(f"check{n}")) for n in range(2)),
            "test": (),
        },
    )
