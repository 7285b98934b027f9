import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from offloop.telemetry.culprit import Site
from offloop.telemetry.stalls import MAX_CULPRITS, Cause, Stall, StallMetric

SITE = Site("/srv/app/slow.py", "Slow.work", 7, "POST /orders")


@pytest.mark.parametrize(
    ("collecting_s", "site", "cause"),
    [
        (0.0, SITE, Cause.CODE),
        (0.4, SITE, Cause.CODE),
        (0.5, SITE, Cause.COLLECTION),
        (1.0, None, Cause.COLLECTION),
        (0.0, None, Cause.UNKNOWN),
    ],
)
def test_code_is_blamed_only_if_it_was_seen_and_the_collector_took_less_than_half(
    collecting_s: float, site: Site | None, cause: Cause
) -> None:
    stall = Stall(1.0, collecting_s, site)

    assert stall.cause == cause
    assert (stall.culprit is None) == (cause is not Cause.CODE)


def counted(metric: StallMetric) -> dict[tuple[str, ...], float]:
    """The seconds of each culprit: cause, file, function, endpoint."""
    return {
        tuple(sample.labels[name] for name in ("cause", "file", "function", "endpoint")): (
            sample.value
        )
        for family in metric.summary.collect()
        for sample in family.samples
        if sample.name == "offloop_loop_stall_seconds_sum"
    }


def test_each_culprit_has_its_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/srv", *sys.path])
    metric = StallMetric()

    metric.add(Stall(1.0, 0.0, SITE))
    metric.add(Stall(0.5, 0.0, SITE._replace(line=9)))
    metric.add(Stall(0.3, 0.0, SITE._replace(function="other", endpoint=None)))
    metric.add(Stall(0.2, 0.2, SITE))

    assert counted(metric) == {
        ("code", "app/slow.py", "Slow.work", "POST /orders"): 1.5,
        ("code", "app/slow.py", "other", ""): 0.3,
        ("garbage_collection", "", "", ""): 0.2,
    }


def test_culprits_beyond_the_limit_share_one_series() -> None:
    metric = StallMetric()

    for number in range(2 * MAX_CULPRITS):
        metric.add(Stall(1.0, 0.0, SITE._replace(function=f"work_{number}")))
    metric.add(Stall(1.0, 0.0, SITE._replace(function="work_0")))

    found = counted(metric)
    assert len(found) == MAX_CULPRITS + 1
    assert found["other", "", "", ""] == MAX_CULPRITS
    assert sum(found.values()) == 2 * MAX_CULPRITS + 1


def test_a_file_name_that_is_not_utf_8_does_not_break_the_metrics() -> None:
    metric = StallMetric()
    registry = CollectorRegistry()
    registry.register(metric.summary)

    metric.add(Stall(1.0, 0.0, SITE._replace(file=str(Path("/srv") / "caf\udce9.py"))))

    assert b"udce9.py" in generate_latest(registry)
