"""A small run that was recorded, and judging it again after its data has been edited.

The folder of a run holds everything that its verdict rests on: the rows of all requests and
reports, and in `run.json` what was measured beside them. `judged_again` works out the measures from
the rows, as the run did, so that an edit of the data reaches the verdict the way a fact would.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from offloop.bench.calibration import Calibration
from offloop.bench.experiment import Experiment
from offloop.bench.predictions import predictions
from offloop.bench.streams import again
from offloop.bench.telling import tell_result
from offloop.bench.validity import validity
from offloop.load.log import RequestLog
from offloop.load.records import RefusalRow, ReportRow, RequestRow
from offloop.measuring.instruments.queue import row_measures
from offloop.measuring.instruments.requests import recorded
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.judging import Measured, enough_quiet_blocks, judge_blocks
from offloop.measuring.results import ExperimentResult
from offloop.measuring.rows import Happened, Rows
from offloop.measuring.values import Block, Recorded, merged
from offloop.measuring.verdicts import Judged, Verdict
from tests.bench.support import shipped

FOLDER = Path(__file__).parent / "recorded"

#: The experiments that were recorded: a ratio of p99s, promises, and a queue.
SLUGS = ("loop_blocking", "duplicate_reports", "queue_growth")


@dataclass
class Recording:
    """One experiment of a recorded run, to be edited.

    Attributes:
        slug: The experiment.
        result: Its part of `run.json`.
        requests: Rows of `requests.parquet`, as dictionaries.
        reports: Rows of `reports.parquet`.
        refusals: Rows of `refusals.parquet`.
    """

    slug: str
    result: dict[str, Any]
    requests: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    refusals: list[dict[str, Any]]


@cache
def _read(folder: Path, slug: str) -> tuple[str, list[list[dict[str, Any]]]]:
    tables = []
    for name in ("requests", "reports", "refusals"):
        path = folder / f"{name}.parquet"
        rows = pq.read_table(path).to_pylist() if path.exists() else []
        tables.append([row for row in rows if row["experiment"] == slug])
    return (folder / "run.json").read_text(), tables


def recording(slug: str, folder: Path | None = None) -> Recording:
    """Read a run, by default the one that was recorded; what is returned may be edited."""
    text, tables = _read(folder or FOLDER / slug, slug)
    requests, reports, refusals = ([dict(row) for row in table] for table in tables)
    return Recording(slug, json.loads(text)["experiments"][slug], requests, reports, refusals)


def judged_again(
    run: Recording, *, change: Callable[[Experiment], Experiment] = lambda each: each
) -> ExperimentResult:
    """Judge a recording as the run did, by its rows."""
    experiment = change(shipped(run.slug))
    measured = measured_again(run, experiment)
    found = run.result
    result = ExperimentResult(
        verdict=Verdict.NO_VERDICT,
        title=experiment.title,
        load=found["load"],
        calibrations=found["calibrations"],
    )
    queues = {name: each.get("queue") for name, each in found["calibrations"][0].items()}

    def checks(blocks: Sequence[Block]) -> list[Judged]:
        return [
            *validity(experiment, blocks, _digests(run), queues),
            enough_quiet_blocks(result.judged_blocks, experiment.blocks),
        ]

    blocks = judge_blocks(result, experiment.expectations, measured, checks)
    tell_result(result, experiment, blocks, experiment.table)
    return result


def measured_again(run: Recording, experiment: Experiment) -> Measured:
    """Work out the measures of a recording from its rows."""
    found = run.result
    measured = Measured(frozenset(name for name, arm in experiment.arms.items() if not arm.once))
    for number, values in enumerate(found["blocks"]):
        block: dict[str, Recorded] = dict(_known(experiment, found, number))
        for arm, numbers in values.items():
            rows = _rows(run, experiment, number, arm)
            from_rows = merged([recorded(rows), Recorded.of(row_measures(rows))])
            known = {
                name: inf if value is None else value
                for name, value in numbers.items()
                if name not in from_rows.numbers
            }
            block[arm] = Recorded({**known, **from_rows.numbers}, from_rows.samples)
        measured.blocks.append(block)
    measured.discarded = [
        {each["arm"]: Recorded({k: v for k, v in each["measures"].items() if v is not None})}
        for each in found["discarded"]
    ]
    return measured


def _known(experiment: Experiment, found: dict[str, Any], number: int) -> dict[str, Recorded]:
    """Work out what was predicted for a block from what was calibrated before it."""
    calibrations = found["calibrations"][number]
    rates = {name: each["per_second"] for name, each in calibrations.items()}
    calibrated = {
        name: Calibration(
            tuple(each["runs_s"]),
            each.get("blocked_s"),
            each.get("queue"),
            each.get("sha256"),
            {int(slots): drain for slots, drain in each.get("drain_per_s", {}).items()},
        )
        for name, each in calibrations.items()
    }
    values = found["before_load_blocks"][number]
    return {
        source: known.with_number(TAKEN, values[source].get(TAKEN, 0.0))
        for source, known in predictions(experiment, calibrated, rates).items()
    }


def _rows(run: Recording, experiment: Experiment, number: int, arm: str) -> Rows:
    last = max(
        row["attempt"] for row in run.requests if row["block"] == number and row["arm"] == arm
    )

    def of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        own = [row for row in rows if row["block"] == number and row["arm"] == arm]
        return [row for row in own if row["attempt"] == last]

    streams = experiment.streams_of(arm)
    repeated = [
        again(name)
        for name, orders in experiment.load.orders.items()
        if name in streams and orders.repeat_after_s is not None
    ]
    log = RequestLog(
        names=(*streams, *repeated),
        start_monotonic_s=0.0,
        deadline_s=inf,
        requests=[
            RequestRow(*(row[key] for key in RequestRow._fields)) for row in of(run.requests)
        ],
        reports=[ReportRow(*(row[key] for key in ReportRow._fields)) for row in of(run.reports)],
        cpu_s=0.0,
        refusals=[
            RefusalRow(*(row[key] for key in RefusalRow._fields)) for row in of(run.refusals)
        ],
    )
    happened = [
        Happened(each["id"], each["what"], each["at_s"], each["lasted_s"])
        for each in run.result["events"]
        if each["block"] == number and each["arm"] == arm and each["attempt"] == last
    ]
    retrying = {name for name, each in experiment.load.orders.items() if each.retry_refused}
    return Rows(
        log=log,
        happened=happened,
        queued=experiment.arms[arm].has_tier,
        duration_s=experiment.load.duration_s,
        retrying=frozenset(retrying & set(streams)),
        later=experiment.load.later,
    )


def _digests(run: Recording) -> dict[str, dict[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for row in run.reports:
        if row["sha256"]:
            of_arm = found.setdefault(row["arm"], {})
            of_arm[row["name"]] = of_arm.get(row["name"], frozenset()) | {row["sha256"]}
    return found
