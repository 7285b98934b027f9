"""Names that the API and the workers must agree on. Importing them imports no work."""

from collections.abc import Iterable
from enum import StrEnum
from uuid import uuid4

from reports.spec import ReportSpec

#: Days; reports on longer windows are long. A month takes about 50 ms and a year 0.6 s at scale
#: 0.1, so that a short report never waits behind one that takes ten times as long.
SHORT_DAYS = 31


class Queue(StrEnum):
    """The queues of the tier, by how long their jobs take."""

    SHORT = "short"
    LONG = "long"


def route(spec: ReportSpec) -> Queue:
    """Return the queue for a report, by the size of its window."""
    days = (spec.shipped_to - spec.shipped_from).days + 1
    return Queue.SHORT if days <= SHORT_DAYS else Queue.LONG


#: The actor that builds reports; workers declare it under this name.
BUILD_REPORT = "build_report"

#: Dramatiq's prefix for its keys (its default).
NAMESPACE = "dramatiq"


#: Key of all who have fetched lately, by the moment (Unix time, ms) of their latest command.
HEARTBEATS_KEY = f"{NAMESPACE}:__heartbeats__"


def slot_name(queues: Iterable[str]) -> str:
    """Make a name for a slot, which no other has, and which says what queues it serves."""
    return f"{'+'.join(sorted(queues))}@{uuid4()}"


def queues_of(slot: str) -> frozenset[str]:
    """Return the queues that a slot serves; none if the name is that of something else."""
    queues, separator, _ = slot.partition("@")
    return frozenset(queues.split("+")) if separator else frozenset()


def held_key(slot: str, queue: str) -> str:
    """Return the key of the messages of a queue that a slot holds, and has not acknowledged."""
    return f"{NAMESPACE}:__acks__.{slot}.{queue}"


def queue_key(queue: Queue) -> str:
    """Return the key of the list of a queue's messages, which begins those of its other keys."""
    return f"{NAMESPACE}:{queue}"
