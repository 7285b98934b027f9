"""Synthetic runs: what the pure parts of the bench are fed in tests."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from offloop.bench.experiment import Experiment, find_experiments, load_experiment
from offloop.bench.question import ExperimentError
from offloop.bench.telling import tell_result
from offloop.bench.validity import Digests, validity
from offloop.load.log import RequestLog
from offloop.load.records import ReportRow, RequestRow
from offloop.measuring.catalogue import UnknownMeasureError, measure_named, sample_name, subject
from offloop.measuring.judging import (
    Measured,
    block_values,
    enough_quiet_blocks,
    judge_blocks,
)
from offloop.measuring.results import Calibrated, ExperimentResult, Guilty
from offloop.measuring.values import Block, Recorded, Sample, sample
from offloop.measuring.verdicts import Judged, Verdict

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "loadtests" / "experiments"

#: Seconds; when the synthetic generator stops waiting.
DEADLINE_S = 10.0

#: Requests and orders of a synthetic block.
BYSTANDERS = 1200
REPORTS = 2

ACCEPTED = "2026-01-01T00:00:00.000Z"

#: Digests of the reports of each arm that builds some, by stream.
SAME_BYTES = {arm: {"report": frozenset({"abc"})} for arm in ("naive", "fixed")}

#: What a report was found to cost before a block.
CALIBRATED = Calibrated(runs_s=(0.6,), run_s=0.6, per_second=0.83)

#: The queue of each stream of orders, as naive has none.
NO_QUEUES = {"report": None}

#: Measure -> value, or name of a sample -> times; None for what is missing.
Values = Mapping[str, float | Sequence[float] | None]


def shipped(slug: str) -> Experiment:
    """An experiment with services, as it is in its file."""
    experiment = find_experiments(EXPERIMENTS, (slug,))[slug]
    assert isinstance(experiment, Experiment)
    return experiment


def refusal_of(file: Path, folder: Path, old: str, new: str) -> str:
    """What is said of an experiment's file once something in it has been replaced."""
    text = file.read_text()
    assert old in text
    path = folder / "broken.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ExperimentError) as refused:
        load_experiment(path)
    return str(refused.value)


def loop_blocking() -> Experiment:
    return shipped("loop_blocking")


def request(
    name: str = "bystander",
    *,
    due_s: float = 1.0,
    lag_s: float | None = 0.001,
    took_s: float | None = 0.002,
    error: str = "",
) -> RequestRow:
    """One due request, sent after `lag_s` and answered after `took_s` more, if at all."""
    sent_s = None if lag_s is None else due_s + lag_s
    done_s = None if sent_s is None or took_s is None else sent_s + took_s
    return RequestRow(name, due_s, sent_s, done_s, None if done_s is None else 200, 2, error)


def report(  # noqa: PLR0913 - what may differ, each with a default
    name: str = "report",
    *,
    due_s: float = 1.0,
    seen_s: float | None = 2.0,
    status: str | None = "done",
    waited_s: int = 0,
    built_s: int = 1,
) -> ReportRow:
    """One followed report, accepted at `ACCEPTED`, started `waited_s` and finished `built_s` later.

    Finished if it is done.
    """
    started = f"2026-01-01T00:00:{waited_s:02}.000Z"
    finished = f"2026-01-01T00:00:{built_s:02}.000Z" if status == "done" else None
    sha256 = "abc" if status == "done" else None
    return ReportRow(name, due_s, seen_s, "job", status, ACCEPTED, started, finished, 1, 2, sha256)


def request_log(requests: Iterable[RequestRow], reports: Iterable[ReportRow] = ()) -> RequestLog:
    rows = list(requests)
    return RequestLog(
        names=tuple(dict.fromkeys(row.name for row in rows)),
        start_monotonic_s=0.0,
        deadline_s=DEADLINE_S,
        requests=rows,
        reports=list(reports),
        cpu_s=0.1,
    )


def measured(values: Values) -> Recorded:
    """What was measured of one arm in one block.

    A measure that is taken from a sample becomes a sample of equal values: `BYSTANDERS` of a stream
    `bystander`, `REPORTS` of any other. Of several that are taken from the same one, the last
    counts.
    """
    numbers: dict[str, float] = {}
    samples: dict[str, Sample] = {}
    for name, value in values.items():
        into = _sample_of(name)
        numbers.pop(name, None)
        samples.pop(into or name, None)
        if isinstance(value, Sequence):
            samples[name] = sample(value)
        elif value is not None and into is not None:
            times = BYSTANDERS if subject(name).endswith("bystander") else REPORTS
            samples[into] = (value,) * times
        elif value is not None:
            numbers[name] = value
    return Recorded(numbers, samples)


