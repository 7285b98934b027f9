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
from offloop.bench.verdicts import Judged, Verdict
from offloop.load.records import RefusalRow, RequestRow
from offloop.stack.sampling import ResourceSample

RUN_FILE = "run.json"
REQUESTS_FILE = "requests.parquet"
SAMPLES_FILE = "samples.parquet"
REFUSALS_FILE = "refusals.parquet"
DEPTHS_FILE = "depths.parquet"


class ResultsError(Exception):
    """The results of a run cannot be kept."""


class EventResult(BaseModel):
    """Something that was done to the services of an arm while its load ran."""

    block: int
    arm: str
    id: str
    #: The services it was done to.
    what: tuple[str, ...]
    #: Seconds after the load began.
    at_s: float
    #: Seconds until they went on, or were ready again.
    lasted_s: float | None


class ExperimentResult(BaseModel):
    """One experiment of a run."""

    verdict: Verdict
    title: str
    #: The load as it was: resolved rates, the calibrated time of a report, the arrivals' seeds.
    load: dict[str, Any]
    #: Median over blocks of every measure.
    arms: dict[str, dict[str, float]] = Field(default_factory=dict)
    blocks: list[dict[str, dict[str, float]]] = Field(default_factory=list)
    #: Numbers of the blocks that all else is about: the host disturbed the others.
    judged_blocks: list[int] = Field(default_factory=list)
    expectations: list[Judged] = Field(default_factory=list)
    validity: list[Judged] = Field(default_factory=list)
    #: What theory predicted, median over blocks.
    predicted: dict[str, float] = Field(default_factory=dict)
    #: The same of each block, on record before its load began.
    predicted_blocks: list[dict[str, float]] = Field(default_factory=list)
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

    schema_: Literal["offloop.run/1"] = Field(default="offloop.run/1", alias="schema")
    started_at: datetime
    machine: dict[str, Any]
    versions: dict[str, str]
    git: dict[str, Any]
    seed: int
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
        requests: Sequence[RequestRow],
        samples: Sequence[ResourceSample],
        refusals: Sequence[RefusalRow] = (),
        depths: Sequence[DepthSample] = (),
    ) -> None:
        """Keep the raw rows of one arm; ``where`` names experiment, block and arm."""
        tables: Mapping[str, Sequence[RequestRow | ResourceSample | RefusalRow | DepthSample]] = {
            REQUESTS_FILE: requests,
            SAMPLES_FILE: samples,
            REFUSALS_FILE: refusals,
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
