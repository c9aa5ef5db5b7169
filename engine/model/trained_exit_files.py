"""Where the trained exits of a model are kept. Knows nothing of what is in the files, and imports no torch."""

from pathlib import Path

from engine.artifacts import Artifact

TRAINED_EXITS = Artifact(
    folder="exits",
    file_name="trained_exits.safetensors",
    packaged=Path(__file__).with_name("artifacts"),
    former_name="shortcuts.safetensors",
)
