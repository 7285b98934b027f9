"""What a customer may order and what comes back: the models every part shares.

Light on purpose (pydantic only), because the accepting API imports nothing heavier.
"""

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

#: First and last day on which TPC-H ships anything, at every scale. TPC-H specification 4.2.3:
#: L_SHIPDATE = O_ORDERDATE + random(1..121), O_ORDERDATE in STARTDATE..(ENDDATE - 151 days),
#: STARTDATE = 1992-01-01, ENDDATE = 1998-12-31.
FIRST_SHIPDATE = date(1992, 1, 2)
LAST_SHIPDATE = date(1998, 12, 1)

# `date.fromisoformat` also reads 19950331 and 1995-W13-5; the contract is one spelling.
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class ReportFormat(StrEnum):
    """How the priced lines are written."""

    CSV = "csv"
    PARQUET = "parquet"

    @property
    def suffix(self) -> str:
        """File name ending, with its dot."""
        return ".csv.gz" if self is ReportFormat.CSV else ".parquet"

    @property
    def media_type(self) -> str:
        """Content type of the file as it is stored."""
        return "application/gzip" if self is ReportFormat.CSV else "application/vnd.apache.parquet"


def _iso_date(value: object) -> date:
    """Accept a date or its ISO text; pydantic alone also accepts timestamps and datetimes."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # the shape is right but there is no such day: the same error says so
    raise PydanticCustomError(
        "iso_date", "must be a calendar date written YYYY-MM-DD, such as 1995-03-31"
    )


IsoDate = Annotated[date, BeforeValidator(_iso_date)]


class ReportSpec(BaseModel):
    """One report: the line items shipped in a window, both ends included.

    Validation errors carry a machine readable `type`: `iso_date`, `window_reversed`,
    `window_outside_data`, or pydantic's own (`enum`, `missing`, `extra_forbidden`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shipped_from: IsoDate = Field(examples=["1995-01-01"])
    shipped_to: IsoDate = Field(examples=["1995-12-31"])
    format: ReportFormat = ReportFormat.CSV

    @model_validator(mode="after")
    def _window_holds_data(self) -> Self:
        window = {
            "shipped_from": self.shipped_from.isoformat(),
            "shipped_to": self.shipped_to.isoformat(),
        }
        if self.shipped_from > self.shipped_to:
            raise PydanticCustomError(
                "window_reversed",
                "shipped_from ({shipped_from}) is after shipped_to ({shipped_to}); swap them",
                window,
            )
        if self.shipped_to < FIRST_SHIPDATE or self.shipped_from > LAST_SHIPDATE:
            raise PydanticCustomError(
                "window_outside_data",
                "{shipped_from} to {shipped_to} is wholly outside the data; "
                "choose days from {first} to {last}",
                {
                    **window,
                    "first": FIRST_SHIPDATE.isoformat(),
                    "last": LAST_SHIPDATE.isoformat(),
                },
            )
        return self


class SummaryRow(BaseModel):
    """One group of TPC-H Q1's pricing summary.

    Sums are exact decimals as text: quantity and base price with 2 places, disc_price with 4,
    charge with 6; prices in currency units.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    returnflag: str
    linestatus: str
    sum_qty: str
    sum_base_price: str
    sum_disc_price: str
    sum_charge: str
    count_order: int


class ReportResult(BaseModel):
    """What a finished report says about itself.

    `rows` counts the lines in the file, `bytes` and `sha256` describe the file as stored, and
    `summary` is sorted by (returnflag, linestatus).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    bytes: int
    sha256: str
    summary: tuple[SummaryRow, ...]
