"""The raw rows of a run, as charts need them: by arm, of one block or of all judged ones."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from offloop.load.log import RequestLog, response_s
from offloop.load.records import ReportRow, RequestRow
from offloop.measuring.instruments.silences import silences
from offloop.measuring.results import ExperimentResult, LoadResult
from offloop.pages.charts.flame import Stack
from offloop.pages.charts.timeline import Fault, Lane, Report

_MS = 1000

_Row = dict[str, Any]


class Raw:
    """The raw rows of one experiment.

    Args:
        folder: Of the run.
        slug: The experiment.
        result: What was found.
    """

    def __init__(self, folder: Path, slug: str, result: ExperimentResult) -> None:
        self._folder = folder
        self._slug = slug
        self._result = result
        streams = result.load.get("streams", {})
        self._plain = [name for name, stream in streams.items() if "request" in stream]

    @property
    def shown_block(self) -> int:
        """The block that timelines show: the first one that is judged."""
        return next(iter(self._result.judged_blocks), 0)

    def lanes(self) -> dict[str, Lane]:
        """Return what happened to each arm in the shown block."""
        arms = [load.arm for load in self._loads(self.shown_block).values()]
        return {arm: self._lane(arm) for arm in self._result.arms if arm in arms}

    def response_times(self) -> dict[str, list[float]]:
        """Return the response times of plain requests in all judged blocks, by arm; ms."""
        found: dict[str, list[float]] = {}
        for row in self._rows("requests"):
            if row["block"] in self._result.judged_blocks and row["name"] in self._plain:
                found.setdefault(row["arm"], []).append(_MS * response_s(_request(row)))
        return {arm: found[arm] for arm in self._result.arms if arm in found}

    def depths(self) -> dict[str, list[tuple[float, float]]]:
        """Return how many jobs were in the queues in the shown block, by arm."""
        return self._series("depths", "jobs")

    def memory_mb(self) -> dict[str, list[tuple[float, float]]]:
        """Return the memory of each arm's services in the shown block, by arm; MB."""
        found: dict[str, dict[float, float]] = {}
        for row in self._shown("samples"):
            if row["name"] not in {"generator", "lab", "other-stacks"}:
                moments = found.setdefault(row["arm"], {})
                at_s = round(self._since(row), 1)
                moments[at_s] = moments.get(at_s, 0.0) + row["rss_bytes"] / 1e6
        return {arm: sorted(moments.items()) for arm, moments in found.items()}

    def stacks(self, arm: str, process: str) -> list[Stack]:
        """Return the stacks that py-spy saw of a process; none where there is no profile."""
        path = self._folder / "evidence" / self._slug / f"{arm}-{process}.txt"
        if not path.exists():
            return []
        found: list[Stack] = []
        for line in path.read_text().splitlines():
            frames, _, samples = line.rpartition(" ")
            found.append(([_short(frame) for frame in frames.split(";")], int(samples)))
        return found

    def _lane(self, arm: str) -> Lane:
        requests = [_request(row) for row in self._shown("requests") if row["arm"] == arm]
        reports = [_report(row) for row in self._shown("reports") if row["arm"] == arm]
        load = self._result.load
        duration_s = float(load.get("duration_s", 0.0))
        log = RequestLog(
            names=tuple(load.get("streams", ())),
            start_monotonic_s=0.0,
            deadline_s=duration_s + float(load.get("drain_s", 0.0)),
            requests=requests,
            reports=reports,
            cpu_s=0.0,
        )
        began = self._loads(self.shown_block)[arm].started_at
        return Lane(
            requests=[
                (row.due_s, _MS * response_s(row)) for row in requests if row.name in self._plain
            ],
            reports=[
                Report(row.due_s, _since(row.started_at, began), _since(row.finished_at, began))
                for row in reports
            ],
            stalls=[(stall.begin_s, stall.end_s) for stall in silences(log)],
            faults=[
                Fault(event.id, event.at_s)
                for event in self._result.events
                if (event.block, event.arm) == (self.shown_block, arm)
            ],
            duration_s=duration_s,
        )

    def _series(self, table: str, column: str) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {}
        for row in self._shown(table):
            found.setdefault(row["arm"], []).append((self._since(row), float(row[column])))
        return found

    def _since(self, row: _Row) -> float:
        began_s = self._loads(self.shown_block)[row["arm"]].start_monotonic_s
        return max(0.0, float(row["monotonic_s"]) - began_s)

    def _loads(self, block: int) -> Mapping[str, LoadResult]:
        """Return when the load of each arm began in a block: the last attempt counts."""
        return {load.arm: load for load in self._result.loads if load.block == block}

    def _shown(self, table: str) -> list[_Row]:
        loads = self._loads(self.shown_block)
        return [
            row
            for row in self._rows(table)
            if row["block"] == self.shown_block
            and row["arm"] in loads
            and row["attempt"] == loads[row["arm"]].attempt
        ]

    def _rows(self, table: str) -> Sequence[_Row]:
        return self._tables.get(table, ())

    @cached_property
    def _tables(self) -> Mapping[str, Sequence[_Row]]:
        found = {}
        for name in ("requests", "reports", "depths", "samples"):
            path = self._folder / f"{name}.parquet"
            if path.exists():
                rows = pq.read_table(path, filters=[("experiment", "=", self._slug)])
                found[name] = rows.to_pylist()
        return found


def _request(row: _Row) -> RequestRow:
    return RequestRow(*(row[field] for field in RequestRow._fields))


def _report(row: _Row) -> ReportRow:
    return ReportRow(*(row[field] for field in ReportRow._fields))


def _since(text: str | None, began: datetime) -> float | None:
    return None if text is None else (datetime.fromisoformat(text) - began).total_seconds()


def _short(frame: str) -> str:
    """Leave out of a frame all of the path but the last two parts, and the line."""
    function, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    return f"{function} ({'/'.join(path.split('/')[-2:])})" if place else function
