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


class ReportOrder(Table):
    """The body of every ``POST /reports`` of a stream."""

    shipped_from: date
    shipped_to: date
    format: Literal["csv", "parquet"]


class OrderStream(Table):
    """Orders for one report, over and over, at a rate that is told in one of three ways."""

    order: ReportOrder
    #: Evenly spaced, or independent of each other.
    arrivals: Literal["constant", "poisson"] = "constant"
    #: Orders that come at the same moment.
    burst: PositiveInt = 1
    #: The share of time in which one slot, or the API where there is none, builds these reports:
    #: the rate follows from the time a report takes on the machine at hand.
    utilisation: float | None = Field(default=None, gt=0, lt=1)
    #: Orders per second.
    rate: PositiveFloat | None = None
    #: Orders per report that all slots on their queue together can build: above 1 the queue grows.
    drain: PositiveFloat | None = None

    @model_validator(mode="after")
    def _has_one_rate(self) -> Self:
        said = [key for key in RATES if getattr(self, key) is not None]
        if len(said) != 1:
            raise ValueError(
                f"an order stream says how often in exactly one of {', '.join(RATES)}; "
                f"this one has {' and '.join(said) or 'none'}"
            )
        return self

    def per_second(self, run_s: float, slots: int) -> float:
        """Return the orders per second.

        By the utilisation law, rho = lambda x S.

        Args:
            run_s: S, the seconds that one report takes.
            slots: How many of them can be built at a time.
        """
        if self.rate is not None:
            return self.rate
        if self.drain is not None:
            return self.drain * slots / run_s
        assert self.utilisation is not None  # noqa: S101 - there is exactly one of the three
        return self.utilisation / run_s

    def due_times(self, rate: float, duration_s: float, seed: str) -> list[float]:
        """Lay out the schedule, at a rate that is known by now."""
        bursts = rate / self.burst
        arrivals = Constant(rate=bursts) if self.arrivals == "constant" else Poisson(rate=bursts)
        return [due_s for due_s in due_times(arrivals, duration_s, seed) for _ in range(self.burst)]


#: Ways to say how often a report is ordered.
RATES = ("utilisation", "rate", "drain")

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
