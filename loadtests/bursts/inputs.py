"""What the pieces of work need, made from the line items in the database."""

import gzip
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice, pairwise

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import create_engine

from loadtests.bursts.kinds import Aggregate, Gzip, Inference, Parquet, Piece
from offloop.bench.burst.protocol import Kind
from reports.build import CHUNK_LINES, price_and_write
from reports.lines import stream_lines
from reports.rows import FIELDS, LineRow
from reports.settings import ReportSettings
from reports.spec import FIRST_SHIPDATE, LAST_SHIPDATE, ReportFormat, ReportSpec

#: Line items in a piece of each kind. A piece then takes 30 to 100 ms on a machine of 2026: far
#: more than handing it to another process (less than one) and than a turn with the GIL (5).
LINES: Mapping[Kind, int] = {
    "aggregate": 60_000,
    "gzip": 16_000,
    "parquet": 60_000,
    "inference": 16_000,
}

#: Units of each layer of the network, from what it is told of a line item to the classes.
LAYERS = (4, 256, 256, 8)

#: What the network is told of a line item.
FEATURES = ("quantity", "extendedprice", "discount", "tax")

#: Of the network's weights. It has never been trained: what it says means nothing, but it costs
#: what a trained one costs.
SEED = 1


def prepare(kinds: Iterable[Kind], settings: ReportSettings) -> dict[Kind, Piece]:
    """Make a piece of work of each kind ready.

    Raises:
        SQLAlchemyError: The database does not answer, or has no line items.
    """
    wanted = set(kinds)
    lines = _fetch(settings, max(LINES[kind] for kind in wanted))
    return {kind: _PREPARE[kind](lines[: LINES[kind]]) for kind in wanted}


def _fetch(settings: ReportSettings, number: int) -> list[LineRow]:
    engine = create_engine(settings.effective_database_url)
    try:
        fetched = chain.from_iterable(stream_lines(engine, _everything(ReportFormat.CSV)))
        # Plain tuples can be sent to another process.
        return [tuple(line) for line in islice(fetched, number)]
    finally:
        engine.dispose()


def _aggregate(lines: Sequence[LineRow]) -> Aggregate:
    chunks = [lines[first : first + CHUNK_LINES] for first in range(0, len(lines), CHUNK_LINES)]
    return Aggregate(chunks)


def _gzip(lines: Sequence[LineRow]) -> Gzip:
    return Gzip(gzip.decompress(_report(lines, ReportFormat.CSV)))


def _parquet(lines: Sequence[LineRow]) -> Parquet:
    file = pa.BufferReader(_report(lines, ReportFormat.PARQUET))
    return Parquet(parquet.read_table(file))


def _inference(lines: Sequence[LineRow]) -> Inference:
    places = [FIELDS.index(name) for name in FEATURES]
    told = np.array([[line[place] for place in places] for line in lines], dtype=np.float32)
    random = np.random.default_rng(SEED)
    return Inference(
        inputs=(told - told.mean(axis=0)) / told.std(axis=0),
        layers=[
            random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[0]))
            for shape in pairwise(LAYERS)
        ],
    )


_PREPARE: Mapping[Kind, Callable[[Sequence[LineRow]], Piece]] = {
    "aggregate": _aggregate,
    "gzip": _gzip,
    "parquet": _parquet,
    "inference": _inference,
}


def _report(lines: Sequence[LineRow], kind: ReportFormat) -> bytes:
    file = io.BytesIO()
    price_and_write([lines], _everything(kind), file)
    return file.getvalue()


def _everything(kind: ReportFormat) -> ReportSpec:
    return ReportSpec(shipped_from=FIRST_SHIPDATE, shipped_to=LAST_SHIPDATE, format=kind)
