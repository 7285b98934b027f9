"""What an experiment sends: streams of plain requests, and streams of orders for reports."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, model_validator

from offloop.load.arrivals import Arrivals, Constant, Poisson, due_times
from offloop.tables import Table

#: Names of streams begin the names of their measures.
StreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class RequestStream(Table):
    """Requests that have nothing to do with reports."""

    request: str = Field(pattern=r"^[A-Z]+ /[\x21-\x7e]*$")
    """Method and path, such as `GET /ping`."""
    arrivals: Arrivals
    """When requests are due."""
    clients: PositiveInt | None = None
    """How many clients send them, in turn, each on its own kept-alive connection. By default a
    request takes the connection that was free last."""
    until_s: PositiveFloat | None = None
    """Second of the load at which the stream ends. By default it ends with the load."""


class ReportOrder(Table):
    """The body of every ``POST /reports`` of a stream."""

    shipped_from: date
    """First day of the report."""
    shipped_to: date
    """Last day of the report."""
    format: Literal["csv", "parquet"]
    """Format of the file."""


class OrderStream(Table):
    """Orders for one report, over and over at a rate, or a few and no more."""

    order: ReportOrder
    """The body of each `POST /reports`."""
    arrivals: Literal["constant", "poisson"] = "constant"
    """Evenly spaced, or a Poisson process."""
    burst: PositiveInt = 1
    """Orders that arrive at the same moment."""
    from_s: float = Field(default=0, ge=0)
    """Second of the load at which the stream begins."""
    until_s: PositiveFloat | None = None
    """Second of the load at which it ends. By default it ends with the load."""
    utilisation: float | None = Field(default=None, gt=0, lt=1)
    """Share of the time for which these reports keep one slot busy, or the API where it builds
    them. The rate follows from the measured time of a report."""
    rate: PositiveFloat | None = None
    """Orders per second."""
    drain: PositiveFloat | None = None
    """Arrival rate divided by the drain rate of all slots on the queue, which is measured before
    the load. Above 1 the queue grows."""
    count: PositiveInt | None = None
    """Number of orders, all at the second `from_s`."""
    retry_refused: bool = False
    """A client that gets `503` with `Retry-After` orders again after that time, until the order is
    accepted."""
    repeat_after_s: PositiveFloat | None = None
    """Seconds after which the client sends the same order again, with the same `Idempotency-Key`:
    the stream `NAME.again`. By default orders have no key."""

    @model_validator(mode="after")
    def _has_one_rate(self) -> Self:
        said = [key for key in RATES if getattr(self, key) is not None]
        if len(said) != 1:
            raise ValueError(
                f"an order stream says how often in exactly one of {', '.join(RATES)}; "
                f"this one has {' and '.join(said) or 'none'}"
            )
        if self.count is not None and self.model_fields_set & {"arrivals", "burst"}:
            raise ValueError("`count` orders come at once: arrivals and burst mean nothing there")
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(
                f"the stream ends (until_s = {self.until_s:g}) before it begins "
                f"(from_s = {self.from_s:g})"
            )
        return self

    def lasts_s(self, duration_s: float) -> float:
        """Return for how many seconds of a load of this length orders come."""
        return max(0.0, self._end_s(duration_s) - self.from_s)

    def _end_s(self, duration_s: float) -> float:
        return duration_s if self.until_s is None else min(self.until_s, duration_s)

    def per_second(self, run_s: float, drain_per_s: float) -> float:
        """Return the orders per second.

        By the utilisation law, rho = lambda x S.

        Args:
            run_s: S, the seconds that one report takes.
            drain_per_s: How many of them all slots on their queue build together in a second.
        """
        if self.rate is not None:
            return self.rate
        if self.drain is not None:
            return self.drain * drain_per_s
        assert self.utilisation is not None  # noqa: S101 - only called for streams with a rate
        return self.utilisation / run_s

    def due_times(self, rate: float | None, duration_s: float, seed: str) -> list[float]:
        """Lay out the schedule, at a rate that is known by now; None where a count is said."""
        if self.count is not None:
            return [self.from_s] * self.count if self.lasts_s(duration_s) else []
        assert rate is not None  # noqa: S101 - said above
        bursts = rate / self.burst
        arrivals = Constant(rate=bursts) if self.arrivals == "constant" else Poisson(rate=bursts)
        moments_s = due_times(arrivals, self.lasts_s(duration_s), seed)
        return [self.from_s + moment_s for moment_s in moments_s for _ in range(self.burst)]


def again(name: str) -> str:
    """Return the name under which those orders of a stream are logged that are sent again."""
    return f"{name}.again"


#: Ways to say how often a report is ordered.
RATES = ("utilisation", "rate", "drain", "count")

REQUEST, ORDER = "request", "order"


def _kind(table: object) -> str | None:
    keys = table if isinstance(table, dict) else vars(table)
    return next((kind for kind in (REQUEST, ORDER) if kind in keys), None)


#: A table ``[load.streams.NAME]``.
Stream = Annotated[
    Annotated[RequestStream, Tag(REQUEST)] | Annotated[OrderStream, Tag(ORDER)],
    Discriminator(
        _kind,
        custom_error_type="stream_kind",
        custom_error_message=(
            "a stream says what is sent: either `request` (with `arrivals`), or `order` "
            f"(with one of {', '.join(RATES)})"
        ),
    ),
]
