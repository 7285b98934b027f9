"""The data set: TPC-H line items, generated once and loaded into the database.

`python -m reports.dataset --scale-factor 0.1` makes sure that it is there.
"""

import argparse
import errno
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout
from pyarrow import parquet
from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Float,
    Integer,
    NullPool,
    Table,
    create_engine,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.schema import CreateTable

from reports.cli import add_scale_factor, settings_from, tell
from reports.lines import lines, lines_by_day, metadata
from reports.publish import publish_file
from reports.settings import ReportSettings

#: Raise it when the table or the meaning of a column changes: older files are then rebuilt.
SCHEMA_VERSION = 1

#: Disk space while building, per unit of scale factor: 232 MB of Parquet and 267 MB of SQLite,
#: measured at scale 1, and an allowance for sorting the index.
BYTES_PER_SCALE = 700_000_000

_LOAD_LINES = 20_000
_PROGRESS_SECONDS = 1.0

# Written last, in the same transaction as everything else: without its row the data set is not
# complete, whatever else is there.
_dataset = Table(
    "dataset",
    metadata,
    Column("schema_version", Integer, nullable=False),
    Column("scale_factor", Float, nullable=False),
    Column("lines", BigInteger, nullable=False),
)

Progress = Callable[[str], None]


class DatasetError(RuntimeError):
    """The data set cannot be made. The message is one sentence with the next step."""


def ensure_dataset(settings: ReportSettings, on_progress: Progress | None = None) -> URL:
    """Make the data set unless it is there, and say where it is.

    Safe to call from several processes at once: one builds it, and all other processes wait.

    Args:
        settings: Which scale factor, and where.
        on_progress: Called with a short text about once a second while something takes time.

    Returns:
        The database URL of the line items, for `sqlalchemy.create_engine`.

    Raises:
        DatasetError: The generator is missing, the disk is full or may not be written to, or the
            database does not answer.
    """
    say = on_progress or (lambda _: None)
    with _explained(settings):
        url = make_url(settings.effective_database_url)
        if _is_complete(url, settings.scale_factor):
            return url
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with _only_one(settings.data_dir / f"lineitem-sf{settings.scale_label}.lock", say):
            if not _is_complete(url, settings.scale_factor):
                _build(settings, url, say)
    return url


def _is_complete(url: URL, scale_factor: float) -> bool:
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return False  # connecting would create it
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            made = connection.execute(select(_dataset)).one_or_none()
            # Counted from the index: 3 ms at scale 0.1.
            counted = connection.execute(select(func.count()).select_from(lines)).scalar_one()
    except DatabaseError:  # no such table, or not a database: an attempt to build it says why
        return False
    return made is not None and tuple(made) == (SCHEMA_VERSION, scale_factor, counted)


