"""A server's own counter of joules, such as TensorRT-LLM's: what it says of a request, and where it says nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import EngineError
from engine.types import PROJECT_ALONE, Provenance
from tests.engine.remote.scripted_server import loaded, request

if TYPE_CHECKING:
    from tests.engine.remote.scripted_server import ScriptedServer

pytestmark = pytest.mark.timeout(60)


def test_joules_are_those_that_the_server_reports(server: ScriptedServer) -> None:
    class Counting(dict[str, tuple[int, Any]]):
        """TensorRT-LLM's counter: 2.5 J from one look to the next, and then it stands still."""

        total_j = 0.0

        def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401
            if path != "/energy_metrics":
                return super().get(path, default)
            self.total_j = min(7.5, self.total_j + 2.5)
            return (200, {"total_energy_j": self.total_j, "query_time": 1.0})

    server.answers = Counting(server.answers)
    engine = loaded(server)

    counted, not_counted = (engine.complete(request("a = ")).energy for _ in range(2))

    assert engine.energy_source.startswith("measured: the GPU counter of 127.0.0.1")
    assert (counted.energy_j, counted.range_j, counted.provenance) == (2.5, (0.0, 2.5), Provenance.MEASURED)
    assert (not_counted.energy_j, not_counted.range_j, not_counted.provenance) == (None, None, Provenance.NONE)
    engine.close()


def test_a_counter_that_fails_takes_no_text_along(server: ScriptedServer) -> None:
    server.answers["/energy_metrics"] = (200, {"total_energy_j": 1.0})
    engine = loaded(server)
    server.answers["/energy_metrics"] = (503, {"error": "Failed to read GPU energy"})

    completion = engine.complete(request("a = "))

    assert (completion.text, completion.energy.energy_j) == ("foo", None)
    engine.close()


@pytest.mark.parametrize("total_j", [float("nan"), float("inf"), -1.0, 10**400, "7"])
def test_a_counter_that_says_no_number_of_joules_is_none(server: ScriptedServer, total_j: object) -> None:
    server.answers["/energy_metrics"] = (200, {"total_energy_j": total_j})
    engine = loaded(server)

    assert engine.energy_source == f"not known: 127.0.0.1:{server.port} reports no energy"
    engine.close()


def test_what_a_request_took_that_failed_is_booked_to_no_other(server: ScriptedServer) -> None:
    server.answers["/energy_metrics"] = (200, {"total_energy_j": 1.0})
    engine = loaded(server)
    complete, server.answers["/v1/completions"] = server.answers["/v1/completions"], (503, {})
    with pytest.raises(EngineError):
        engine.complete(request("a = "))
    server.answers |= {"/v1/completions": complete, "/energy_metrics": (200, {"total_energy_j": 700.0})}
    server.asked.clear()

    free = engine.complete(request("a = ", policy=PROJECT_ALONE))

    assert (free.energy.energy_j, free.energy.provenance) == (None, Provenance.NONE)
    assert server.asked == []
    engine.close()


def test_a_text_waits_for_no_counter(server: ScriptedServer) -> None:
    class Silent(dict[str, tuple[int, Any]]):
        """A counter that has stopped answering."""

        def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401
            if path == "/energy_metrics":
                may_answer.wait(20)
            return super().get(path, default)

    may_answer = threading.Event()
    server.answers["/energy_metrics"] = (200, {"total_energy_j": 1.0})
    engine = loaded(server)
    server.answers = Silent(server.answers)

    started_s = time.perf_counter()
    completion = engine.complete(request("a = "))

    assert (completion.text, completion.energy.energy_j) == ("foo", None)
    assert time.perf_counter() - started_s < 5
    may_answer.set()
    engine.close()
