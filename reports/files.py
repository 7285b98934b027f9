"""Report files: gzip-compressed CSV, and Parquet.

Both hold the same columns. A file's bytes depend on its lines and on nothing else: no timestamp,
no file name, and row groups of a fixed size.
"""

import hashlib
import io
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
from pyarrow import parquet

from reports.pricing import PricedLines
from reports.rows import day_from_number, day_number
from reports.spec import FIRST_SHIPDATE, LAST_SHIPDATE, ReportFormat

COLUMNS = (
    "orderkey",
    "linenumber",
    "quantity",
    "extendedprice",
    "discount",
    "tax",
    "returnflag",
    "linestatus",
    "shipdate",
    "disc_price",
    "charge",
)

#: zlib's own default: the usual balance of size and time.
GZIP_LEVEL = 6

#: Chunks in one Parquet row group: 65,536 lines, about 8 MB in memory, with the chunks of
#: `reports.build`.
ROW_GROUP_CHUNKS = 16

_GZIP_CONTAINER = 16 + zlib.MAX_WBITS  # zlib manual, deflateInit2: add 16 for a gzip header

_ISO_DATES = {
    number: day_from_number(number).isoformat()
    for number in range(day_number(FIRST_SHIPDATE), day_number(LAST_SHIPDATE) + 1)
}

# Looking zero-padded digits up takes half the time of formatting them.
_DIGITS_2 = tuple(f"{number:02}" for number in range(100))
_DIGITS_4 = tuple(f"{number:04}" for number in range(10_000))

_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in zip(
            COLUMNS,
            (
                pa.int64(),
                pa.int32(),
                pa.decimal128(15, 2),
                pa.decimal128(15, 2),
                pa.decimal128(15, 2),
                pa.decimal128(15, 2),
                pa.string(),
                pa.string(),
                pa.date32(),
                pa.decimal128(18, 4),
                pa.decimal128(18, 6),
            ),
            strict=True,
        )
    ]
)


class MeasuredFile(io.RawIOBase):
    """Passes bytes on to a file and keeps their count and SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._digest = hashlib.sha256()
        self._discarding = False
        self.size = 0

    def discard(self) -> None:
        """Drop what is written from now on: the file is being given up."""
        self._discarding = True

    def writable(self) -> bool:
        """Always: there is nothing else to do with it."""
        return True

    def tell(self) -> int:
        """Bytes written so far; Parquet asks where its row groups start."""
        return self.size

    def write(self, data: Any) -> int:  # noqa: ANN401 - bytes or any buffer, as io defines it
        """Write all of `data`."""
        view = memoryview(data)
        if self._discarding:
            return view.nbytes
        self._file.write(view)
        self._digest.update(view)
        self.size += view.nbytes
        return view.nbytes

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of everything written."""
        return self._digest.hexdigest()


class ReportWriter(Protocol):
    """Writes priced lines in one format."""

    def write(self, priced: PricedLines) -> None:
        """Write one chunk; every chunk but the last has the same number of lines."""

    def finish(self) -> None:
        """Write what the format needs at its end; the file stays open."""

    def close(self) -> None:
        """Let go of the file, finished or not. Writes nothing more into it."""


def report_writer(kind: ReportFormat, file: MeasuredFile) -> ReportWriter:
    """The writer for a format, at the start of a file."""
    return CsvWriter(file) if kind is ReportFormat.CSV else ParquetWriter(file)


class CsvWriter:
    """Comma-separated values with a header row and exact decimals, gzip-compressed."""

    def __init__(self, file: MeasuredFile) -> None:
        self._file = file
        # Unlike the gzip module, zlib writes neither a time nor a name into the header.
        self._gzip = zlib.compressobj(GZIP_LEVEL, wbits=_GZIP_CONTAINER)
        self._write_text(",".join(COLUMNS) + "\n")

    def write(self, priced: PricedLines) -> None:
        """Write one chunk of lines."""
        # This runs millions of times, so decimals are put together here and not by a call for each.
        self._write_text(
            "".join(
                [
                    f"{orderkey},{linenumber},"
                    f"{quantity // 100}.{_DIGITS_2[quantity % 100]},"
                    f"{price // 100}.{_DIGITS_2[price % 100]},"
                    f"{discount // 100}.{_DIGITS_2[discount % 100]},"
                    f"{tax // 100}.{_DIGITS_2[tax % 100]},"
                    f"{returnflag},{linestatus},{_ISO_DATES[shipday]},"
                    f"{disc_price // 10_000}.{_DIGITS_4[disc_price % 10_000]},"
                    f"{charge // 1_000_000}."
                    f"{_DIGITS_2[charge // 10_000 % 100]}{_DIGITS_4[charge % 10_000]}\n"
                    for (
                        (
                            orderkey,
                            linenumber,
                            quantity,
                            price,
                            discount,
                            tax,
                            returnflag,
                            linestatus,
                            shipday,
                        ),
                        disc_price,
                        charge,
                    ) in zip(*priced, strict=True)
                ]
            )
        )

    def finish(self) -> None:
        """Write the end of the gzip stream."""
        self._file.write(self._gzip.flush())

    def close(self) -> None:
        """Let go of the file."""
        self._file.discard()

    def _write_text(self, text: str) -> None:
        self._file.write(self._gzip.compress(text.encode("ascii")))


class ParquetWriter:
    """Parquet with decimal columns, in row groups of `ROW_GROUP_CHUNKS` chunks."""

    def __init__(self, file: MeasuredFile) -> None:
        self._file = file
        self._writer = parquet.ParquetWriter(file, _SCHEMA)
        self._chunks: list[pa.RecordBatch] = []

    def write(self, priced: PricedLines) -> None:
        """Keep one chunk of lines, and write a row group when there are enough."""
        columns = [*zip(*priced.lines, strict=True), priced.disc_prices, priced.charges]
        arrays = [_array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)]
        self._chunks.append(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))
        if len(self._chunks) == ROW_GROUP_CHUNKS:
            self._write_row_group()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        if self._chunks:
            self._write_row_group()
        self._writer.close()

    def close(self) -> None:
        """Let go of the file."""
        # Arrow's writer can only be closed by writing a footer, and does so itself when it is
        # collected: by then the file is closed.
        self._file.discard()
        self._writer.close()

    def _write_row_group(self) -> None:
        table = pa.Table.from_batches(self._chunks)
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._chunks.clear()


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_decimal(kind):
        return pa.array(values, kind)
    # The integers already are the unscaled values of the decimals: give the same 16-byte buffer
    # its scale instead of making a Decimal of every value. 19 digits hold any int64.
    unscaled = pa.array(values, pa.int64()).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(kind, len(unscaled), unscaled.buffers())
