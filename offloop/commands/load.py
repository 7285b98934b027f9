"""`offloop load`: the lab's load generator for anyone's server."""

import json
from collections import Counter
from enum import StrEnum
from math import isinf
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from offloop.commands.ending import explained
from offloop.errors import OffloopError
from offloop.load import protocol
from offloop.load.arrivals import Arrivals, Constant, Poisson, Ramp, Spike, Step, due_times
from offloop.load.generator import Generator
from offloop.load.log import RequestLog, StreamSummary
from offloop.load.percentiles import Percentiles
from offloop.load.plan import Plan, Stream

#: How many kinds of failure the table lists.
_SHOWN_ERRORS = 5


class Shape(StrEnum):
    """How the arrivals are spread over the duration; `rate` is the highest rate of each shape."""

    POISSON = "poisson"
    CONSTANT = "constant"
    RAMP = "ramp"
    STEP = "step"
    SPIKE = "spike"

    def arrivals(self, rate: float, duration_s: float) -> Arrivals:
        """Fix what the command line has no options for."""
        match self:
            case Shape.POISSON:
                return Poisson(rate=rate)
            case Shape.CONSTANT:
                return Constant(rate=rate)
            case Shape.RAMP:
                return Ramp(end_rate=rate)
            case Shape.STEP:
                return Step(rates=(rate / 4, rate / 2, rate * 3 / 4, rate))
            case Shape.SPIKE:
                return Spike(
                    rate=rate / 10,
                    spike_rate=rate,
                    spike_at_s=duration_s * 2 / 5,
                    spike_s=duration_s / 5,
                )


def load(  # noqa: PLR0913 - one parameter for each option of the command
    url: Annotated[str, typer.Argument(help="The server, like http://127.0.0.1:8000.")],
    *,
    out: Annotated[Path, typer.Option(help="Directory for the raw log and the summary.")],
    request: Annotated[str, typer.Option(help="Method and path.")] = "GET /ping",
    rate: Annotated[float, typer.Option(min=0.001, help="Requests per second.")] = 100.0,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 10.0,
    arrivals: Annotated[
        Shape,
        typer.Option(
            help="poisson and constant keep to RATE; ramp rises from 0 to it; step takes four "
            "equal steps up to it; spike stays at a tenth and reaches it for the middle fifth."
        ),
    ] = Shape.POISSON,
    seed: Annotated[int, typer.Option(help="Same seed, same schedule.")] = 7,
    body: Annotated[str | None, typer.Option(help="JSON to send.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="'Name: value'; may be repeated.")
    ] = None,
    drain: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for answers at the end.")
    ] = 10.0,
) -> None:
    """Send requests when they are due, whatever the server does, and time them from then.

    Examples: `offloop load http://127.0.0.1:8000 --rate 200 --duration 10 --out load`;
    `offloop load URL --request "POST /orders" --body '{"item": 1}' --arrivals ramp --out load`.
    """
    errors = Console(stderr=True)
    with explained():
        try:
            method, path = parse_request(request)
            stream = Stream(
                name=request,
                method=method,
                path=path,
                base_url=url,
                headers=dict(parse_header(text) for text in header or []),
                body=None if body is None else parse_body(body),
                due_s=due_times(arrivals.arrivals(rate, duration), duration, seed),
            )
            plan = Plan(streams=[stream], duration_s=duration, drain_s=drain, seed=seed)
        except ValidationError as error:
            raise OffloopError(_sentence(error)) from error
        except ValueError as error:
            raise OffloopError(str(error)) from error
        try:
            with Generator() as generator:
                log = _run(generator, plan, out, errors)
        except OSError as error:
            raise OffloopError(
                f"{out} cannot be written ({error.strerror or error}); choose another --out."
            ) from error
    show(log, out, Console())


def parse_request(text: str) -> tuple[str, str]:
    """Split `GET /ping` into method and path.

    Raises:
        ValueError: It is not of this form.
    """
    method, _, path = text.partition(" ")
    if not (method.isalpha() and method.isupper() and path.startswith("/")):
        raise ValueError(
            f"--request is {text!r}; it must be a method and a path, like 'GET /ping'."
        )
    return method, path


def parse_header(text: str) -> tuple[str, str]:
    """Split `Name: value`.

    Raises:
        ValueError: There is no colon.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"--header is {text!r}; it must be like 'Accept: text/csv'.")
    return name.strip(), value.strip()


def parse_body(text: str) -> JsonValue:
    """Read the JSON of `--body`.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"--body is not JSON ({error}); quote it for the shell, like '{{\"a\": 1}}'."
        ) from None
    return value


def show(log: RequestLog, out: Path, console: Console) -> None:
    """Print the figures of a run, and say so if its schedule was not kept."""
    for name, figures in log.summary().items():
        console.print(_table(name, figures))
        errors = Counter(row.error for row in log.of(name) if row.error)
        for error, count in errors.most_common(_SHOWN_ERRORS):
            console.print(f"  [red]{count} x {escape(error)}[/]")
        if figures.failed:
            console.print(
                "  The answer of a failed request never came: a percentile that falls among the "
                'failed is "never".'
            )
        broken = figures.broken_schedule()
        if broken is not None:
            console.print(
                f"[bold red]The schedule was not kept:[/] {broken}. "
                "Do not trust these figures; lower --rate or free the machine."
            )
    console.print(f"Raw log and summary: {escape(str(out))}", soft_wrap=True)


def _run(generator: Generator, plan: Plan, out: Path, console: Console) -> RequestLog:
    columns = (
        TextColumn("sent {task.fields[sent]} of {task.fields[due]}"),
        BarColumn(),
        TextColumn("answered {task.fields[answered]}"),
        TimeRemainingColumn(),
    )
    due = sum(len(stream.due_s) for stream in plan.streams)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=plan.duration_s, sent=0, due=due, answered=0)

        def update(progress: protocol.Progress) -> None:
            bar.update(
                task,
                completed=min(progress.elapsed_s, plan.duration_s),
                sent=progress.sent,
                answered=progress.answered,
            )

        return generator.run(plan, out, update)


def _table(name: str, figures: StreamSummary) -> Table:
    table = Table(
        title=f"{escape(name)}: {figures.offered} offered, {figures.sent} sent, "
        f"{figures.answered} answered, {figures.failed} failed",
        title_justify="left",
    )
    table.add_column("ms")
    for column in Percentiles.model_fields:
        table.add_column(column, justify="right")
    for label, percentiles in (
        ("response time (from due)", figures.response_ms),
        ("service time (from sent)", figures.service_ms),
        ("dispatch lag (due to sent)", figures.dispatch_lag_ms),
        *([("response time, succeeded", figures.succeeded_ms)] if figures.failed else []),
    ):
        values = percentiles.model_dump().values() if percentiles is not None else ()
        table.add_row(label, *("never" if isinf(each) else f"{each:.1f}" for each in values))
    return table


def _sentence(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
