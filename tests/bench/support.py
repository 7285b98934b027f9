"""Synthetic runs: what the pure parts of the bench are fed in tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from offloop.bench.evidence import Guilty
from offloop.bench.experiment import Experiment, find_experiments, load_experiment
from offloop.bench.question import ExperimentError
from offloop.bench.results import ExperimentResult
from offloop.bench.validity import Digests, validity
from offloop.bench.verdicts import Judged, experiment_verdict, judge
from offloop.load.log import RequestLog
from offloop.load.records import ReportRow, RequestRow

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "loadtests" / "experiments"

#: Seconds; when the synthetic generator stops waiting.
DEADLINE_S = 10.0

#: That are ordered in a synthetic block.
REPORTS = 2

ACCEPTED = "2026-01-01T00:00:00.000Z"

#: Digests of the reports of each arm that builds some, by stream.
SAME_BYTES = {arm: {"report": frozenset({"abc"})} for arm in ("naive", "fixed")}

#: The queue of each stream of orders, as naive has none.
NO_QUEUES = {"report": None}

Block = dict[str, dict[str, float]]


def shipped(slug: str) -> Experiment:
    """An experiment with services, as it is in its file."""
    experiment = find_experiments(EXPERIMENTS, (slug,))[slug]
    assert isinstance(experiment, Experiment)
    return experiment


def refusal_of(slug: str, folder: Path, old: str, new: str) -> str:
    """What is said of an experiment's file once something in it has been replaced."""
    text = (EXPERIMENTS / f"{slug}.toml").read_text()
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


def bystander(p99_ms: float) -> dict[str, float]:
    return {
        "bystander.offered": 1200,
        "bystander.sent": 1200,
        "bystander.answered": 1200,
        "bystander.failed": 0,
        "bystander.p99_ms": p99_ms,
        "bystander.service_p99_ms": p99_ms,
        "bystander.dispatch_lag_p99_ms": 2.0,
    }


def reports(seen_p95_ms: float) -> dict[str, float]:
    return {
        "report.offered": REPORTS,
        "report.sent": REPORTS,
        "report.dispatch_lag_p90_ms": 2.0,
        "report.finished": REPORTS,
        "report.run_p50_ms": 600.0,
        "report.seen_p95_ms": seen_p95_ms,
        "jobs.cpu_s": 0.6,
        "jobs.cpu_us_per_line": 12.0,
        "stack.processes": 2,
        "stack.memory_peak_bytes": 150e6,
    }


def block(**changes: Mapping[str, float | None]) -> Block:
    """The measures of one sound block of `loop_blocking`.

    Args:
        changes: By arm, the measures that differ: a value, or None for one that is missing.
    """
    arms: dict[str, dict[str, float | None]] = {
        "baseline": {**bystander(4.0)},
        "naive": {**bystander(580.0), **reports(800.0)},
        "fixed": {**bystander(5.0), **reports(900.0)},
        "predicted": {"bystander.p99_ms": 588.0},
    }
    for arm, measures in changes.items():
        arms[arm] |= measures
    for measures in arms.values():
        # All that it says of one moment it says of each.
        tails = {
            name: measures.get(name) for name in ("bystander.p99_ms", "bystander.service_p99_ms")
        }
        measures |= {f"second:0.{name}": value for name, value in tails.items()}
    return {
        arm: {name: value for name, value in measures.items() if value is not None}
        for arm, measures in arms.items()
    }


def failed_checks(blocks: list[Block], digests: Digests = SAME_BYTES) -> dict[str, Judged]:
    """The checks of validity that these blocks of `loop_blocking` do not pass."""
    checks = validity(loop_blocking(), blocks, digests, NO_QUEUES)
    return {judged.id: judged for judged in checks if judged.ok is not True}


def result(blocks: list[Block], **changes: Any) -> ExperimentResult:  # noqa: ANN401 - any field
    """The result of an experiment of these blocks, judged as the runner does."""
    experiment = loop_blocking()
    expectations = [judge(expectation, blocks) for expectation in experiment.expect]
    checks = validity(experiment, blocks, SAME_BYTES, NO_QUEUES)
    fields: dict[str, Any] = {
        "verdict": experiment_verdict(expectations, checks),
        "title": experiment.title,
        "load": experiment.load.model_dump(mode="json"),
        "arms": {arm: blocks[0][arm] for arm in experiment.judged_arms},
        "blocks": blocks,
        "judged_blocks": list(range(len(blocks))),
        "expectations": expectations,
        "validity": checks,
        "predicted": {"bystander.p99_ms": 588.0},
        "evidence": [
            Guilty(
                arm="naive",
                process="naive",
                file="reports/pricing.py",
                function="summarise",
                line=42,
                share=0.48,
            )
        ],
        "gain": "Bystanders waited 116 times less.",
        "price": "It takes 4 processes instead of 1.",
    }
    return ExperimentResult(**{**fields, **changes})
