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


def test_before_and_after_a_stream_that_begins_later_they_have_rows_of_their_own_too() -> None:
    measures = {"before:giant.bystander.max_ms": 4.0, "after:giant.bystander.max_ms": 900.0}
    streams = {"bystander": {"request": "GET /ping"}, "giant": {"order": {}, "from_s": 4.0}}

    found = list(rows(result(streams, arms={"naive": measures})))

    assert [heading for heading, _ in found] == [
        "bystander slowest, before giant",
        "bystander slowest, after giant",
    ]


def test_of_a_few_orders_it_is_shown_what_one_costs_and_whether_it_was_finished() -> None:
    arms = {"naive": {"giant.finished": 0.0}, "fixed": {"giant.finished": 1.0, "giant.cpu_ms": 5e3}}
    streams: dict[str, Any] = {"giant": {"order": {}, "count": 1}}

    assert list(rows(result(streams, arms=arms))) == [
        ("giant CPU of one", ["", "5.00 s"]),
        ("giant finished", ["0", "1"]),
    ]


def test_orders_that_an_event_met_have_rows_of_their_own() -> None:
    event = EventResult(block=0, arm="naive", id="kill", what=("naive",), at_s=1.0, lasted_s=None)
    measures = {"kill.lost": 1.0, "kill.undone": 2.0}

    found = list(rows(result({}, arms={"naive": measures}, events=[event])))

    assert found == [
        ("accepted, and never finished: kill", ["1"]),
        ("accepted or not, and never finished: kill", ["2"]),
    ]


def test_what_theory_predicts_is_a_column_if_there_is_any() -> None:
    assert columns(result({}, arms={"naive": {}})) == ["naive"]
    assert columns(result({}, arms={"naive": {}}, predicted={"x": 1.0})) == ["naive", "predicted"]


def test_an_arm_that_ran_in_one_block_says_so() -> None:
    found = result({}, arms={"naive": {}, "extra": {}})
    found.blocks = [{"naive": {}, "extra": {}}, {"naive": {}}]

    assert columns(found) == ["naive", "extra (one block)"]


def test_a_result_without_streams_has_the_rows_of_the_stack() -> None:
    empty = ExperimentResult(
        verdict=Verdict.NO_VERDICT, title="", load={}, arms={"naive": {"stack.processes": 1.0}}
    )

    assert list(rows(empty)) == [("processes", ["1"])]


def test_what_reports_leave_behind_is_shown_where_somebody_has_looked() -> None:
    measures = {"ledger.entries": 17.0, "ledger.doubled": 8.0, "files.partial": 1.0}
    streams: dict[str, dict[str, object]] = {"report": {"order": {}}}

    found = list(rows(result(streams, arms={"naive": measures, "fixed": {"files.partial": 0.0}})))

    assert found == [
        ("ledger entries", ["17", ""]),
        ("reports with several entries", ["8", ""]),
        ("files that are not whole", ["1", "0"]),
    ]


def test_queues_and_refusals_have_rows_where_more_is_ordered_than_can_be_done() -> None:
    measures = {
        "report.refused": 31.0,
        "report.refused_p95_ms": 4.25,
        "report.wait_max_ms": 1500.0,
        "queue.depth_max": 10.0,
        "queue.depth_slope_per_s": 7.25,
    }
    calm = result({"report": {"order": {}}}, arms={"fixed": measures})
    overloaded = calm.model_copy(update={"load": {**calm.load, "overload": True}})

    assert list(rows(calm)) == []
    assert list(rows(overloaded)) == [
        ("report refusals", ["31"]),
        ("report refusals p95", ["4.2 ms"]),
        ("report longest queue wait", ["1.50 s"]),
        ("deepest queue", ["10"]),
        ("queue grew by, undisturbed", ["7.2 jobs/s"]),
    ]


def test_kinds_of_work_have_rows_in_their_order() -> None:
    measures = {"pool.start_ms": 1500.0, "gzip.speedup": 1.9, "gzip.alone_ms": 80.0}
    shown = result({}, arms={"naive": measures, "fixed": {}})
    shown.load = {"work": ["aggregate", "gzip"]}

    assert list(rows(shown)) == [
        ("gzip one piece alone", ["80 ms", ""]),
        ("gzip speed-up", ["1.90", ""]),
        ("workers ready after", ["1.50 s", ""]),
    ]
