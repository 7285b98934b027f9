"""What every service exposes, as the tools of others read it."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from offloop.stack.ports import free_port
from offloop.stack.service import HttpOk, Service
from tests.shop import DAY, FIXED, NAIVE, ROOT, Shop, client_of, open_shop, order, wait_for

pytestmark = pytest.mark.medium

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]

#: The clients' view is asked for a minute.
LOAD = ("--ping-rate", "20", "--report-rate", "1", "--duration", "60", "--drain", "5")


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[tuple[Shop, dict[str, Service]]]:
    """Both apps, a tier and a load test, each of which has done something."""
    with open_shop(tmp_path_factory.mktemp("metrics"), data_set) as shop:
        apps = [shop.api(FIXED), shop.api(NAIVE)]
        there = [*apps, *shop.workers(), shop.housekeeping()]
        shop.stack.start(*there)
        load = load_test(shop, str(apps[0].url))
        shop.stack.start(load)
        for app in apps:
            with client_of(app) as client:
                order(client, DAY)
        wait_for(lambda: 'outcome="ok"' in exposed(load))
        yield shop, {service.name: service for service in [*there, load]}


def load_test(shop: Shop, url: str) -> Service:
    port = free_port()
    metrics_url = f"http://127.0.0.1:{port}/metrics"
    return Service(
        name="load",
        command=(
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py")),
            *("--headless", "--host", url, *LOAD),
        ),
        env={**shop.site.environment(port, files="load"), **shop.environment},
        ready=HttpOk(metrics_url),
        metrics_urls=(metrics_url,),
    )


def exposed(service: Service) -> str:
    assert service.metrics_url is not None
    return httpx.get(service.metrics_url, trust_env=False).text


def samples(service: Service) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(exposed(service)):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


NAMES = ("naive", "fixed", "worker-short-1", "worker-long-1", "housekeeping", "load")


@pytest.mark.parametrize("name", NAMES)
def test_promtool_finds_nothing_to_say(
    services: tuple[Shop, dict[str, Service]], name: str
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; it comes with Prometheus")

    checked = subprocess.run(
        [promtool, "check", "metrics"],
        check=False,
        input=exposed(services[1][name]),
        capture_output=True,
        text=True,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


#: Prometheus' own conventions, so far as they can be read off a name.
UNITS = re.compile(r"(_seconds|_bytes|_total|_ratio|_timestamp_seconds|_info)$")
COUNTED = {
    *("offloop_threadpool_tokens", "offloop_threadpool_waiting", "offloop_jobs_in_progress"),
    *("offloop_queue_messages", "offloop_queue_jobs_open", "offloop_queue_limit_jobs"),
    *("offloop_worker_slots", "offloop_callbacks_pending", "offloop_load_in_flight"),
    *("offloop_broker_up", "http_server_active_requests"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_of_ours_has_help_and_a_unit_or_is_a_number_of_things(
    services: tuple[Shop, dict[str, Service]], name: str
) -> None:
    families = [
        family
        for family in text_string_to_metric_families(exposed(services[1][name]))
        if family.name.startswith(("offloop_", "http_")) and not family.name.endswith("_created")
    ]

    assert families
    for family in families:
        assert family.documentation.endswith("."), family.name
        counted = family.name in COUNTED or family.type == "counter"
        assert counted or UNITS.search(family.name), family.name


@pytest.mark.parametrize(
    ("name", "promised"),
    [
        ("naive", {"http_server_request_duration_seconds_count", "offloop_loop_lag_max_seconds"}),
        ("fixed", {"offloop_jobs_accepted_total", "offloop_jobs_rejected_total"}),
        ("fixed", {"offloop_threadpool_tokens", "offloop_loop_stalls_total"}),
        (
            "worker-short-1",
            {
                *("offloop_jobs_finished_total", "offloop_job_wait_seconds_count"),
                *("offloop_job_run_seconds_count", "offloop_jobs_in_progress"),
            },
        ),
        (
            "housekeeping",
            {"offloop_queue_messages", "offloop_worker_slots", "offloop_broker_up"},
        ),
        (
            "load",
            {
                *("offloop_load_response_seconds_count", "offloop_load_service_seconds_count"),
                *("offloop_load_offered_total", "offloop_load_in_flight"),
                "offloop_load_phase_started_timestamp_seconds",
            },
        ),
    ],
)
def test_what_dashboards_rely_on_is_there(
    services: tuple[Shop, dict[str, Service]], name: str, promised: set[str]
) -> None:
    assert promised <= samples(services[1][name]).keys()
    assert "process_cpu_seconds_total" in samples(services[1][name])


def test_a_job_is_counted_where_it_was_accepted_and_where_it_was_done(
    services: tuple[Shop, dict[str, Service]],
) -> None:
    _, named = services
    accepted = samples(named["fixed"])["offloop_jobs_accepted_total"]
    done = samples(named["worker-short-1"])["offloop_jobs_finished_total"]

    assert accepted[(("queue", "short"),)] >= 1
    assert {dict(labels)["outcome"] for labels in done} == {"done"}
    assert {dict(labels)["actor"] for labels in done} == {"build_report"}


def test_a_slot_that_is_killed_leaves_no_number_behind(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    with open_shop(tmp_path, data_set) as shop:
        slot = shop.worker("short")
        housekeeping = shop.housekeeping()
        shop.stack.start(slot, housekeeping)
        short = (("queue", "short"),)
        wait_for(lambda: samples(housekeeping)["offloop_worker_slots"][short] == 1)

        shop.stack.signal(slot.name, signal.SIGKILL)

        wait_for(lambda: samples(housekeeping)["offloop_worker_slots"][short] == 0)
        with pytest.raises(httpx.ConnectError):
            exposed(slot)
