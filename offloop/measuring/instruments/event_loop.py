"""The event loops of an API: the largest lag, stalls, and the time that they took."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Self

from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.measure import Better, Kind, Measure, Unit, count
from offloop.measuring.rows import Rows
from offloop.measuring.scraping import Metrics, Scrape, scrape, scrape_process
from offloop.measuring.values import Recorded
from offloop.stack.asking import NoAnswerError
from offloop.stack.service import Service
from offloop.telemetry.windows import LONGEST_WINDOW_S

_MS = 1000

#: The largest event loop lag of the window that is asked for.
LARGEST_LAG = "offloop_loop_lag_max_seconds"

MEASURES = (
    Measure("loop.lag_max_ms", "largest event loop lag", Unit.MS, Kind.MAXIMUM),
    count("loop.stalls", "event loop stalls", Better.LOWER),
    Measure("loop.lost_s", "time lost to stalls", Unit.SECONDS, Kind.COUNT),
)


class EventLoop(Instrument):
    """Asks the loop monitors of an API's processes before and after the load."""

    def __init__(self, api: Service) -> None:
        self._api = api
        self._before: Sequence[Metrics] = ()
        self._lags_s: Sequence[float | None] = ()

    def __enter__(self) -> Self:
        self._before = scrape(self._api)
        return self

    def over(self, start_monotonic_s: float) -> None:
        """Ask for the largest lag now: what the window shows moves on."""
        self._lags_s = worst_lag_s(self._api, monotonic() - start_monotonic_s)

    def measured(self, rows: Rows) -> Recorded:  # noqa: ARG002 - the monitors know it all
        """Add up what the loops of all processes lost.

        Raises:
            NoAnswerError: a process did not expose its metrics.
        """
        return Recorded.of(
            loop_measures(Scrape.pairs(self._before, scrape(self._api)), self._lags_s)
        )


def loop_measures(
    processes: Sequence[Scrape], lags_s: Sequence[float | None]
) -> dict[str, float | None]:
    """Work out the measures of all processes of an API.

    Args:
        processes: Their metrics.
        lags_s: The largest lag of each. What a process that was replaced took along is not known.
    """
    worst = _all_known(
        None if process.restarted else lag_s
        for process, lag_s in zip(processes, lags_s, strict=True)
    )
    stalls = _all_known(each.gained("offloop_loop_stalls_total") for each in processes)
    lost = _all_known(each.gained("offloop_loop_lost_seconds_total") for each in processes)
    return {
        "loop.lag_max_ms": _MS * max(worst) if worst else None,
        "loop.stalls": sum(stalls) if stalls else None,
        "loop.lost_s": sum(lost) if lost else None,
    }


def _all_known(values: Iterable[float | None]) -> list[float]:
    """Return the values; none at all where one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def worst_lag_s(service: Service, since_s: float) -> Sequence[float | None]:
    """Return the largest event loop lag of each process of a service.

    Args:
        service: Whose loops.
        since_s: Seconds that are looked back, 120 at most: what was before an arm is not its own.

    Returns:
        Seconds; None of a process that does not answer or has no loop monitor.
    """
    window_s = min(since_s, LONGEST_WINDOW_S)
    found: list[float | None] = []
    for url in service.metrics_urls:
        lag_s = None
        with suppress(NoAnswerError):
            lag_s = scrape_process(service, f"{url}?window={window_s:.3f}").get(LARGEST_LAG)
        found.append(lag_s)
    return found
