"""The metrics of every service, as third-party tools read them."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dashboards.metrics import METRICS
from offloop.stack.service import Service
from tests.shop import DAY, EVERYTHING, FIXED, NAIVE, Shop, client_of, open_shop, order
from tests.waiting import wait_for

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
        load = shop.load(apps[0], *LOAD)
        shop.stack.start(load)
        for app in apps:
            with client_of(app) as client:
                order(client, DAY)
                order(client, EVERYTHING)
        wait_for(lambda: 'outcome="ok"' in exposed(load))
        yield shop, {service.name: service for service in [*there, load]}


def exposed(service: Service) -> str:
    assert service.metrics_url is not None
    return httpx.get(service.metrics_url, trust_env=False).text


def samples(service: Service) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(exposed(service)):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


NAMES = ("naive", "fixed", "worker-short-1", "worker-long-1", "housekeeping", "load-fixed")


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


@pytest.mark.parametrize("name", NAMES)
def test_a_service_has_the_metrics_types_and_labels_that_dashboards_rely_on(
    services: tuple[Shop, dict[str, Service]], name: str
) -> None:
    job, *_ = name.split("-")
    listed = {one.name: one for one in METRICS if job in one.jobs and one.name != "up"}
    found = {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(exposed(services[1][name]))
        if not family.name.endswith("_created")
    }

    kinds = {key: family.type for key, family in found.items() if key in listed}
    assert kinds == {key: metric.kind for key, metric in listed.items()}
    for key, family in found.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if family.samples and key.startswith(("offloop_", "http_server_")):
            assert key in listed
            assert labels == set(listed[key].labels), key


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
