"""What a run leaves behind: ``run.json``, raw tables, and the folder that holds them."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import EEXIST
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from offloop.bench.depth import DepthSample
from offloop.bench.evidence import Guilty
from offloop.bench.table import FilledTable
from offloop.errors import OffloopError
from offloop.load.log import RequestLog
from offloop.load.records import RefusalRow, ReportRow, RequestRow
from offloop.measuring.verdicts import Judged, Status, Verdict
from offloop.stack.sampling import ResourceSample

RUN_FILE = "run.json"
REQUESTS_FILE = "requests.parquet"
SAMPLES_FILE = "samples.parquet"
REPORTS_FILE = "reports.parquet"
REFUSALS_FILE = "refusals.parquet"
DEPTHS_FILE = "depths.parquet"


_Row = RequestRow | ReportRow | RefusalRow | ResourceSample | DepthSample


class ResultsError(OffloopError):
    """The results of a run cannot be kept."""


class EventResult(BaseModel):
    """Something that was done to the services of an arm while its load ran."""

    block: int
    arm: str
    #: How often the arm had run before in this block, and was disturbed.
    attempt: int
    id: str
    #: The services it was done to.
    what: tuple[str, ...]
    #: Seconds after the load began.
    at_s: float
    #: Seconds until they went on, or were ready again.
    lasted_s: float | None


class Detail(BaseModel):
    """What there is to know of a value, beside the value."""

    status: Status
    #: How many values it rests on: requests or reports of a sample, else blocks.
    n: int
    #: The 95% interval; null where there is no estimate, or its end never came.
    low: float | None = None
    high: float | None = None


class Discarded(BaseModel):
    """A run of an arm that was disturbed, and that another one has replaced."""

    block: int
    arm: str
    taken_share: float
    #: What took the machine, most first.
    taken_by: tuple[str, ...]
    measures: dict[str, float | None]


class Noise(BaseModel):
    """A moment at which the machine was not quiet, and what took it."""

    #: What was about to be done, or was measured meanwhile.
    step: str
    taken_share: float
    taken_by: tuple[str, ...]


#: Arm -> measure -> value; null for what never came.
Values = dict[str, dict[str, float | None]]


class ExperimentResult(BaseModel):
    """One experiment of a run."""

    verdict: Verdict
    title: str
    #: The load as it was: resolved rates, the calibrated time of a report, the arrivals' seeds.
    load: dict[str, Any]
    #: Every measure over the judged blocks, combined as the catalogue says.
    arms: Values = Field(default_factory=dict)
    #: The same keys: how many values, interval, and what became of those that are null.
    details: dict[str, dict[str, Detail]] = Field(default_factory=dict)
    #: Every measure of every block.
    blocks: list[Values] = Field(default_factory=list)
    #: Numbers of the blocks that are judged; a block that is missing here was disturbed.
    judged_blocks: list[int] = Field(default_factory=list)
    #: Arms that are shown, and ran only in a disturbed block.
    disturbed_arms: list[str] = Field(default_factory=list)
    #: Runs of an arm that were disturbed and repeated. Only promises look at them.
    discarded: list[Discarded] = Field(default_factory=list)
    noise: list[Noise] = Field(default_factory=list)
    expectations: list[Judged] = Field(default_factory=list)
    validity: list[Judged] = Field(default_factory=list)
    #: What each stream of reports was found to cost before each block, and its rate in it.
    calibrations: list[dict[str, Any]] = Field(default_factory=list)
    #: What was predicted, calibrated or configured, over the judged blocks: source -> measure.
    before_load: Values = Field(default_factory=dict)
    #: The same of each block, on record before its load began.
    before_load_blocks: list[Values] = Field(default_factory=list)
    events: list[EventResult] = Field(default_factory=list)
    #: The experiment's own table, where it has one.
    table: FilledTable | None = None
    evidence: list[Guilty] = Field(default_factory=list)
    #: Why there is no evidence, where there is none.
    evidence_missing: str | None = None
    #: What happened, and what the fix cost, in words.
    gain: str = ""
    price: str = ""
    #: Why the experiment was not finished.
    error: str | None = None


class Run(BaseModel):
    """Everything in ``run.json``."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    schema_: Literal["offloop.run/2"] = Field(default="offloop.run/2", alias="schema")
    kind: Literal["bench"] = "bench"
    started_at: datetime
    machine: dict[str, Any]
    versions: dict[str, str]
    git: dict[str, Any]
    seed: int
    #: Whether it was a quick look: fewer blocks.
    quick: bool = False
    wall_s: float = 0.0
    interrupted: bool = False
    verdict: Verdict = Verdict.NO_VERDICT
    experiments: dict[str, ExperimentResult] = Field(default_factory=dict)


