"""The list of metrics is what the code registers."""

import asyncio
from collections.abc import Mapping

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric as Family

from dashboards.metrics import METRICS
from offloop import telemetry
from offloop.load.client_view import ClientView
from reports import build
from workers import accept_metrics, job_metrics
from workers.housekeeping import outbox
from workers.housekeeping.outbox_metrics import OutboxMetrics
from workers.housekeeping.queue_metrics import QueueMetrics
from workers.settings import TierSettings

#: What registers its metrics when it is imported.
_IMPORTED = (build, accept_metrics, job_metrics, outbox)

#: Not ours, but Prometheus's and those of the client's library.
_OTHERS = ("up", "ALERTS", "process_")


def _of_telemetry() -> list[Family]:
    registry = CollectorRegistry()

    async def read() -> list[Family]:
        async with telemetry.running(metrics_port=None, registry=registry):
            return list(registry.collect())

    return asyncio.run(read())


def _registered() -> Mapping[str, str]:
    """Types of all metrics of ours, by their names."""
    settings = TierSettings()
    families = [
        *_of_telemetry(),
        *REGISTRY.collect(),
        *ClientView().describe(),
        *QueueMetrics(settings).describe(),
        *OutboxMetrics(settings).describe(),
    ]
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in families
        if family.name.startswith(("offloop_", "http_server_"))
    }


def test_the_list_has_every_metric_of_ours_with_its_type_and_no_other() -> None:
    listed = {
        metric.name: metric.kind.value for metric in METRICS if not metric.name.startswith(_OTHERS)
    }

    assert listed == _registered()
