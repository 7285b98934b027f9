"""How an experiment file says that metrics are scraped."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from offloop.bench.question import ExperimentError
from offloop.measuring.instruments.scrapes import Code, Schedule
from offloop.tables import Table
from offloop.telemetry.loop_monitor import STALL_THRESHOLD_S


class Scraping(Table):
    """How the metrics of an arm that builds reports are scraped meanwhile, as Prometheus would.

    Times are in stalls: how long a report holds the event loop of the naive arm, which is measured
    at the start of the run.
    """

    interval_stalls: PositiveFloat
    """Time between two scrapes."""
    timeout_stalls: PositiveFloat
    """Time after which a scrape is given up."""
    guilty: Mapping[str, tuple[str, ...]] = Field(min_length=1)
    """The code that is known to hold the loop: file = its functions."""

    @model_validator(mode="after")
    def _is_one_at_a_time(self) -> Self:
        if self.timeout_stalls >= self.interval_stalls:
            raise ValueError(
                f"timeout_stalls is {self.timeout_stalls:g} and interval_stalls "
                f"{self.interval_stalls:g}: a scrape is given up before the next one is due"
            )
        return self

    @property
    def guilty_code(self) -> frozenset[Code]:
        """The functions that are known to hold the loop, each with its file."""
        return frozenset(
            (file, function) for file, functions in self.guilty.items() for function in functions
        )

    def schedule(self, stall_s: float | None) -> Schedule:
        """Return the times in seconds, for stalls that are this long.

        Raises:
            ExperimentError: there are none.
        """
        if not stall_s:
            raise ExperimentError(
                "Metrics are scraped as often as a report holds the event loop, and none did for "
                f"{STALL_THRESHOLD_S:g} s or more while it was measured. Order larger reports."
            )
        return Schedule(self.interval_stalls * stall_s, self.timeout_stalls * stall_s)
