"""Prometheus reads its configuration, and every alert fires when it should and only then."""

import re
import shutil
import subprocess

import pytest
import yaml

from offloop.project import project_root
from tests.dashboards.reading import ALERTS, PROMETHEUS


def test_every_alert_says_what_to_do() -> None:
    assert all(alert["annotations"]["what_to_do"] for alert in ALERTS.values())


def test_the_documentation_lists_every_alert() -> None:
    text = (project_root() / "docs" / "observability.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == ALERTS.keys()


def test_the_tests_of_the_rules_show_each_alert_firing_and_silent() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]

    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    shown = {(case["alertname"], bool(case["exp_alerts"])) for case in cases}
    assert shown == {(name, fires) for name in ALERTS for fires in (True, False)}


@pytest.mark.medium
@pytest.mark.parametrize(
    "command",
    [
        "check config prometheus.yml",
        "check config local.yml",
        "check rules --lint-fatal rules.yml",
        "test rules rules_test.yml",
    ],
)
def test_promtool_finds_no_fault(command: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; on Debian: apt install prometheus")
    arguments = [promtool, *command.split()]

    done = subprocess.run(arguments, cwd=PROMETHEUS, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_knows_how_often_prometheus_scrapes() -> None:
    """From this Grafana computes `$__rate_interval`, the window of every rate."""
    grafana = PROMETHEUS.parent / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    (source,) = yaml.safe_load(grafana.read_text())["datasources"]

    for file in ("prometheus.yml", "local.yml"):
        every = yaml.safe_load((PROMETHEUS / file).read_text())["global"]["scrape_interval"]
        assert source["jsonData"]["timeInterval"] == every