class RunFolder:
    """``runs/<time>/``: made at the start, so that even an interrupted run leaves what it has."""

    def __init__(self, runs: Path, run: Run) -> None:
        """Make the folder for a run, and let ``runs/latest`` point to it.

        Raises:
            ResultsError: it cannot be made, or nothing can be written to it.
        """
        self._runs = runs
        self._run = run
        self._began = time.monotonic()
        with _explained(runs):
            self.path = self._make()
            self.checkpoint()
            self._point_latest_here()
        self._tables: dict[str, list[dict[str, Any]]] = {}

    def _make(self) -> Path:
        self._runs.mkdir(parents=True, exist_ok=True)
        moment = self._run.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S")
        # Two benches may start within the same second.
        for suffix in ("", *(f"-{number}" for number in range(2, 100))):
            path = self._runs / f"{moment}{suffix}"
            with suppress(FileExistsError):
                path.mkdir()
                return path
        raise FileExistsError(EEXIST, "exists, and so do its variants", str(self._runs / moment))

    def add(
        self,
        where: Mapping[str, Any],
        samples: Sequence[ResourceSample],
        log: RequestLog | None = None,
        depths: Sequence[DepthSample] = (),
    ) -> None:
        """Keep the raw rows of one run of an arm.

        Args:
            where: Names experiment, block, arm and attempt, as columns.
            samples: What its processes used.
            log: Every request; None where none were sent.
            depths: What was in the queues.
        """
        tables: Mapping[str, Sequence[_Row]] = {
            REQUESTS_FILE: log.requests if log else (),
            REPORTS_FILE: log.reports if log else (),
            REFUSALS_FILE: log.refusals if log else (),
            SAMPLES_FILE: samples,
            DEPTHS_FILE: depths,
        }
        for name, rows in tables.items():
            table = self._tables.setdefault(name, [])
            table += [{**where, **row._asdict()} for row in rows]

    def checkpoint(self) -> None:
        """Write ``run.json`` as it is to be found if nothing comes after: marked as interrupted.

        A lab that is killed cannot mark its run any more.

        Raises:
            ResultsError: the disk is full, or the folder is gone.
        """
        self._write_run(self._run.model_copy(update={"interrupted": True}))

    def finish(self) -> None:
        """Write everything.

        Raises:
            ResultsError: the disk is full, or the folder is gone.
        """
        with _explained(self.path):
            for name, rows in self._tables.items():
                if rows:
                    pq.write_table(pa.Table.from_pylist(rows), self.path / name)
        self._write_run(self._run)

    def _write_run(self, run: Run) -> None:
        self._run.wall_s = run.wall_s = time.monotonic() - self._began
        # A whole file is renamed over the old one: nobody ever reads half of it.
        unfinished = self.path / f".{RUN_FILE}"
        with _explained(self.path):
            unfinished.write_text(run.model_dump_json(indent=2) + "\n", encoding="utf-8")
            unfinished.replace(self.path / RUN_FILE)

    def _point_latest_here(self) -> None:
        # A new link is renamed over the old one, so that there is no moment without one.
        link = self._runs / f".latest-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(self.path.name)
        link.replace(self._runs / "latest")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"The results cannot be written to {folder}: {error.strerror or error}. Make room, or "
            "make it a folder that you can write to."
        ) from error
