"""The runner that a converted model was written for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.runners.base import LayerRunner
    from engine.model.runners.layout import Layout


def open_runner(folder: Path, layout: Layout, *, threads: int) -> LayerRunner:
    """Opens what `engine.model.runners.conversion` wrote; neither runtime is imported in vain.

    Args:
        folder: With weights and tables.
        layout: What they hold.
        threads: The most that the runner takes.
    """
    if layout.runtime == "native":
        from engine.model.runners.native.runner import NativeRunner

        return NativeRunner(folder, layout, threads=threads)
    from engine.model.runners.onnx_runtime import OnnxRunner

    return OnnxRunner(folder, layout, threads=threads)
