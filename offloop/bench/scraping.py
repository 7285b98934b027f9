"""Reading the metrics of a service."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from offloop.bench.asking import ask
from offloop.stack.service import Service

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
