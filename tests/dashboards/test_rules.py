"""Prometheus reads its configuration, and every alert fires when it should and only then."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.dashboards.reading import PROMETHEUS, Json, rule_queries, rules, selections

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None,
    reason="promtool is not installed; on Debian: apt install prometheus",
)

#: A guard against hanging.
_HANG_S = 120

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}

#: What issue and documents promise an alert for, by its name.
PROMISED = {
    "LoopStalled",
    "QueueGrowing",
    "WorkersSaturated",
    "JobsFailing",
    "DeadLetters",
    "ArrivalsWithoutCompletions",
    "TargetDown",
    "BrokerAway",
}


def promtool(*arguments: str, folder: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run(
        [PROMTOOL, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=_HANG_S,
    )


def cases() -> list[Json]:
    content: Json = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())
    tests: list[Json] = content["tests"]
    return [case for test in tests for case in test.get("alert_rule_test", [])]


def test_there_is_an_alert_for_each_thing_that_was_promised() -> None:
    assert ALERTS.keys() == PROMISED


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_what_it_means_and_what_to_do(name: str) -> None:
    annotations = ALERTS[name]["annotations"]

    assert annotations.keys() == {"summary", "description", "what_to_do"}
    assert all(annotations.values())
    assert ALERTS[name]["labels"]["severity"] in {"page", "warn"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_shown_firing_and_silent(name: str) -> None:
    fires = {bool(case["exp_alerts"]) for case in cases() if case["alertname"] == name}

    assert fires == {True, False}


@pytest.mark.medium
@needs_promtool
@pytest.mark.parametrize("file", ["prometheus.yml", "local.yml"])
def test_prometheus_reads_its_configuration(file: str) -> None:
    checked = promtool("check", "config", file)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.medium
@needs_promtool
def test_the_rules_are_what_promtool_takes_for_good() -> None:
    checked = promtool("check", "rules", "--lint-fatal", "rules.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.medium
@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    tested = promtool("test", "rules", "rules_test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.medium
@needs_promtool
@pytest.mark.parametrize("expr", ["vector(0) > 1", "vector(1)"])
def test_alerts_that_never_fire_or_always_do_are_noticed(expr: str, tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "rules_test.yml", tmp_path)
    content = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
    for group in content["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule |= {"expr": expr, "for": "0s"}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(content))

    tested = promtool("test", "rules", "rules_test.yml", folder=tmp_path)

    assert tested.returncode != 0
    assert all(f"alertname: {name}" in tested.stdout + tested.stderr for name in ALERTS)


def test_grafana_knows_how_often_prometheus_scrapes() -> None:
    """By this `$__rate_interval` is long enough for a rate."""
    grafana = PROMETHEUS.parent / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    (source,) = yaml.safe_load(grafana.read_text())["datasources"]

    for file in ("prometheus.yml", "local.yml"):
        every = yaml.safe_load((PROMETHEUS / file).read_text())["global"]["scrape_interval"]
        assert source["jsonData"]["timeInterval"] == every
    assert source["uid"]
    assert source["editable"] is False


def test_windows_of_rules_are_long_enough_for_a_missed_scrape() -> None:
    for query in rule_queries():
        for selection in selections(query):
            assert selection.range_s is None or selection.range_s >= 12 * 5
