import csv
import gzip
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from reports.build import CHUNK_LINES, PROGRESS_SECONDS, price_and_publish
from reports.files import COLUMNS, ROW_GROUP_CHUNKS
from reports.lines import stream_lines
from reports.rows import LineRow
from reports.spec import FIRST_SHIPDATE, LAST_SHIPDATE, ReportFormat, ReportSpec

EVERY_FORMAT = pytest.mark.parametrize("kind", list(ReportFormat))
SPAN = (LAST_SHIPDATE - FIRST_SHIPDATE).days

# Narrow enough factors that DuckDB keeps the products exact, in 38 digits.
ORACLE_LINES = """
    SELECT l_orderkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax,
           l_returnflag, l_linestatus, l_shipdate,
           l_extendedprice::DECIMAL(12, 2) * (1 - l_discount::DECIMAL(4, 2)) AS disc_price,
           l_extendedprice::DECIMAL(12, 2) * (1 - l_discount::DECIMAL(4, 2))
               * (1 + l_tax::DECIMAL(4, 2)) AS charge
    FROM read_parquet(?) WHERE l_shipdate BETWEEN ? AND ?
"""
ORACLE_TEXT = f"""
    SELECT COLUMNS(*)::VARCHAR FROM ({ORACLE_LINES} ORDER BY l_orderkey, l_linenumber)
"""  # noqa: S608 - both parts are constants
ORACLE_SUMMARY = f"""
    SELECT l_returnflag, l_linestatus, sum(l_quantity)::VARCHAR, sum(l_extendedprice)::VARCHAR,
           sum(disc_price)::VARCHAR, sum(charge)::VARCHAR, count(*)
    FROM ({ORACLE_LINES}) GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - both parts are constants


def windows() -> st.SearchStrategy[tuple[date, date]]:
    """Days and months mostly, and now and then years; some begin or end outside the data."""
    length = st.one_of(st.integers(0, 40), st.integers(0, 40), st.integers(0, SPAN + 20))
    return st.builds(
        lambda offset, days: (
            FIRST_SHIPDATE + timedelta(days=offset),
            FIRST_SHIPDATE + timedelta(days=offset + days),
        ),
        st.integers(-10, SPAN),
        length,
    ).filter(lambda window: window[1] >= FIRST_SHIPDATE)


def read_text(path: Path, kind: ReportFormat) -> list[tuple[str, ...]]:
    """The lines of a report as text, by readers that are not ours."""
    if kind is ReportFormat.CSV:
        with gzip.open(path, "rt", encoding="ascii", newline="") as file:
            header, *rows = [tuple(row) for row in csv.reader(file)]
        assert header == COLUMNS
        return rows
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)]
        ).fetchall()


def assert_equals_oracle(engine: Engine, lineitem: Path, spec: ReportSpec, target: Path) -> None:
    result = price_and_publish(stream_lines(engine, spec), spec, target).result
    bounds = [str(lineitem), spec.shipped_from, spec.shipped_to]
    with duckdb.connect() as connection:
        expected = connection.execute(ORACLE_TEXT, bounds).fetchall()
        expected_summary = connection.execute(ORACLE_SUMMARY, bounds).fetchall()

    assert read_text(target, spec.format) == expected
    assert result.rows == len(expected)
    assert [tuple(row.model_dump().values()) for row in result.summary] == expected_summary
    content = target.read_bytes()
    assert (result.bytes, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@settings(max_examples=20, deadline=None, derandomize=True)
@given(window=windows(), kind=st.sampled_from(ReportFormat))
def test_any_window_equals_an_independent_oracle_line_by_line(
    engine: Engine,
    oracle_at: Callable[[float], Path],
    tmp_path_factory: pytest.TempPathFactory,
    window: tuple[date, date],
    kind: ReportFormat,
) -> None:
    spec = ReportSpec(shipped_from=window[0], shipped_to=window[1], format=kind)
    target = tmp_path_factory.mktemp("report") / "file"

    assert_equals_oracle(engine, oracle_at(0.01), spec, target)


@pytest.mark.medium
@EVERY_FORMAT
@pytest.mark.parametrize(
    "window",
    [("1994-02-01", "1994-02-28"), ("1995-01-01", "1995-12-31"), ("1992-01-02", "1992-01-02")],
)
def test_the_default_scale_equals_the_oracle(
    engine_at: Callable[[float], Engine],
    oracle_at: Callable[[float], Path],
    tmp_path: Path,
    window: tuple[str, str],
    kind: ReportFormat,
) -> None:
    spec = ReportSpec.model_validate(
        {"shipped_from": window[0], "shipped_to": window[1], "format": kind}
    )

    assert_equals_oracle(engine_at(0.1), oracle_at(0.1), spec, tmp_path / "report")


@pytest.fixture(scope="module")
def year(engine: Engine) -> list[LineRow]:
    """A year at scale 0.01: two full chunks and a part."""
    spec = ReportSpec(shipped_from=date(1995, 1, 1), shipped_to=date(1995, 12, 31))
    rows = [row for batch in stream_lines(engine, spec) for row in batch]
    assert 2 * CHUNK_LINES < len(rows) < 3 * CHUNK_LINES
    return rows


def year_spec(kind: ReportFormat) -> ReportSpec:
    return ReportSpec(shipped_from=date(1995, 1, 1), shipped_to=date(1995, 12, 31), format=kind)


@EVERY_FORMAT
@settings(max_examples=6, deadline=None, derandomize=True)
@given(sizes=st.lists(st.integers(0, 6000), max_size=8))
def test_the_bytes_do_not_depend_on_how_the_rows_were_fetched(
    year: list[LineRow],
    tmp_path_factory: pytest.TempPathFactory,
    kind: ReportFormat,
    sizes: list[int],
) -> None:
    rows = iter(year)
    cut = [list(itertools.islice(rows, size)) for size in sizes]
    plain = [tuple(row) for row in rows]
    folder = tmp_path_factory.mktemp("reports")

    whole = price_and_publish([year], year_spec(kind), folder / "whole")
    parts = price_and_publish([*cut, plain], year_spec(kind), folder / "parts")

    assert parts.result == whole.result
    assert (folder / "parts").read_bytes() == (folder / "whole").read_bytes()


@EVERY_FORMAT
def test_a_report_without_lines_is_a_valid_file(tmp_path: Path, kind: ReportFormat) -> None:
    seen: list[int] = []

    result = price_and_publish([], year_spec(kind), tmp_path / "report", seen.append).result

    assert (result.rows, result.summary, seen) == (0, (), [0])
    assert read_text(tmp_path / "report", kind) == []
    assert result.bytes == (tmp_path / "report").stat().st_size


def test_gzip_headers_hold_neither_time_nor_name(year: list[LineRow], tmp_path: Path) -> None:
    price_and_publish([year], year_spec(ReportFormat.CSV), tmp_path / "report")

    header = (tmp_path / "report").read_bytes()[:10]

    assert header[:3] == b"\x1f\x8b\x08"  # RFC 1952: magic number, deflate
    assert header[3] == 0  # no flags, so no file name
    assert header[4:8] == b"\0\0\0\0"  # no time


@pytest.mark.medium
def test_parquet_row_groups_have_a_fixed_size(
    engine_at: Callable[[float], Engine], tmp_path: Path
) -> None:
    spec = year_spec(ReportFormat.PARQUET)
    result = price_and_publish(stream_lines(engine_at(0.1), spec), spec, tmp_path / "r").result

    metadata = pq.ParquetFile(tmp_path / "r").metadata
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]

    full = CHUNK_LINES * ROW_GROUP_CHUNKS
    assert groups == [full, result.rows - full]


@EVERY_FORMAT
def test_a_failing_fetch_leaves_nothing_and_keeps_the_older_file(
    year: list[LineRow], tmp_path: Path, kind: ReportFormat
) -> None:
    def failing() -> Iterator[Sequence[LineRow]]:
        yield year
        message = "the database went away"
        raise ConnectionError(message)

    target = tmp_path / "report"
    with pytest.raises(ConnectionError):
        price_and_publish(failing(), year_spec(kind), target)
    assert list(tmp_path.iterdir()) == []

    target.write_bytes(b"older")
    with pytest.raises(ConnectionError):
        price_and_publish(failing(), year_spec(kind), target)
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]


def test_the_target_appears_only_when_the_last_line_is_written(
    year: list[LineRow], tmp_path: Path
) -> None:
    target = tmp_path / "report"
    seen: list[bool] = []

    def watching() -> Iterator[Sequence[LineRow]]:
        for start in range(0, len(year), 1000):
            seen.append(target.exists())
            yield year[start : start + 1000]

    price_and_publish(watching(), year_spec(ReportFormat.CSV), target)

    assert len(seen) > 1
    assert not any(seen)
    assert target.exists()


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_cpu_seconds_leave_out_fetching_and_progress(year: list[LineRow], tmp_path: Path) -> None:
    burnt = 0.2

    def slow() -> Iterator[Sequence[LineRow]]:
        burn(burnt)
        yield year[:100]

    started = time.thread_time()
    published = price_and_publish(
        slow(), year_spec(ReportFormat.CSV), tmp_path / "r", lambda _: burn(burnt)
    )
    total = time.thread_time() - started

    assert total >= 2 * burnt
    assert 0 < published.cpu_seconds <= total - 2 * burnt


def test_progress_grows_and_ends_with_all_lines(year: list[LineRow], tmp_path: Path) -> None:
    seen: list[int] = []

    def slow() -> Iterator[Sequence[LineRow]]:
        for start in range(0, len(year), CHUNK_LINES):
            burn(1.2 * PROGRESS_SECONDS)  # so that every chunk is told
            yield year[start : start + CHUNK_LINES]

    price_and_publish(slow(), year_spec(ReportFormat.CSV), tmp_path / "r", seen.append)

    assert seen[:2] == [CHUNK_LINES, 2 * CHUNK_LINES]
    assert seen == sorted(seen)
    assert seen[-1] == len(year)
