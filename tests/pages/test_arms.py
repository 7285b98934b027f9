from collections.abc import Mapping
from typing import Any

from offloop.measuring.results import Detail, EventResult, ExperimentResult
from offloop.measuring.verdicts import Status, Verdict
from offloop.pages.arms import blocks_said, columns, rows

Streams = Mapping[str, Mapping[str, object]]

#: How many values stand behind every measure here.
N = 30


def result(
    arms: Mapping[str, Mapping[str, float | None]],
    streams: Streams | None = None,
    **changes: Any,  # noqa: ANN401 - any field
) -> ExperimentResult:
    details = {
        arm: {
            name: Detail(status=Status.NEVER if value is None else Status.MEASURED, n=N)
            for name, value in values.items()
        }
        for arm, values in (arms | changes.get("before_load", {})).items()
    }
    fields: dict[str, Any] = {
        "verdict": Verdict.PASS,
        "title": "",
        "load": {"streams": streams or {}},
        "arms": arms,
        "details": details,
        **changes,
    }
    return ExperimentResult(**fields)


def happened(id_: str) -> EventResult:
    return EventResult(
        block=0, arm="naive", attempt=0, id=id_, what=("redis",), at_s=1.0, lasted_s=None
    )


def test_rows_follow_the_streams_of_the_experiment_whatever_they_are_called() -> None:
    measures = {
        "stack.processes": 7.0,
        "slow.wait_p95_ms": 1500.0,
        "quick.wait_p95_ms": 40.0,
        "quick.failed": 1.0,
        "visitor.p99_ms": 5.0,
        "visitor.p50_ms": 2.0,
        "visitor.sent": 9.0,
        "loop.lag_max_ms": 9.0,
    }
    streams: Streams = {
        "quick": {"order": {}},
        "visitor": {"request": "GET /ping"},
        "slow": {"order": {}},
    }

    found = list(rows(result({"naive": measures, "fixed": {}}, streams)))

    # What a text does not show by default, such as `sent`, has no row.
    assert found == [
        ("visitor p50", ["2.00 ms", ""]),
        ("visitor p99", [f"5.00 ms (slowest of {N})", ""]),
        ("largest event loop lag", ["9.00 ms", ""]),
        ("quick failed", ["1", ""]),
        ("quick queue wait p95", ["40.0 ms", ""]),
        ("slow queue wait p95", ["1.50 s", ""]),
        ("processes", ["7", ""]),
    ]


def test_a_cell_says_never_and_is_empty_if_it_was_not_measured() -> None:
    streams: Streams = {"visitor": {"request": "GET /ping"}}
    arms: dict[str, dict[str, float | None]] = {
        "naive": {"visitor.max_ms": None},
        "fixed": {"visitor.max_ms": 4.0},
        "extra": {},
    }

    assert list(rows(result(arms, streams))) == [("visitor slowest", ["never", "4.00 ms", ""])]


def test_phases_of_events_and_later_streams_have_rows_of_their_own() -> None:
    measures = {
        f"{phase}bystander.{name}": 4.0
        for phase in ("", "before:kill.", "after:kill.", "before:giant.", "after:giant.")
        for name in ("max_ms", "p50_ms")
    }
    streams: Streams = {
        "bystander": {"request": "GET /ping"},
        "giant": {"order": {}, "from_s": 4.0},
    }

    found = list(rows(result({"naive": measures}, streams, events=[happened("kill")] * 2)))

    assert [heading for heading, _ in found] == [
        "bystander p50",
        "bystander slowest",
        "bystander slowest, before kill",
        "bystander slowest, after kill",
        "bystander slowest, before giant",
        "bystander slowest, after giant",
    ]


def test_orders_that_an_event_met_have_rows_of_their_own() -> None:
    measures = {"kill.lost": 1.0, "kill.undone": 2.0}

    assert list(rows(result({"naive": measures}, events=[happened("kill")]))) == [
        ("accepted and never finished: kill", ["1"]),
        ("accepted or not, and never finished: kill", ["2"]),
    ]


def test_queues_have_rows_under_overload_and_refusals_where_retried() -> None:
    measures = {
        "report.refused": 31.0,
        "report.refused_p95_ms": 4.25,
        "report.wait_max_ms": 1500.0,
        "queue.depth_max": 10.0,
        "queue.depth_slope_per_s": 7.25,
    }
    calm = result({"fixed": measures}, {"report": {"order": {}}})
    overloaded = result({"fixed": measures}, {"report": {"order": {}, "retry_refused": True}})
    overloaded.load["overload"] = True

    assert list(rows(calm)) == [("report longest queue wait", ["1.50 s"])]
    assert list(rows(overloaded)) == [
        ("report refusals", ["31"]),
        ("report refusals p95", ["4.25 ms"]),
        ("report longest queue wait", ["1.50 s"]),
        ("deepest queue", ["10"]),
        ("queue grew by, undisturbed", ["7.25 jobs/s"]),
    ]


def test_kinds_of_work_have_rows_in_their_order() -> None:
    measures = {"pool.start_ms": 1500.0, "gzip.speedup": 1.9, "gzip.alone_ms": 80.0}
    found = result({"naive": measures, "fixed": {}}, load={"work": ["aggregate", "gzip"]})

    assert list(rows(found)) == [
        ("gzip one piece alone", ["80.0 ms", ""]),
        ("gzip speed-up", ["1.90", ""]),
        ("workers ready after", ["1.50 s", ""]),
    ]


def test_each_source_of_predictions_has_a_column() -> None:
    known = {"predicted": {"queue.wait_max_ms": 900.0}, "calibrated": {}, "configured": {}}
    found = result({"naive": {"queue.wait_max_ms": 800.0}}, before_load=known)
    found.load["overload"] = True

    assert columns(result({"naive": {}})) == ["naive"]
    assert columns(found) == ["naive", "predicted"]
    assert list(rows(found)) == [("longest wait, undisturbed", ["800 ms", "900 ms"])]


def test_arms_that_ran_once_or_were_disturbed_are_marked() -> None:
    found = result({"naive": {}, "extra": {}}, disturbed_arms=["extra"])
    found.blocks = [{"naive": {}, "extra": {}}, {"naive": {}}]

    assert columns(found) == ["naive", "extra (one block), disturbed"]


def test_a_table_names_its_blocks() -> None:
    blocks: list[dict[str, dict[str, float | None]]] = [{"naive": {}}] * 3

    assert blocks_said(result({}, blocks=blocks, judged_blocks=[0, 1, 2])) == "3 blocks"
    assert blocks_said(result({}, blocks=blocks, judged_blocks=[0, 2])) == (
        "2 undisturbed of 3 blocks"
    )
