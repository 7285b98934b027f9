"""What customers order, and what each order has to come to."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from reports.spec import ReportSpec
from tests.chaos.invariants import Content, Expected
from tests.shop import ROOT
from workers.ledger import BASE_CENTS, LINES_PER_CENT
from workers.queues import Queue

#: Of the data set: 60,175 line items.
SCALE_FACTOR = "0.01"


@dataclass(frozen=True)
class Item:
    """A kind of report. Its weight is how often it is ordered, among those of its queue."""

    name: str
    queue: Queue
    spec: ReportSpec
    weight: int


def _spec(first: str, last: str, kind: str) -> ReportSpec:
    return ReportSpec.model_validate({"shipped_from": first, "shipped_to": last, "format": kind})


#: Long reports take up to a second if three slots share two cores. The largest are ordered less
#: often, because all files are kept until the end.
ITEMS = (
    Item("a day", Queue.SHORT, _spec("1995-03-01", "1995-03-01", "csv"), 1),
    Item("a week", Queue.SHORT, _spec("1996-07-01", "1996-07-07", "parquet"), 1),
    Item("a month", Queue.SHORT, _spec("1994-05-01", "1994-05-31", "csv"), 1),
    Item("a quarter", Queue.LONG, _spec("1993-01-01", "1993-03-31", "csv"), 3),
    Item("two years", Queue.LONG, _spec("1996-01-01", "1997-12-31", "parquet"), 2),
    Item("everything", Queue.LONG, _spec("1992-01-02", "1998-12-01", "csv"), 2),
)

BY_NAME: Mapping[str, Item] = {item.name: item for item in ITEMS}


@cache
def expected_reports() -> Mapping[str, Expected]:
    """Build each report once without a job tier, and return what it has to be, by its name."""
    with TemporaryDirectory() as folder:
        return {item.name: _expected(item.spec, Path(folder)) for item in ITEMS}


def _expected(spec: ReportSpec, folder: Path) -> Expected:
    suffix = spec.format.suffix
    command = (
        *(sys.executable, "-m", "reports", "--scale-factor", SCALE_FACTOR),
        *("--shipped-from", str(spec.shipped_from), "--shipped-to", str(spec.shipped_to)),
        *("--format", spec.format, "--out", str(folder / f"expected{suffix}")),
    )
    made = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    cents = BASE_CENTS + -(-made["rows"] // LINES_PER_CENT)
    return Expected(suffix, Content(made["bytes"], made["sha256"]), cents)
