"""How long one report takes on this machine, today."""

import json
import time
import urllib.request
from statistics import median

from offloop.bench.experiment import ReportOrder
from offloop.stack.service import Service

#: Reports that are timed, after one that is not.
REPORTS = 3

_TIMEOUT_S = 120.0

# Not through a proxy that the environment may name: the lab is on loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def time_report(api: Service, order: ReportOrder) -> float:
    """Order a report a few times, one after the other, from an API that builds it in the request.

    Returns:
        Seconds from request to answer, the median.

    Raises:
        OSError: the service did not answer, or not with a report.
    """
    request = urllib.request.Request(  # noqa: S310 - http, on loopback
        f"{api.url}/reports",
        data=order.model_dump_json().encode(),
        headers={"Content-Type": "application/json"},
    )
    seconds = []
    for _ in range(1 + REPORTS):
        began = time.perf_counter()
        with _opener.open(request, timeout=_TIMEOUT_S) as answer:
            json.load(answer)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])
