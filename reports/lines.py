"""The line items in the database: the table, and the queries of a report.

The same statements serve synchronous and asynchronous code; only how the rows are fetched differs.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    func,
    literal_column,
    select,
)

from reports.rows import FIELDS, LineRow, day_number
from reports.spec import ReportSpec

#: Lines fetched at a time while streaming; small enough for the rows to stay in a processor's
#: cache. A year took 285 ms of CPU in batches of 1,000 and 325 ms in batches of 8,192.
FETCH_LINES = 2_000

#: Longest window, in days, that is looked up by its index. Measured with SQLite at scale 0.1:
#: a month takes 19 ms through the index and 40 ms by scanning, a year 189 ms and 143 ms.
INDEXED_DAYS = 120

metadata = MetaData()

# SQLite stores a table in the order of its primary key only if that is one INTEGER.
_Key = BigInteger().with_variant(Integer, "sqlite")

lines = Table(
    "lines",
    metadata,
    # orderkey * 8 + linenumber. An order has at most 7 lines (TPC-H specification 4.2.3), so
    # this is the order (orderkey, linenumber), kept by the table itself: no report ever sorts.
    Column("line_id", _Key, primary_key=True, autoincrement=False),
    # First after the key, because a scan decodes a record only as far as the column it filters by.
    Column("shipday", Integer, nullable=False),
    Column("orderkey", BigInteger, nullable=False),
    Column("linenumber", Integer, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("extendedprice", Integer, nullable=False),
    Column("discount", Integer, nullable=False),
    Column("tax", Integer, nullable=False),
    Column("returnflag", String(1), nullable=False),
    Column("linestatus", String(1), nullable=False),
)

lines_by_day = Index("lines_by_day", lines.c.shipday)


def select_lines(spec: ReportSpec) -> Select[*tuple[object, ...]]:
    """Select the lines of a report, ordered by (orderkey, linenumber).

    Rows hold the values of `reports.rows.FIELDS`, in that order.
    """
    first, last = day_number(spec.shipped_from), day_number(spec.shipped_to)
    statement = select(*(lines.c[name] for name in FIELDS)).order_by(lines.c.line_id)
    if last - first < INDEXED_DAYS:
        # The index gives the keys, the keys are visited in order: nothing is sorted.
        keys = select(lines.c.line_id).where(lines.c.shipday.between(first, last))
        return statement.where(lines.c.line_id.in_(keys))
    # Adding zero hides the column from the planner, which would pick the index and sort.
    return statement.where((lines.c.shipday + literal_column("0")).between(first, last))


def stream_lines(
    engine: Engine, spec: ReportSpec, *, batch_lines: int = FETCH_LINES
) -> Iterator[Sequence[LineRow]]:
    """Fetch the lines of a report in batches, so that memory does not grow with the report.

    Yields:
        Up to `batch_lines` rows of `select_lines`, in its order.
    """
    with engine.connect() as connection:
        result = connection.execution_options(yield_per=batch_lines).execute(select_lines(spec))
        yield from result.partitions()


def count_lines(engine: Engine, spec: ReportSpec) -> int:
    """Count the lines of a report from the index alone, for showing progress."""
    first, last = day_number(spec.shipped_from), day_number(spec.shipped_to)
    statement = select(func.count()).where(lines.c.shipday.between(first, last))
    with engine.connect() as connection:
        return connection.execute(statement).scalar_one()


def async_url(url: URL) -> URL:
    """The same database for `create_async_engine`.

    SQLite has another driver for that; drivers such as `postgresql+psycopg` serve both.
    """
    return url.set(drivername="sqlite+aiosqlite") if url.get_backend_name() == "sqlite" else url
