"""The runner that a prepared model was written for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.layer_runner import MappedRunner
    from engine.model.prepared.layout import Layout


def open_runner(folder: Path, layout: Layout, *, threads: int) -> MappedRunner:
    """Opens what `engine.model.prepared.writing` wrote; imports only the runtime that runs it.

    Args:
        folder: The folder with weights and tables.
        layout: What they hold.
        threads: The most threads that the runner takes.
    """
    if layout.runtime == "native":
        from engine.model.prepared.native.runner import NativeRunner

        return NativeRunner(folder, layout, threads=threads)
    from engine.model.prepared.onnx_runtime import OnnxRunner

    return OnnxRunner(folder, layout, threads=threads)
