"""Reading the metrics of a service."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from offloop.bench.asking import ask
from offloop.stack.service import Service

#: Seconds; metrics are served from a thread of their own, so that even a stalled app answers.
_TIMEOUT_S = 5.0


def scrape(service: Service) -> Mapping[str, float]:
    """Return every sample without labels that a service exposes: name -> value.

    Raises:
        NoAnswerError: the service did not answer.
    """
    if service.metrics_url is None:
        return {}
    text = ask(service, service.metrics_url, timeout_s=_TIMEOUT_S).decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
