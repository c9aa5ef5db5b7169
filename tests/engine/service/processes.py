"""Engines in processes of their own, around a fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from engine.service.endpoint import Endpoint
from engine.service.opened import open_shared
from engine.types import no_progress
from tests.engine.service.hosted import SHARED

if TYPE_CHECKING:
    from pathlib import Path

    from engine.service.shared_engine import SharedEngine

HOST = "tests.engine.service.fake_host"
LINGER_S = 0.5


def opened(folder: Path) -> SharedEngine:
    """One server's engine."""
    return open_shared(SHARED, no_progress, folder=folder, host=HOST, linger_s=LINGER_S)


def engine_process(folder: Path) -> psutil.Process:
    """The process of the engine that listens."""
    return psutil.Process(Endpoint.of(SHARED, folder).process_id)
