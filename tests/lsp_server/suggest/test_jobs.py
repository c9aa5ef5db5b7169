import asyncio

from engine.types import CompletionRequest
from lsp_server.suggest.jobs import Job, Run, Unserved


def job(prefix: str) -> Job:
    return Job(
        uri="a.py",
        completion_id=prefix,
        request=CompletionRequest(prefix=prefix),
        typed_since=None,
        answer=asyncio.get_running_loop().create_future(),
    )


async def test_a_text_that_grows_is_judged_where_a_newer_job_waits_alone() -> None:
    run = Run(job("x = "))
    newer = job("x = 1")

    assert not run.grow("12")
    assert run.take_over(newer)
    assert run.grow("123")
    run.judge()

    assert not newer.answer.done()
    assert not run.cancellation.is_cancelled


async def test_a_newer_job_is_let_go_once_the_text_says_otherwise() -> None:
    run = Run(job("x = "))
    newer = job("x = 1")
    run.take_over(newer)

    assert run.grow("2")
    run.judge()

    assert newer.answer.result() is Unserved.UNSERVED
    assert run.cancellation.is_cancelled


async def test_a_text_that_nobody_waits_for_is_not_judged() -> None:
    run = Run(job("x = "))
    run.leave()

    assert not run.grow("12")
