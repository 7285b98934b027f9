"""What customers order, and what each order has to come to."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.spec import ReportFormat
from tests.chaos.invariants import Expected
from tests.shop import ROOT
from workers.ledger import BASE_CENTS, LINES_PER_CENT
from workers.queues import Queue

#: Of the data set: 60,175 line items.
SCALE_FACTOR = "0.01"


@dataclass(frozen=True)
class Item:
    """A kind of report.

    Attributes:
        name: What we call it.
        queue: Which its orders go through.
        body: Of an order.
        weight: How often it is ordered, among those of its queue. The larger ones are ordered less
            often, because all files are kept until the end.
    """

    name: str
    queue: Queue
    body: Mapping[str, str]
    weight: int

    @property
    def suffix(self) -> str:
        """Ending of its file's name."""
        return ReportFormat(self.body["format"]).suffix


def _item(  # noqa: PLR0913 - a row of the table below
    name: str, queue: Queue, first: str, last: str, kind: str, weight: int
) -> Item:
    return Item(name, queue, {"shipped_from": first, "shipped_to": last, "format": kind}, weight)


#: Long ones take up to a second at scale 0.01 where three slots share two cores.
ITEMS = (
    _item("a day", Queue.SHORT, "1995-03-01", "1995-03-01", "csv", 1),
    _item("a week", Queue.SHORT, "1996-07-01", "1996-07-07", "parquet", 1),
    _item("a month", Queue.SHORT, "1994-05-01", "1994-05-31", "csv", 1),
    _item("a quarter", Queue.LONG, "1993-01-01", "1993-03-31", "csv", 3),
    _item("two years", Queue.LONG, "1996-01-01", "1997-12-31", "parquet", 2),
    _item("everything", Queue.LONG, "1992-01-02", "1998-12-01", "csv", 2),
)

BY_NAME: Mapping[str, Item] = {item.name: item for item in ITEMS}


def work_out(folder: Path) -> dict[str, Expected]:
    """Make each report once, in a folder, without any tier, and return what it is to be."""
    return {item.name: _work_out(item, folder) for item in ITEMS}


def _work_out(item: Item, folder: Path) -> Expected:
    command = (
        *(sys.executable, "-m", "reports", "--scale-factor", SCALE_FACTOR),
        *("--shipped-from", item.body["shipped_from"], "--shipped-to", item.body["shipped_to"]),
        *("--format", item.body["format"], "--out", str(folder / f"expected{item.suffix}")),
    )
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    result = json.loads(made.stdout)
    return Expected(
        suffix=item.suffix,
        size=result["bytes"],
        sha256=result["sha256"],
        amount=BASE_CENTS + -(-result["rows"] // LINES_PER_CENT),
    )
