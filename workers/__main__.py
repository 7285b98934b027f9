"""`python -m workers`: the jobs, for operators."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich import box
from rich.console import Console
from rich.table import Table

from workers.records import QueuedJob
from workers.settings import TierSettings
from workers.store import (
    AlreadyBilledError,
    BrokerUnavailableError,
    JobStore,
    UnknownCursorError,
    WrongStatusError,
)
from workers.undelivered import Undelivered

T = TypeVar("T")

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="Of the job.")]

app = typer.Typer(
    help="Look at the jobs of the tier that OFFLOOP_REDIS_URL names, and intervene.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (BrokerUnavailableError, RedisError) as error:
        reason = str(error).rstrip(".")
        raise typer.BadParameter(
            f"the broker does not answer: {reason}. Is it running, and does OFFLOOP_REDIS_URL "
            "name it?"
        ) from error
    except ValidationError as error:
        raise typer.BadParameter(
            "; ".join(wrong["msg"].removeprefix("Value error, ") for wrong in error.errors())
        ) from error


def _ask(question: Callable[[JobStore], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with JobStore(TierSettings()) as store:
            return await question(store)

    try:
        with _explained():
            return asyncio.run(ask())
    except (AlreadyBilledError, UnknownCursorError, WrongStatusError) as error:
        raise typer.BadParameter(str(error)) from error


def _print(job: QueuedJob | None, job_id: str) -> None:
    if job is None:
        raise typer.BadParameter(f"there is no job {job_id!r}")
    typer.echo(job.model_dump_json(indent=2))


@app.command("list")
def list_jobs(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    after: Annotated[str | None, typer.Option(help="Begin after this job.")] = None,
) -> None:
    """List jobs, newest first, with their states and what went wrong."""
    jobs = _ask(lambda store: store.page(limit, after)).jobs
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("job", "queue", "status", "attempt", "accepted", "problem"):
        table.add_column(heading, no_wrap=heading == "job")
    for job in jobs:
        problem = job.problem.detail if job.problem else ""
        accepted = f"{job.accepted_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(job.job_id, job.queue, job.status, str(job.attempt), accepted, problem)
    Console().print(table)


@app.command()
def show(job_id: JobId) -> None:
    """Show everything about one job."""
    _print(_ask(lambda store: store.find(job_id)), job_id)


@app.command()
def cancel(job_id: JobId) -> None:
    """Cancel a job that nobody works on yet."""
    _print(_ask(lambda store: store.cancel(job_id)), job_id)


@app.command()
def retry(job_id: JobId) -> None:
    """Give a job that failed or was cancelled new attempts."""
    _print(_ask(lambda store: store.revive(job_id)), job_id)


@app.command()
def callbacks(*, limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20) -> None:
    """List the callbacks that were given up, and why."""
    with _explained():
        given_up = Undelivered(TierSettings()).latest(limit)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("event", "given up", "tries", "to", "because"):
        table.add_column(heading, no_wrap=heading == "event")
    for event in given_up:
        at = f"{event.given_up_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(event.event_id, at, str(event.tries), event.url, event.failure)
    Console().print(table)


@app.command()
def redeliver(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="As `callbacks` lists it.")],
) -> None:
    """Deliver a callback again that was given up."""
    with _explained():
        found = Undelivered(TierSettings()).redeliver(event_id)
    if not found:
        raise typer.BadParameter(f"there is no event {event_id!r} that was given up")
    typer.echo(f"{event_id} will be delivered again.")


if __name__ == "__main__":
    app(prog_name="python -m workers")
