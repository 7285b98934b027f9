"""What Prometheus is to scrape, for `dashboards/prometheus/local.yml`: a file of targets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from offloop.stack.service import Service

#: The folder below `.offloop` in which Prometheus looks for files of targets.
FOLDER = "targets"


def write_targets(file: Path, services: Sequence[Service]) -> None:
    """Tell Prometheus where the metrics of services are; it sees the file within seconds.

    Args:
        file: Ends in ``.json``; replaced as a whole.
        services: Those without metrics are left out.
    """
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")  # not what Prometheus looks for
    partial.write_text(json.dumps(list(targets(services)), indent=2) + "\n")
    partial.replace(file)


def targets(services: Sequence[Service]) -> Iterator[Mapping[str, object]]:
    """Every process with metrics, as Prometheus's file discovery wants it.

    The labels are those that the containers' configuration gives, but an instance is called by its
    service instead of by its address.
    """
    for service in services:
        labels = _labels(service.name)
        for number, url in enumerate(service.metrics_urls, start=1):
            several = f"-process-{number}" if len(service.metrics_urls) > 1 else ""
            yield {
                "targets": [urlsplit(url).netloc],
                "labels": {**labels, "instance": service.name + several},
            }


def _labels(service: str) -> dict[str, str]:
    job, *pool = service.split("-")[:2]
    side = "naive" if job == "naive" else "fixed"  # workers and housekeeping are fixed's
    return {"job": job, "side": side, **({"pool": pool[0]} if pool else {})}
