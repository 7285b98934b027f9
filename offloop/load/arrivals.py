"""When requests are due: seeded schedules as pure functions.

A schedule is an ascending list of seconds since the start, all within `[0, duration_s)`. The same
arguments always give the same schedule. `constant` is evenly spaced. All other shapes are Poisson
processes, because independent customers do not arrive at even intervals.
"""

from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

#: Decimals of a due time: a microsecond is far below what any client can keep.
_DECIMALS = 6

#: One stretch of a rate profile: (length in seconds, requests/s at its start, and at its end).
_Stretch = tuple[float, float, float]

Seed = int | str


class _Arrivals(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Constant(_Arrivals):
    """Evenly spaced, at `rate` requests/s; the seed only decides the first moment."""

    kind: Literal["constant"] = "constant"
    """Evenly spaced."""
    rate: PositiveFloat
    """Requests per second."""


class Poisson(_Arrivals):
    """Independent arrivals, on average `rate` requests/s."""

    kind: Literal["poisson"] = "poisson"
    """Independent of each other."""
    rate: PositiveFloat
    """Requests per second, on average."""


class Ramp(_Arrivals):
    """A rate that moves in a straight line from `start_rate` to `end_rate` requests/s."""

    kind: Literal["ramp"] = "ramp"
    """A rate that changes linearly."""
    start_rate: float = Field(default=0.0, ge=0)
    """Requests per second at the beginning."""
    end_rate: float = Field(ge=0)
    """Requests per second at the end."""


class Step(_Arrivals):
    """Each of `rates` (requests/s) in turn, for an equal share of the duration."""

    kind: Literal["step"] = "step"
    """Several rates, each for an equal share of the time."""
    rates: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    """Requests per second of each step."""


class Spike(_Arrivals):
    """`rate` requests/s, but `spike_rate` from `spike_at_s` on for `spike_s` seconds."""

    kind: Literal["spike"] = "spike"
    """A rate with a spike."""
    rate: float = Field(ge=0)
    """Requests per second outside of the spike."""
    spike_rate: PositiveFloat
    """Requests per second in the spike."""
    spike_at_s: float = Field(ge=0)
    """Second at which the spike begins."""
    spike_s: PositiveFloat
    """Seconds that it lasts."""


#: Arrivals as an experiment file describes them, for example `{kind = "poisson", rate = 200}`.
Arrivals = Annotated[Constant | Poisson | Ramp | Step | Spike, Field(discriminator="kind")]


def due_times(arrivals: Arrivals, duration_s: float, seed: Seed) -> list[float]:
    """Lay out the schedule that `arrivals` describes.

    Args:
        arrivals: One of the kinds of this module.
        duration_s: Length of the schedule.
        seed: Same seed, same schedule. Give two streams of one run different seeds, or their
            requests are due together.
    """
    match arrivals:
        case Constant():
            return constant(arrivals.rate, duration_s, seed)
        case Poisson():
            return poisson(arrivals.rate, duration_s, seed)
        case Ramp():
            return ramp(arrivals.start_rate, arrivals.end_rate, duration_s, seed)
        case Step():
            return step(arrivals.rates, duration_s, seed)
        case Spike():
            return spike(
                arrivals.rate,
                spike_rate=arrivals.spike_rate,
                spike_at_s=arrivals.spike_at_s,
                spike_s=arrivals.spike_s,
                duration_s=duration_s,
                seed=seed,
            )


def constant(rate: float, duration_s: float, seed: Seed) -> list[float]:
    """Space `rate` requests/s evenly; the first is due at a random point of the first interval.

    The random phase keeps two constant streams from meeting at the same moments in every run.
    """
    phase = Random(seed).random()  # noqa: S311 - a schedule, not a secret

    def evenly() -> Iterator[float]:
        position = phase
        while True:
            yield position
            position += 1

    return _place(evenly(), [(duration_s, rate, rate)])


def poisson(rate: float, duration_s: float, seed: Seed) -> list[float]:
    """Draw a Poisson process of `rate` requests/s."""
    return _place(_unit_poisson(seed), [(duration_s, rate, rate)])


def ramp(start_rate: float, end_rate: float, duration_s: float, seed: Seed) -> list[float]:
    """Draw a Poisson process whose rate goes linearly from `start_rate` to `end_rate`."""
    return _place(_unit_poisson(seed), [(duration_s, start_rate, end_rate)])


def step(rates: Sequence[float], duration_s: float, seed: Seed) -> list[float]:
    """Draw a Poisson process that spends an equal time at each of `rates`."""
    length = duration_s / len(rates)
    return _place(_unit_poisson(seed), [(length, rate, rate) for rate in rates])


def spike(  # noqa: PLR0913 - a spike has this many independent quantities
    rate: float,
    *,
    spike_rate: float,
    spike_at_s: float,
    spike_s: float,
    duration_s: float,
    seed: Seed,
) -> list[float]:
    """Draw a Poisson process of `rate` with `spike_rate` during one stretch of it.

    Raises:
        ValueError: The spike does not end within the duration.
    """
    after_s = duration_s - spike_at_s - spike_s
    if after_s < 0:
        raise ValueError(
            f"the spike lasts until {spike_at_s + spike_s:g} s and the schedule only until "
            f"{duration_s:g} s; start it earlier or make it shorter"
        )
    return _place(
        _unit_poisson(seed),
        [
            (spike_at_s, rate, rate),
            (spike_s, spike_rate, spike_rate),
            (after_s, rate, rate),
        ],
    )


def _unit_poisson(seed: Seed) -> Iterator[float]:
    random = Random(seed)  # noqa: S311 - a schedule, not a secret
    position = 0.0
    while True:
        position += random.expovariate(1.0)
        yield position


def _place(positions: Iterator[float], profile: Sequence[_Stretch]) -> list[float]:
    """Map positions on the axis of expected arrivals to moments in time.

    A Poisson process of varying rate is one of rate 1 whose axis is bent by the cumulative rate
    (the time-change theorem), so the mapping is the inverse of that cumulative rate.
    """
    due: list[float] = []
    position = next(positions)
    began_s = 0.0
    expected = 0.0
    for length_s, start_rate, end_rate in profile:
        expected_here = length_s * (start_rate + end_rate) / 2
        moment = _inverse(length_s, start_rate, end_rate)
        while position < expected + expected_here:
            due.append(round(began_s + moment(position - expected), _DECIMALS))
            position = next(positions)
        began_s += length_s
        expected += expected_here
    # Rounding may lift the very last moment onto the end, which is outside.
    return [moment_s for moment_s in due if moment_s < began_s]


def _inverse(length_s: float, start_rate: float, end_rate: float) -> Callable[[float], float]:
    """Give the function from expected arrivals within a stretch to seconds into it."""
    slope = (end_rate - start_rate) / length_s if length_s else 0.0

    def moment(arrivals: float) -> float:
        # slope/2 t^2 + start_rate t = arrivals, in the form that is stable for a small slope.
        root = sqrt(max(start_rate * start_rate + 2 * slope * arrivals, 0.0))
        return 2 * arrivals / (start_rate + root) if arrivals else 0.0

    return moment
