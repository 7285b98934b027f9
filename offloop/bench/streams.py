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

    #: Method and path, such as ``GET /ping``.
    request: str = Field(pattern=r"^[A-Z]+ /[\x21-\x7e]*$")
    arrivals: Arrivals
    #: How many clients send them, in turn, each on a connection of its own that it keeps. Where
    #: nothing is said, any request takes the connection that was free last.
    clients: PositiveInt | None = None
    #: Seconds after the load began at which they end; with the load where nothing is said.
    until_s: PositiveFloat | None = None


class ReportOrder(Table):
    """The body of every ``POST /reports`` of a stream."""

    shipped_from: date
    shipped_to: date
    format: Literal["csv", "parquet"]


class OrderStream(Table):
    """Orders for one report, over and over at a rate, or a few and no more."""

    order: ReportOrder
    #: Evenly spaced, or independent of each other.
    arrivals: Literal["constant", "poisson"] = "constant"
    #: Orders that come at the same moment.
    burst: PositiveInt = 1
    #: Seconds after the load began before which none comes,
    from_s: float = Field(default=0, ge=0)
    #: and from which on none does; the end of the load where nothing is said.
    until_s: PositiveFloat | None = None
    #: The share of time in which one slot, or the API where there is none, builds these reports:
    #: the rate follows from the time a report takes on the machine at hand.
    utilisation: float | None = Field(default=None, gt=0, lt=1)
    #: Orders per second.
    rate: PositiveFloat | None = None
    #: Orders per report that all slots on their queue together can build: above 1 the queue grows.
    drain: PositiveFloat | None = None
    #: Orders altogether, all at the moment `from_s`: at no rate.
    count: PositiveInt | None = None
    #: Whether who is refused with `503` and a `Retry-After` comes back as late as that says, again
    #: and again until the order is accepted.
    retry_refused: bool = False
    #: Seconds after which a client who has lost patience, or the answer, sends the same order
    #: again, with the same ``Idempotency-Key``. Without it, orders have no key.
    repeat_after_s: PositiveFloat | None = None

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
        assert self.utilisation is not None  # noqa: S101 - nobody asks where there is no rate
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
