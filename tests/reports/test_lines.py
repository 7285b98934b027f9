import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from reports.lines import INDEXED_DAYS, async_url, count_lines, select_lines, stream_lines
from reports.rows import day_from_number, day_number
from reports.spec import ReportSpec


def window(days: int, first: date = date(1995, 1, 1)) -> ReportSpec:
    return ReportSpec(shipped_from=first, shipped_to=first + timedelta(days=days - 1))


@pytest.mark.parametrize("days", [1, INDEXED_DAYS, INDEXED_DAYS + 1, 3000])
def test_lines_come_in_the_order_of_orders_and_lie_in_the_window(engine: Engine, days: int) -> None:
    spec = window(days)
    rows = [row for batch in stream_lines(engine, spec) for row in batch]

    keys = [(row[0], row[1]) for row in rows]
    shipped = [day_from_number(row[8]) for row in rows]
    assert keys == sorted(set(keys))
    assert all(spec.shipped_from <= day <= spec.shipped_to for day in shipped)
    assert len(rows) == count_lines(engine, spec)


def test_indexed_and_scanned_windows_find_the_same_lines(engine: Engine) -> None:
    """The longest indexed window and the shortest scanned one differ by that one day."""
    first = window(1).shipped_from
    last_day = window(1, first + timedelta(days=INDEXED_DAYS))

    indexed = {row for batch in stream_lines(engine, window(INDEXED_DAYS)) for row in batch}
    scanned = {row for batch in stream_lines(engine, window(INDEXED_DAYS + 1)) for row in batch}
    last = {row for batch in stream_lines(engine, last_day) for row in batch}

    assert scanned == indexed | last
    assert last
    assert not indexed & last


@pytest.mark.parametrize("days", [30, 3000])
def test_no_window_is_sorted_by_the_database(engine: Engine, days: int) -> None:
    """Sorting would make memory or temporary files grow with the report."""
    statement = select_lines(window(days)).compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]

    assert not [step for step in plan if "TEMP B-TREE" in step]
    assert any("lines_by_day" in step for step in plan) == (days == 30)


def test_batches_are_never_larger_than_asked(engine: Engine) -> None:
    sizes = [len(batch) for batch in stream_lines(engine, window(365), batch_lines=1000)]

    assert sizes[:-1] == [1000] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= 1000


def test_asynchronous_code_gets_the_same_rows(engine: Engine) -> None:
    spec = window(365)

    async def fetch() -> list[tuple[object, ...]]:
        async_engine = create_async_engine(async_url(engine.url))
        try:
            async with async_engine.connect() as connection:
                return [tuple(row) for row in (await connection.execute(select_lines(spec))).all()]
        finally:
            await async_engine.dispose()

    streamed = [tuple(row) for batch in stream_lines(engine, spec) for row in batch]

    assert asyncio.run(fetch()) == streamed
    assert streamed


def test_days_are_numbered_from_1970() -> None:
    assert day_number(date(1970, 1, 1)) == 0
    assert day_from_number(day_number(date(1998, 12, 1))) == date(1998, 12, 1)