def _sample_of(name: str) -> str | None:
    try:
        return sample_name(name) if measure_named(name).sample else None
    except UnknownMeasureError:
        return None  # the name of a sample


def bystander(p99_ms: float) -> Values:
    return {
        "bystander.offered": BYSTANDERS,
        "bystander.sent": BYSTANDERS,
        "bystander.answered": BYSTANDERS,
        "bystander.failed": 0,
        "bystander.p99_ms": p99_ms,
        "bystander.service_p99_ms": p99_ms,
        "bystander.dispatch_lag_p99_ms": 1.0,
    }


def reports(seen_p95_ms: float) -> Values:
    return {
        "report.offered": REPORTS,
        "report.sent": REPORTS,
        "report.dispatch_lag_p90_ms": 1.0,
        "report.accepted": REPORTS,
        "report.finished": REPORTS,
        "report.failed": 0,
        "report.run_p50_ms": 600.0,
        "report.seen_p95_ms": seen_p95_ms,
        "jobs.lost": 0,
        "jobs.cpu_us_per_line": 12.0,
        "stack.processes": 2,
        "stack.memory_peak_bytes": 150e6,
    }


def block(**changes: Values) -> Block:
    """One sound block of `loop_blocking`, of one second.

    Args:
        changes: By arm, what differs, as `measured` takes it.
    """
    arms = {
        "baseline": bystander(4.0),
        "naive": {**bystander(580.0), **reports(800.0)},
        "fixed": {**bystander(5.0), **reports(900.0)},
        "same_priority": {**bystander(6.0), **reports(900.0)},
        "predicted": {"bystander.p99_ms": 588.0},
    }
    found = {}
    for arm, values in arms.items():
        whole = measured({**values, **changes.get(arm, {})})
        # All that it says of one moment it says of each.
        of_bystanders = {name: each for name, each in whole.samples.items() if "bystander" in name}
        seconds = {f"second:0.{name}": each for name, each in of_bystanders.items()}
        found[arm] = Recorded(whole.numbers, {**whole.samples, **seconds})
    return found | {arm: measured(changes[arm]) for arm in changes.keys() - arms.keys()}


def failed_checks(blocks: Sequence[Block], digests: Digests = SAME_BYTES) -> dict[str, Judged]:
    """The checks of validity that these blocks of `loop_blocking` do not pass."""
    checks = validity(loop_blocking(), blocks, digests, NO_QUEUES)
    return {judged.id: judged for judged in checks if judged.ok is not True}


def result(blocks: Sequence[Block], **changes: Any) -> ExperimentResult:  # noqa: ANN401 - any field
    """The result of an experiment of these blocks, judged as the runner does."""
    experiment = loop_blocking()
    load = experiment.load.model_dump(mode="json", exclude_none=True)
    found = ExperimentResult(
        verdict=Verdict.NO_VERDICT,
        title=experiment.title,
        load=load,
        calibrations=[{"report": CALIBRATED}] * len(blocks),
        blocks=list(map(block_values, blocks)),
        evidence=[
            Guilty(
                arm="naive",
                process="naive",
                file="reports/pricing.py",
                function="summarise",
                line=42,
                share=0.48,
                building_share=0.5,
                hottest_file="reports/pricing.py",
                hottest_function="price",
                hottest_line=17,
                hottest_share=0.3,
            )
        ],
    )
    runs = Measured(frozenset(experiment.judged_arms), list(blocks))
    checks = partial(validity, experiment, digests=SAME_BYTES, queues=NO_QUEUES)
    judged_blocks = judge_blocks(
        found,
        experiment.expectations,
        runs,
        lambda judged: [*checks(judged), enough_quiet_blocks(found.judged_blocks, len(blocks))],
    )
    tell_result(found, experiment, judged_blocks)
    told = {
        "gain": "Bystanders waited 116 times less.",
        "price": "It takes 4 processes instead of 1.",
    }
    return ExperimentResult(**{**dict(found), **told, **changes})
