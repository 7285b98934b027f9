"""What is known of one arm in one block once its load is over: requests, reports, and faults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from offloop.load.log import RequestLog

#: `status` of a report that was built.
DONE = "done"


class Happened(NamedTuple):
    """A fault that has happened.

    Attributes:
        id: Of the event in the experiment file.
        what: The processes it was done to.
        at_s: When, in seconds after second 0 of the load.
        lasted_s: How long they were frozen or away; None where that has no meaning.
    """

    id: str
    what: Sequence[str]
    at_s: float
    lasted_s: float | None


@dataclass(frozen=True)
class Rows:
    """Every request of one arm in one block, and what was done to its services meanwhile.

    Attributes:
        log: Every request.
        happened: What was done to the services.
        queued: Whether reports wait in a queue before a worker builds them.
        duration_s: Length of the load, seconds.
        retrying: Streams whose clients come back when they are refused.
        later: When streams began that did not begin with the load, seconds after it did.
    """

    log: RequestLog
    happened: Sequence[Happened]
    queued: bool
    duration_s: float
    retrying: frozenset[str] = frozenset()
    later: Mapping[str, float] = field(default_factory=dict)

    @property
    def orders(self) -> frozenset[str]:
        """The streams whose reports were followed."""
        return frozenset(row.name for row in self.log.reports)

    @property
    def undisturbed_s(self) -> float:
        """Seconds until the first fault began, or the load was over."""
        return min([self.duration_s, *(fault.at_s for fault in self.happened)])

    @property
    def undisturbed_until_s(self) -> float:
        """The same moment on CLOCK_MONOTONIC."""
        return self.log.start_monotonic_s + self.undisturbed_s
