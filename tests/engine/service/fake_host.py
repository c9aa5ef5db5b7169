"""The process of a shared engine around a fake; `engine.service.opened` starts it in place of the real one."""

from engine.service.process import run
from tests.fakes import load_fake_engine


def main() -> None:
    """Serves the fake."""
    run(load_fake_engine)
