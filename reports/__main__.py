"""One report with no server: `python -m reports`."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import create_engine

from reports.build import price_and_publish
from reports.cli import add_scale_factor, settings_from, tell
from reports.dataset import DatasetError, ensure_dataset
from reports.lines import count_lines, stream_lines
from reports.settings import ReportSettings
from reports.spec import FIRST_SHIPDATE, LAST_SHIPDATE, ReportFormat, ReportResult, ReportSpec

_PROGRESS_SECONDS = 1.0

_EPILOG = f"""\
The report holds every line item shipped from D to D, both days included, with its price after
discount and tax. Standard output is one JSON object: the number of rows, the size and SHA-256 of
the file, and TPC-H's pricing summary. Progress goes to standard error. The data runs from
{FIRST_SHIPDATE} to {LAST_SHIPDATE}; it is generated on first use and kept in OFFLOOP_DATA_DIR.

examples:
  a month, as gzip-compressed CSV:
    python -m reports --shipped-from 1995-03-01 --shipped-to 1995-03-31 --out march.csv.gz
  TPC-H's published answer to query 1 (a minute or two):
    python -m reports --scale-factor 1 --shipped-from 1992-01-02 --shipped-to 1998-09-02 \\
      --format parquet --out q1.parquet

exit codes: 0 done, 1 the report could not be made, 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Make one report; return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    settings = settings_from(parser, arguments)
    try:
        spec = ReportSpec(
            shipped_from=arguments.shipped_from,
            shipped_to=arguments.shipped_to,
            format=arguments.format,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        flags = "".join(
            f"--{str(part).replace('_', '-')} {problem['input']!r}: " for part in problem["loc"]
        )
        parser.error(f"{flags}{problem['msg']}")
    target: Path = arguments.out
    if not target.parent.is_dir():
        parser.error(f"--out {target}: the folder {target.parent} does not exist; create it first")
    if target.is_dir():
        parser.error(f"--out {target}: is a folder; give the name of a file")
    try:
        result = _make(settings, spec, target)
    except DatasetError as error:
        tell(f"error: {error}")
        return 1
    except OSError as error:
        tell(
            f"error: cannot write {target}: {(error.strerror or str(error)).lower()}; "
            "choose another place with --out"
        )
        return 1
    sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports",
        description="Make one priced report over TPC-H line items, with no server.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_scale_factor(parser)
    parser.add_argument(
        "--shipped-from", metavar="D", required=True, help="first day, written YYYY-MM-DD"
    )
    parser.add_argument(
        "--shipped-to", metavar="D", required=True, help="last day, included; may be the first"
    )
    parser.add_argument(
        "--format",
        metavar="F",
        type=ReportFormat,
        choices=list(ReportFormat),
        default=ReportFormat.CSV,
        help="csv (gzip-compressed, the default) or parquet",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        required=True,
        help="where the file appears when it is whole; an older file is replaced",
    )
    return parser


def _make(settings: ReportSettings, spec: ReportSpec, target: Path) -> ReportResult:
    engine = create_engine(ensure_dataset(settings, tell))
    try:
        progress = _progress(count_lines(engine, spec))
        return price_and_publish(stream_lines(engine, spec), spec, target, progress).result
    finally:
        engine.dispose()


def _progress(total: int) -> Callable[[int], None]:
    """Tell how far the report is, about once a second."""
    told = time.monotonic()

    def on_progress(written: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _PROGRESS_SECONDS:
            told = time.monotonic()
            tell(f"writing lines: {written:,} of {total:,} ({written / total:.0%})")

    return on_progress


if __name__ == "__main__":
    sys.exit(main())
