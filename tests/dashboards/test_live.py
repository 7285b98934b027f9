"""A real Prometheus scrapes a real lab under load: panels have data, and alerts fire.

The whole file is one run of about two minutes, in which everything goes wrong that there is an
alert for. Then each test looks at what Prometheus has seen.
"""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace

import httpx
import pytest

from dashboards.metrics import METRICS, SERIES, Metric
from tests.cli.checkout import COMMAND_HANG_S, END_HANG_S, make_checkout, read_until, wait_for
from tests.dashboards.live import LONGEST, SHORT, Lab, load, prometheus
from tests.dashboards.reading import Query, annotation_queries, panel_queries, rule_queries, rules

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("prometheus") is None,
        reason="prometheus is not installed; on Debian: apt install prometheus",
    ),
]

ALERTS = [rule["alert"] for rule in rules() if "alert" in rule]

#: Grafana's variables in a run in which everything is five times faster.
VARIABLES = {"$__rate_interval": "4s", "$__range": "600s", "$job": ".+"}

#: Longer than the run takes.
LOAD_S = 600.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]) -> Iterator[Lab]:
    """A lab in which everything has gone wrong once, and that still runs."""
    made = make_checkout(tmp_path_factory.mktemp("live") / "checkout")
    checkout = replace(made, env=data_set)
    up = checkout.start("up", "both")
    try:
        read_until(up, "Ctrl-C stops everything.")
        with prometheus(checkout) as scraping:
            lab = Lab(checkout, up, scraping)
            hosts = {side: lab.services()[side]["url"] for side in ("naive", "fixed")}
            with load(checkout, hosts, LOAD_S):
                _let_everything_go_wrong(lab)
                yield lab
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=END_HANG_S)
        wait_for(lambda: not checkout.running())


def _let_everything_go_wrong(lab: Lab) -> None:
    with lab.ordering("naive", LONGEST, rate=1.5):
        lab.see("LoopStalled")
    with lab.ordering("fixed", LONGEST, rate=12):
        lab.see("QueueGrowing", "WorkersSaturated")
    waiting = 'offloop_queue_oldest_message_age_seconds{queue="short"}'
    with lab.paused("worker-short-1"), lab.ordering("fixed", SHORT, rate=5):
        wait_for(lambda: lab.prometheus.values(waiting))
    with (
        lab.paused("worker-long-1"),
        lab.without_files(),
        lab.ordering("fixed", LONGEST, rate=1),
        lab.ordering("fixed", SHORT, rate=5),
    ):
        lab.send_to_nobody("short")
        lab.see("TargetDown", "JobsFailing", "DeadLetters", "ArrivalsWithoutCompletions")
    lab.keep_killing("redis", until=lambda: lab.prometheus.fired("BrokerAway"))
    # Slots ended themselves when the broker was away, and are started again after a pause.
    wait_for(lab.is_well, hang_s=COMMAND_HANG_S)


def each(queries: list[Query]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "query", [pytest.param(query, id=query.where) for query in queries]
    )


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_what_it_is_for_really_happens(lab: Lab, alert: str) -> None:
    assert lab.prometheus.fired(alert)


def test_the_alert_about_a_stall_names_the_side_and_what_held_the_loop(lab: Lab) -> None:
    assert {fired["metric"]["job"] for fired in lab.prometheus.fired("LoopStalled")} == {"naive"}


def test_the_alert_about_a_target_names_the_one_that_was_frozen(lab: Lab) -> None:
    down = {fired["metric"]["instance"] for fired in lab.prometheus.fired("TargetDown")}

    assert "worker-long-1" in down


@each(panel_queries())
def test_a_query_of_a_panel_returns_data(lab: Lab, query: Query) -> None:
    expr = query.substituted(VARIABLES)

    assert lab.prometheus.now(expr) if query.instant else lab.prometheus.values(expr)


@each(annotation_queries())
def test_the_marks_on_the_panels_have_data(lab: Lab, query: Query) -> None:
    assert lab.prometheus.values(query.expr)


@each([query for query in rule_queries() if ":" in query.where])
def test_a_recorded_rule_returns_data(lab: Lab, query: Query) -> None:
    assert lab.prometheus.values(query.where)


@pytest.mark.parametrize(
    "metric",
    [pytest.param(metric, id=metric.name) for metric in METRICS if metric.name != "ALERTS"],
)
def test_a_metric_has_the_labels_and_comes_from_where_the_list_says(
    lab: Lab, metric: Metric
) -> None:
    for name, labels in metric.series.items():
        found = lab.prometheus.get("series", **{"match[]": f'{name}{{job!="prometheus"}}'})

        # Series with labels of their own come with the first event: fixed need not have stalled.
        jobs = {series["job"] for series in found}
        assert jobs <= set(metric.jobs) if metric.labels else jobs == set(metric.jobs)
        assert jobs
        used = {label for series in found for label in series} - {"__name__"}
        assert used == labels


def test_every_metric_of_ours_that_is_scraped_is_on_the_list(lab: Lab) -> None:
    scraped = {
        name
        for name in lab.prometheus.get("label/__name__/values")
        if name.startswith(("offloop_", "http_server_")) and not name.endswith("_created")
    }

    assert scraped <= SERIES.keys()


def test_every_target_that_the_lab_has_written_is_scraped(lab: Lab) -> None:
    written = json.loads((lab.checkout.folder / ".offloop" / "targets" / "up.json").read_text())

    active = lab.prometheus.get("targets", state="active")["activeTargets"]

    assert {target["labels"]["instance"] for target in written} == {
        *("naive", "fixed", "worker-short-1", "worker-long-1", "housekeeping")
    }
    assert {target["labels"]["instance"] for target in written} <= {
        target["labels"]["instance"] for target in active
    }


def test_promtool_has_nothing_to_say_about_what_is_exposed(lab: Lab) -> None:
    promtool = shutil.which("promtool")
    assert promtool
    for name, service in lab.services().items():
        if service["metrics_url"] is None:
            continue
        metrics = httpx.get(service["metrics_url"], trust_env=False, timeout=END_HANG_S).text
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=metrics,
            capture_output=True,
            check=False,
            text=True,
            timeout=END_HANG_S,
        )
        assert checked.returncode == 0, f"{name}: {checked.stdout}{checked.stderr}"
