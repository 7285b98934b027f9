"""The containers for real: `make compose-test`, with WITHOUT=grafana where its image is missing."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest

from offloop import containers
from offloop.stack.ports import free_port
from tests.prometheus import Prometheus
from tests.shop import DAY, ROOT, order
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        "OFFLOOP_COMPOSE_TEST" not in os.environ,
        reason="the containers are started by `make compose-test`",
    ),
]

#: Services to leave out.
WITHOUT = os.environ.get("OFFLOOP_COMPOSE_TEST_WITHOUT", "").split()

#: Seconds. A guard against hanging: five times what anything takes.
HANG_S = 150.0


@dataclass(frozen=True)
class Lab:
    """The stack, as it runs, with the addresses of its services."""

    compose: Sequence[str]
    urls: Mapping[str, str]
    prometheus: Prometheus

    def scale(self, service: str, number: int, *more: str) -> None:
        """Run a service in a number of containers, and start more services."""
        up = (*self.compose, "--profile", "heavy", "up", "--detach", "--no-build", "--no-recreate")
        scaled = ("--scale", f"{service}={number}", service, *more)
        subprocess.run((*up, *scaled), cwd=ROOT, check=True)

    def see(self, condition: str) -> None:
        """Wait until Prometheus finds that a condition is true."""
        wait_for(lambda: self.prometheus.now(condition), HANG_S, every_s=0.5)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The stack, started as `make up` does, as a project of its own on ports of its own."""
    ports = {name: free_port() for name in ("naive", "fixed", "prometheus", "grafana", "locust")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPOSE_PROJECT_NAME", f"offloop-test-{os.getpid()}")
        for name, port in ports.items():
            patch.setenv(f"OFFLOOP_{name.upper()}_PORT", str(port))
        try:
            containers.up(WITHOUT)
            with closing(Prometheus(urls["prometheus"])) as prometheus:
                yield Lab(containers.compose_command(), urls, prometheus)
        finally:
            containers.down()


def test_both_sides_serve_their_load_and_prometheus_sees_every_target(lab: Lab) -> None:
    served = 'offloop_load_requests_total{outcome="ok",name=~"ping|report"} > 0'

    lab.see(f"count(sum by (side, name) ({served})) == 4")
    lab.see("count(count by (job) (up == 1)) == 6")
    assert lab.prometheus.now('offloop_load_requests_total{outcome="failed"} > 0') == []
    assert lab.prometheus.now("up == 0") == []


def test_both_apps_build_the_same_report(lab: Lab) -> None:
    built = []
    for side in ("naive", "fixed"):
        with httpx.Client(base_url=lab.urls[side], timeout=HANG_S) as app:
            job = order(app, DAY)
            file = app.get(f"/reports/{job['job_id']}/file").raise_for_status()
            built.append((job["result"], file.content))

    assert built[0] == built[1]


def test_prometheus_and_housekeeping_see_slots_that_are_added_and_removed(lab: Lab) -> None:
    for slots in (3, 1):
        lab.scale("worker-long", slots)

        lab.see(f'offloop_worker_slots{{queue="long"}} == {slots}')
        lab.see(f'count(up{{job="worker",pool="long"}} == 1) == {slots}')


def test_workers_of_the_heavy_load_join_and_are_seen_as_clients_of_their_side(lab: Lab) -> None:
    lab.scale("load-worker", 2, "load-master")

    # The gentle load of this side is the third.
    lab.see('count(up{job="load",side="naive"} == 1) == 3')
    joined = httpx.get(f"{lab.urls['locust']}/stats/requests", timeout=HANG_S).json()
    assert len(joined["workers"]) == 2
