from typing import Any

import pytest
from pydantic import ValidationError

from offloop.bench.experiment import Experiment
from offloop.bench.table import ArmTable, fill
from tests.bench.support import measured, shipped

TABLE: dict[str, Any] = {
    "columns": [
        {"heading": "ratio", "cell": "{ARM.bystander.p99_ms / baseline.bystander.p99_ms}"},
        {"heading": "CPU", "cell": "{ARM.report.alone_cpu_s}"},
        {"heading": "takes", "fact": "infrastructure"},
    ],
    "rows": {
        "naive": {"name": "inline", "facts": {"infrastructure": "none"}},
        "fixed": {"name": "a queue", "facts": {"infrastructure": "a broker"}},
    },
}

BLOCK = {
    "baseline": measured({"bystander.p99_ms": 4.0}),
    "naive": measured({"bystander.p99_ms": 400.0, "report.alone_cpu_s": 0.5}),
    "fixed": measured({"bystander.p99_ms": 5.0}),
}


def table(**changes: object) -> ArmTable:
    return ArmTable.model_validate({**TABLE, **changes})


def test_a_table_has_a_row_for_each_arm_and_what_was_not_measured_is_empty() -> None:
    filled = fill(table(), [BLOCK])

    assert filled.headings == ["", "ratio", "CPU", "takes"]
    assert filled.rows == [
        ["inline", "100", "0.50 s", "none"],
        ["a queue", "1.25", "", "a broker"],
    ]


def test_an_arm_that_ran_in_one_block_is_shown_by_that_block() -> None:
    later = {arm: measures for arm, measures in BLOCK.items() if arm != "naive"}

    filled = fill(table(), [BLOCK, later, later])

    assert filled.rows[0] == ["inline", "100", "0.50 s", "none"]


def test_a_disturbed_arm_is_marked() -> None:
    filled = fill(table(), [BLOCK], disturbed=["naive"])

    assert [row[0] for row in filled.rows] == ["inline, disturbed", "a queue"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": [{"heading": "x"}]}, "either a `cell` or a `fact`"),
        ({"columns": [{"heading": "x", "cell": "{ARM.a.p98_ms}"}]}, "the nearest is p99_ms"),
        ({"columns": [{"heading": "x", "cell": "{ARM}"}]}, "is not a measure"),
        (
            {"columns": TABLE["columns"][:2]},
            "rows.naive.facts has infrastructure; the columns ask for nothing",
        ),
        ({"columns": []}, "at least 1 item"),
        ({"rows": {}}, "at least 1 item"),
    ],
)
def test_an_invalid_table_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        table(**changes)

    assert said in str(refused.value)


def test_a_row_is_about_an_arm() -> None:
    experiment = shipped("ladder").model_dump(exclude_none=True)
    experiment["table"]["rows"]["mine"] = experiment["table"]["rows"]["naive"]

    with pytest.raises(ValidationError, match=r"table\.rows\.mine is about no arm"):
        Experiment.model_validate(experiment)
