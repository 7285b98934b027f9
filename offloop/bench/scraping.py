"""Reading the metrics of a service."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from prometheus_client.parser import text_string_to_metric_families

from offloop.bench.asking import NoAnswerError, ask
from offloop.stack.service import Service
from offloop.telemetry.windows import LONGEST_WINDOW_S

#: The largest event loop lag of the window that is asked for.
LARGEST_LAG = "offloop_loop_lag_max_seconds"

#: Seconds; metrics are served from a thread of their own, so that even a stalled app answers.
_TIMEOUT_S = 5.0


def scrape(service: Service) -> list[Mapping[str, float]]:
    """Return every sample without labels that each process of a service exposes: name -> value.

    A process that takes another's place comes in the same place.

    Raises:
        NoAnswerError: a process did not answer.
    """
    return [scrape_process(service, url) for url in service.metrics_urls]


def scrape_process(service: Service, url: str) -> Mapping[str, float]:
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
