"""Reading the metrics of a service."""

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from offloop.stack.service import Service

#: Seconds; metrics are served from a thread of their own, so that even a stalled app answers.
_TIMEOUT_S = 5.0

# Not through a proxy that the environment may name: the lab is on loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def scrape(service: Service) -> Mapping[str, float]:
    """Return every sample without labels that a service exposes: name -> value.

    Raises:
        OSError: the service did not answer.
    """
    if service.metrics_url is None:
        return {}
    with _opener.open(service.metrics_url, timeout=_TIMEOUT_S) as answer:
        text = answer.read().decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