@contextmanager
def _only_one(lock_file: Path, say: Progress) -> Iterator[None]:
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another process is building the data set; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(settings: ReportSettings, url: URL, say: Progress) -> None:
    needed = round(BYTES_PER_SCALE * settings.scale_factor)
    free = shutil.disk_usage(settings.data_dir).free
    if free < needed:
        raise DatasetError(
            f"scale factor {settings.scale_label} needs {_megabytes(needed)} in "
            f"{settings.data_dir}, which has {_megabytes(free)} free; choose a smaller scale "
            "factor, free some space, or set OFFLOOP_DATA_DIR to a folder on another disk"
        )
    # Fixed names, so that the remains of a killed build are found and replaced.
    folder = settings.data_dir / f".building-sf{settings.scale_label}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        source = _generate(settings.scale_label, folder, say)
        if url.get_backend_name() == "sqlite":
            _load_sqlite_file(url, source, settings.scale_factor, say)
        else:
            _load(url, source, settings.scale_factor, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _generate(scale_label: str, folder: Path, say: Progress) -> Path:
    """Run TPC-H's generator and return the Parquet file of line items."""
    beside_python = shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent))
    program = beside_python or shutil.which("tpchgen-cli")
    if program is None:
        raise DatasetError(
            "the data generator tpchgen-cli is neither beside this Python nor on the PATH; "
            "run `make setup`, or `pip install tpchgen-cli`"
        )
    command = [program, "parquet", "--scale-factor", scale_label, "--tables", "lineitem"]
    command += ["--output-dir", str(folder), "--quiet"]
    started = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as generator:
        try:
            while True:
                say(
                    f"generating TPC-H line items at scale {scale_label}"
                    f" ({time.monotonic() - started:.0f} s)"
                )
                try:
                    _, errors = generator.communicate(timeout=_PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            generator.kill()
            raise
    if generator.returncode != 0:
        if "No space left" in errors:
            raise OSError(errno.ENOSPC, "No space left on device")
        raise DatasetError(
            f"{program} failed with exit code {generator.returncode}: {errors.strip()[-500:]!r}; "
            f"run it yourself to see more: {' '.join(command)}"
        )
    return folder / "lineitem.parquet"


def _load_sqlite_file(url: URL, source: Path, scale_factor: float, say: Progress) -> None:
    """Load into a new file and rename it: processes that read the old one are not disturbed."""
    target = Path(url.database or "")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        _load(url.set(database=str(part)), source, scale_factor, say)
        publish_file(part, target)
    finally:
        part.unlink(missing_ok=True)


def _load(url: URL, source: Path, scale_factor: float, say: Progress) -> None:
    """Replace whatever the database holds by the line items, in one transaction."""
    engine = create_engine(url, poolclass=NullPool)
    with parquet.ParquetFile(source) as file, engine.connect() as connection:
        total = file.metadata.num_rows
        if url.get_backend_name() == "sqlite":
            # A file that no process reads yet needs no rollback; `publish_file` makes it durable.
            connection.exec_driver_sql("PRAGMA journal_mode = OFF")
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
        metadata.drop_all(connection)
        for table in (lines, _dataset):
            connection.execute(CreateTable(table))
        statement = insert(lines).compile(connection, column_keys=lines.columns.keys())
        loaded = 0
        told = time.monotonic()
        for batch in file.iter_batches(_LOAD_LINES, columns=list(_SOURCE_COLUMNS)):
            rows = _to_rows(batch)
            # Rows go to the driver as it takes them: five times faster than `execute`, which
            # looks at every value of every row.
            connection.exec_driver_sql(
                str(statement),
                list(rows)
                if statement.positional
                else [dict(zip(lines.columns.keys(), row, strict=True)) for row in rows],
            )
            loaded += batch.num_rows
            if time.monotonic() - told >= _PROGRESS_SECONDS or loaded == total:
                told = time.monotonic()
                say(f"loading line items: {loaded:,} of {total:,} ({loaded / total:.0%})")
        lines_by_day.create(connection)  # after the rows: sorting once beats inserting in place
        connection.execute(
            insert(_dataset),
            {"schema_version": SCHEMA_VERSION, "scale_factor": scale_factor, "lines": total},
        )
        connection.commit()


_HUNDREDTHS = ("quantity", "extendedprice", "discount", "tax")
_SOURCE_COLUMNS = (
    *("l_orderkey", "l_linenumber", "l_shipdate", "l_returnflag", "l_linestatus"),
    *(f"l_{name}" for name in _HUNDREDTHS),
)


def _to_rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Turn TPC-H's columns into rows of the table, exactly: a cast that loses digits raises."""
    columns = []
    for column in lines.columns:
        if column.name == "line_id":
            values = pc.add(pc.multiply(batch["l_orderkey"], 8), batch["l_linenumber"])
        elif column.name == "shipday":
            values = batch["l_shipdate"].view(pa.int32())
        elif column.name in _HUNDREDTHS:
            values = pc.multiply(batch[f"l_{column.name}"], 100).cast(pa.int64())
        else:
            values = batch[f"l_{column.name}"]
        columns.append(values.to_pylist())
    return zip(*columns, strict=True)


@contextmanager
def _explained(settings: ReportSettings) -> Iterator[None]:
    """Turn the failures a user can do something about into one sentence each."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _cannot_build(settings, reason, full=error.errno == errno.ENOSPC) from error
    except (ArgumentError, ImportError) as error:  # a malformed URL, or its driver is missing
        raise _cannot_build(settings, str(error), full=False) from error
    except DatabaseError as error:
        reason = str(error.orig)
        raise _cannot_build(settings, reason, full="is full" in reason) from error


def _cannot_build(settings: ReportSettings, reason: str, *, full: bool) -> DatasetError:
    if settings.database_url is not None:
        return DatasetError(
            f"cannot build the data set in OFFLOOP_DATABASE_URL: {reason}; check that the "
            "URL is right, its driver installed, and that its user may create tables"
        )
    step = "free some space" if full else "make it writable"
    return DatasetError(
        f"cannot build the data set in {settings.data_dir}: {reason}; "
        f"{step}, or set OFFLOOP_DATA_DIR to another folder"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def main(argv: Sequence[str] | None = None) -> int:
    """Make sure that the data set of one scale factor is there; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reports.dataset",
        description="Generate TPC-H line items and load them, unless they are there already. "
        "Safe to run several times at once.",
    )
    add_scale_factor(parser)
    settings = settings_from(parser, parser.parse_args(argv))
    try:
        url = ensure_dataset(settings, tell)
    except DatasetError as error:
        tell(f"error: {error}")
        return 1
    tell(f"the data set at scale {settings.scale_label} is in {url.database}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
