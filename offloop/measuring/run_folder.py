"""The folder that a run leaves behind: ``run.json``, and raw tables."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from errno import EEXIST
from pathlib import Path
from typing import Any

from offloop.errors import OffloopError
from offloop.measuring.instruments.instrument import RawRow
from offloop.measuring.results import Run

RUN_FILE = "run.json"


class ResultsError(OffloopError):
    """The results of a run cannot be kept."""


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

    def add(self, where: Mapping[str, Any], tables: Mapping[str, Sequence[RawRow]]) -> None:
        """Keep the raw rows of one run of an arm.

        Args:
            where: Names experiment, block, arm and attempt, as columns.
            tables: The rows, by the name of their table: each becomes ``NAME.parquet``.
        """
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
                    _write_table(self.path / f"{name}.parquet", rows)
        self._write_run(self._run)

    def _write_run(self, run: Run) -> None:
        self._run.wall_s = run.wall_s = time.monotonic() - self._began
        # A whole file is renamed over the old one: no reader ever sees half of it.
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


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    # Not at the top: an installation without the lab has no PyArrow.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    pq.write_table(pa.Table.from_pylist(rows), path)
