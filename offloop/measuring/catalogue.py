"""Every measure there is, by what it is about.

The name of a measure is its subject and one of the names below, joined by a dot:
``bystander.p99_ms`` is the measure `p99_ms` of the stream `bystander`. Headings, formats,
`docs/measures.md` and the rules of judging follow from the declarations of the instruments.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from offloop.measuring.instruments import (
    alone,
    code,
    effects,
    event_loop,
    queue,
    report_cpu,
    requests,
    resources,
    scrapes,
    server_kills,
)
from offloop.measuring.measure import Better, Kind, Measure, Unit

#: Of a stream of orders for reports.
ORDERS = (*requests.ORDERS, *report_cpu.OF_ORDERS, *alone.OF_ORDERS)

#: Of a kind of work that is done in bursts.
WORK = (
    Measure("alone_ms", "one piece alone", Unit.MS, Kind.LEVEL),
    Measure("burst_ms", "burst", Unit.MS, Kind.LEVEL),
    Measure("speedup", "speed-up", Unit.RATIO, Kind.LEVEL, Better.HIGHER),
    Measure("cores", "cores used", Unit.CORES, Kind.LEVEL, Better.HIGHER),
)

#: Of the API and its event loops.
API = (*server_kills.MEASURES, *event_loop.MEASURES, *resources.OF_API)

#: Of an arm's jobs and processes, and of the machine.
STACK = (
    *requests.JOBS,
    *report_cpu.MEASURES,
    *resources.MEASURES,
    *code.MEASURES,
    *resources.OF_MACHINE,
)

#: Of the program that does bursts.
POOL = (
    Measure("pool.start_ms", "workers ready after", Unit.MS, Kind.LEVEL),
    Measure("pool.memory_peak_bytes", "memory of the program", Unit.BYTES, Kind.MAXIMUM),
    Measure("interpreter.gil", "has a GIL", Unit.COUNT, Kind.MINIMUM, shown=False),
    Measure("machine.cpus", "processors", Unit.COUNT, Kind.MINIMUM, shown=False),
)

#: Measures with one subject, which is a part of their name.
NAMED = (*queue.MEASURES, *API, *scrapes.MEASURES, *effects.MEASURES, *STACK, *POOL)

#: Groups of measures, by what they are about: a heading for the reference.
GROUPS: Mapping[str, tuple[Measure, ...]] = {
    "a stream of requests, and the answers to orders": requests.REQUESTS,
    "a stream of orders": ORDERS,
    "orders that wait in a queue": requests.QUEUED_ORDERS,
    "orders whose clients come back when they are refused": requests.REFUSED_ORDERS,
    "an event": requests.EVENTS,
    "the queues of an arm": queue.MEASURES,
    "the API and its event loops": API,
    "what scrapes showed": scrapes.MEASURES,
    "what reports leave behind": effects.MEASURES,
    "an arm's jobs and processes": STACK,
    "a kind of work done in bursts": WORK,
    "the program that does bursts": POOL,
}

_BY_NAME = {measure.name: measure for group in GROUPS.values() for measure in group}


class UnknownMeasureError(ValueError):
    """A name that is no measure; the message has the nearest ones."""


def measure_named(name: str) -> Measure:
    """Return the declaration of a measure.

    Args:
        name: Subject and name: ``before:kill.bystander.p99_ms``.

    Raises:
        UnknownMeasureError: there is none.
    """
    found = _BY_NAME.get(name) or _BY_NAME.get(name.rpartition(".")[2])
    if found is None:
        raise UnknownMeasureError(
            f"{name!r} is no measure: {nearest(name.rpartition('.')[2], _BY_NAME)}; "
            "docs/measures.md has all of them"
        )
    return found


def nearest(name: str, known: Mapping[str, object] | frozenset[str]) -> str:
    """Say which of the known names come nearest to one that is not known."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"the nearest is {' or '.join(close)}" if close else "nothing is called like it"


def subject(name: str) -> str:
    """Return the subject of a measure: ``before:kill.bystander`` of ``…bystander.p99_ms``."""
    return "" if name in _BY_NAME else name.rpartition(".")[0]


def sample_name(name: str) -> str:
    """Return the name of the sample that a measure is taken from."""
    declared = measure_named(name)
    assert declared.sample is not None  # noqa: S101 - asked of those that have one
    return f"{subject(name)}.{declared.sample}"


def names(of: str, *groups: tuple[Measure, ...]) -> Iterator[str]:
    """Yield the names of all measures of a subject."""
    for group in groups:
        for measure in group:
            yield f"{of}.{measure.name}"
