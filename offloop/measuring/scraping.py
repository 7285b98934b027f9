"""The metrics of the processes of a service: reading them, and what counters gained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from offloop.stack.asking import ask
from offloop.stack.service import Service

#: What a process exposes, without labels: sample name -> value.
Metrics = Mapping[str, float]

#: Seconds; metrics are served from a thread of their own, so that even a stalled app answers.
_TIMEOUT_S = 5.0

#: When a process was started.
_STARTED = "process_start_time_seconds"


@dataclass(frozen=True)
class Scrape:
    """The metrics of one process before and after an arm: sample name -> value."""

    before: Metrics
    after: Metrics

    @classmethod
    def pairs(cls, before: Sequence[Metrics], after: Sequence[Metrics]) -> list[Self]:
        """Put together what each process of a service exposed before and after."""
        return list(starmap(cls, zip(before, after, strict=True)))

    @property
    def restarted(self) -> bool:
        """Whether it is another process that was asked afterwards."""
        return self.before.get(_STARTED) != self.after.get(_STARTED)

    def gained(self, name: str) -> float | None:
        """How much a counter grew during the arm; None unless one process exposed it all along."""
        before, after = self.before.get(name), self.after.get(name)
        if before is None or after is None or self.restarted:
            return None
        return after - before

    def gained_lately(self, name: str) -> float | None:
        """How much it grew in the process that was there in the end; None if it was not exposed."""
        return self.after.get(name) if self.restarted else self.gained(name)


def scrape(service: Service) -> list[Metrics]:
    """Return every sample without labels that each process of a service exposes: name -> value.

    A process that takes another's place comes in the same place.

    Raises:
        NoAnswerError: a process did not answer.
    """
    return [scrape_process(service, url) for url in service.metrics_urls]


def scrape_process(service: Service, url: str) -> Metrics:
    """Return what one of the processes exposes.

    Args:
        service: Whose process it is, for the error.
        url: Where its metrics are.

    Raises:
        NoAnswerError: the process did not answer.
    """
    text = ask(service, url, timeout_s=_TIMEOUT_S).decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
