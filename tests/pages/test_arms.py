from typing import Any

from offloop.bench.results import EventResult, ExperimentResult
from offloop.bench.verdicts import Verdict
from offloop.pages.arms import columns, rows


def result(streams: dict[str, Any], **changes: Any) -> ExperimentResult:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "verdict": Verdict.PASS,
        "title": "",
        "load": {"streams": streams},
        **changes,
    }
    return ExperimentResult(**fields)


def test_rows_follow_the_streams_of_the_experiment_whatever_they_are_called() -> None:
    measures = {
        "stack.processes": 7.0,
        "slow.wait_p95_ms": 1500.0,
        "quick.wait_p95_ms": 40.0,
        "visitor.p99_ms": 5.0,
        "loop.lag_max_ms": 9.0,
    }
    streams = {"quick": {"order": {}}, "visitor": {"request": "GET /ping"}, "slow": {"order": {}}}

    found = list(rows(result(streams, arms={"naive": measures, "fixed": {}})))

    assert found == [
        ("visitor p99", ["5.0 ms", ""]),
        ("event loop's worst lag", ["9 ms", ""]),
        ("quick queue wait p95", ["0.04 s", ""]),
        ("slow queue wait p95", ["1.50 s", ""]),
        ("processes", ["7", ""]),
    ]


def test_before_and_after_an_event_plain_requests_have_rows_of_their_own() -> None:
    event = EventResult(block=0, arm="naive", id="kill", what=("redis",), at_s=1.0, lasted_s=None)
    measures = {
        "bystander.max_ms": 900.0,
        "after:kill.bystander.max_ms": 900.0,
        "before:kill.bystander.max_ms": 4.0,
    }
    streams = {"bystander": {"request": "GET /ping"}}

    found = list(rows(result(streams, arms={"naive": measures}, events=[event, event])))

    assert [heading for heading, _ in found] == [
        "bystander slowest",
        "bystander slowest, before kill",
        "bystander slowest, after kill",
    ]


def test_what_theory_predicts_is_a_column_if_there_is_any() -> None:
    assert columns(result({}, arms={"naive": {}})) == ["naive"]
    assert columns(result({}, arms={"naive": {}}, predicted={"x": 1.0})) == ["naive", "predicted"]


def test_a_result_without_streams_has_the_rows_of_the_stack() -> None:
    empty = ExperimentResult(
        verdict=Verdict.NO_VERDICT, title="", load={}, arms={"naive": {"stack.processes": 1.0}}
    )

    assert list(rows(empty)) == [("processes", ["1"])]
