"""Training text and models small enough for a test."""

import tarfile
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import torch

from engine.corpus.packages import CorpusLanguage, Package
from engine.corpus.source_text import SourceFile
from engine.model.loaded import LoadedModel
from engine.model.vocabulary import Vocabulary
from tests.tiny_models import early_exit_model, tiny_model


class LetterTokenization:
    """One token a character, so that a tiny vocabulary is enough."""

    end_ids = frozenset[int]()
    control_ids: ClassVar[dict[str, int]] = {}
    vocabulary = Vocabulary({})  # it spells nothing, so words are read as they stand
    start_ids: ClassVar[list[int]] = []

    def certain_length(self, text: str, word_start: int) -> int:
        return word_start

    def cuts(self, typed: str) -> set[tuple[int, int]]:
        return set()

    def encode(self, text: str) -> list[int]:
        return [ord(char) % 97 for char in text]

    def encode_text(self, text: str) -> list[int]:
        return self.encode(text)

    def encode_parts(self, parts: Sequence[str]) -> list[int]:
        [text] = parts  # no control token is known
        return self.encode(text)

    def continuation(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def token_texts(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[str]:
        return [chr(idx) for idx in ids]


def tiny_loaded() -> LoadedModel:
    return LoadedModel(
        name="tiny",
        model=early_exit_model(tiny_model("llama")),
        tokenization=LetterTokenization(),  # type: ignore[arg-type]  # its methods are all that is used
        device="cpu",
        processor="CPU",
        threads=1,
        precision="fp32",
        runtime="torch",
    )


def source_file(
    text: str, *, package: str = "one", path: str = "a.py", language: CorpusLanguage = "python"
) -> SourceFile:
    return SourceFile(language=language, package=package, path=path, text=text)


def package(name: str = "one", **changes: object) -> Package:
    fields = {"registry": "pypi", "name": name, "version": "1", "language": "python", "licence": "MIT", "sha256": "0"}
    return Package(**fields | changes)  # type: ignore[arg-type]  # the fields of a package


def write_wheel(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in members.items():
            wheel.writestr(name, text)
    return path


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w:xz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    return path


ACCOUNT = """class Account:
    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        self.balance += amount

    def withdraw(self, amount):
        self.balance -= """
"""The beginning of a class that wants its amount subtracted."""


def code(name: str, lines: int = 30) -> str:
    """Python that a person might have written; another name gives other text throughout."""
    return "".join(
        f"def {name}_{n}(value_{name}, other):\n    return value_{name} + other * {n}\n\n" for n in range(lines)
    )


def typescript(name: str, lines: int = 30) -> str:
    """The same in TypeScript."""
    return "".join(
        f"export function {name}_{n}(value: number): number {{\n  return value + {n} * {name};\n}}\n\n"
        for n in range(lines)
    )


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
