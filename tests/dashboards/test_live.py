"""A real Prometheus scrapes a real lab under load: panels have data, and alerts fire.

The whole file is one run of about two minutes, in which every fault happens that has an alert. Then
each test looks at what Prometheus has seen.
"""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing

import httpx
import pytest

from offloop.targets import targets
from tests.dashboards import live, reading
from tests.dashboards.live import ordering, paused
from tests.prometheus import Prometheus
from tests.shop import DAY, EVERYTHING, FIXED, NAIVE, Shop, client_of, open_shop, unwritable
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("prometheus") is None,
        reason="prometheus is not installed; on Debian: apt install prometheus",
    ),
]

#: Longer than the whole run takes.
LOAD = ("--ping-rate", "20", "--report-rate", "0.5", "--duration", "600", "--drain", "1")


@pytest.fixture(scope="module")
def seen(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[Prometheus]:
    """A Prometheus that has seen each fault happen in a lab under load."""
    with open_shop(tmp_path_factory.mktemp("logs"), data_set) as shop:
        apps = [shop.api(NAIVE), shop.api(FIXED)]
        services = [*apps, *shop.workers(), shop.housekeeping()]
        loads = [shop.load(app, *LOAD) for app in apps]
        clients = [
            {**target, "labels": {"job": "load", "side": app.name, "instance": f"load-{app.name}"}}
            for app, target in zip(apps, targets(loads), strict=True)
        ]
        scraping = live.prometheus(shop.stack.folder, [*targets(services), *clients])
        shop.stack.start(*services)
        shop.stack.start(*loads, scraping)
        with closing(Prometheus(str(scraping.url))) as prometheus:
            with client_of(apps[0]) as naive, client_of(apps[1]) as fixed:
                cause_every_fault(shop, prometheus, naive, fixed)
            yield prometheus


def cause_every_fault(
    shop: Shop, prometheus: Prometheus, naive: httpx.Client, fixed: httpx.Client
) -> None:
    with ordering(naive, EVERYTHING, rate=1.5):
        prometheus.see("LoopStalled")
    with ordering(fixed, EVERYTHING, rate=12):
        prometheus.see("QueueGrowing", "WorkersSaturated")
    waiting = 'offloop_queue_oldest_message_age_seconds{queue="short"}'
    with paused(shop.stack, "worker-short-1"), ordering(fixed, DAY, rate=5):
        wait_for(lambda: prometheus.ever(waiting))
    with (
        paused(shop.stack, "worker-long-1"),
        unwritable(shop.site.files / FIXED.files),
        ordering(fixed, EVERYTHING, rate=1),
        ordering(fixed, DAY, rate=5),
    ):
        live.send_unknown_message(str(shop.site.redis_url), "short")
        prometheus.see("TargetDown", "JobsFailing", "DeadLetters", "ArrivalsWithoutCompletions")
    shop.stack.stop("redis")
    prometheus.see("BrokerAway")


@pytest.mark.parametrize("alert", reading.ALERTS)
def test_an_alert_fires_when_its_fault_happens(seen: Prometheus, alert: str) -> None:
    assert seen.fired(alert)


def test_alerts_name_the_app_that_stalled_and_the_service_that_is_down(seen: Prometheus) -> None:
    stalled = {one["metric"]["job"] for one in seen.fired("LoopStalled")}
    down = {one["metric"]["instance"] for one in seen.fired("TargetDown")}

    assert stalled == {"naive"}
    assert "worker-long-1" in down


@reading.each({**reading.QUERIES, **{name: name for name in reading.RECORDED}})
def test_a_query_returns_data(seen: Prometheus, query: str) -> None:
    faster = reading.substituted(query, rate_interval="4s", time_range="10m")

    values = [float(value) for series in seen.ever(faster) for _, value in series["values"]]
    assert any(map(math.isfinite, values))
