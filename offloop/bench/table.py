"""A table of an experiment's own: arms as rows, and what it says of each as columns.

For an experiment with more arms than fit beside each other, and with facts about them that no run
can measure.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from offloop.bench.question import Name
from offloop.bench.story import cell
from offloop.measuring.results import FilledTable
from offloop.measuring.values import Block
from offloop.tables import Table

#: Stands in a cell where the name of the row's arm is to be.
ARM = "ARM"


def _can_be_told(text: str) -> str:
    cell(text.replace(f"{ARM}.", "arm."), [])
    return text


class Column(Table):
    """One thing to say of every arm: as it was measured, or a fact."""

    heading: str
    """Heading of the column."""
    cell: Annotated[str, AfterValidator(_can_be_told)] | None = None
    """A text as in a story, with `ARM` for the arm of the row: `{ARM.report.alone_cpu_s}`."""
    fact: str | None = None
    """The fact of each row to show."""

    def cell_of(self, arm: str) -> str | None:
        """Return the text of an arm's cell; None where it is a fact."""
        return None if self.cell is None else self.cell.replace(f"{ARM}.", f"{arm}.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.cell is None) == (self.fact is None):
            raise ValueError("a column shows either a `cell` or a `fact`: say which")
        return self


class Row(Table):
    """One arm."""

    name: str
    """Name of the arm, for people."""
    facts: dict[str, str] = Field(default_factory=dict)
    """What is true of the arm and is not measured. A test compares it with the code."""


class ArmTable(Table):
    """Rows by arm, and columns, in the order in which they are shown."""

    columns: tuple[Column, ...] = Field(min_length=1)
    """The columns, in order."""
    rows: dict[Name, Row] = Field(min_length=1)
    """A row for each arm, in order."""

    @model_validator(mode="after")
    def _has_its_facts(self) -> Self:
        asked = {column.fact for column in self.columns if column.fact is not None}
        for arm, row in self.rows.items():
            if row.facts.keys() != asked:
                raise ValueError(
                    f"rows.{arm}.facts has {', '.join(sorted(row.facts)) or 'nothing'}; "
                    f"the columns ask for {', '.join(sorted(asked)) or 'nothing'}"
                )
        return self


def fill(table: ArmTable, blocks: Sequence[Block], disturbed: Collection[str] = ()) -> FilledTable:
    """Fill in what was measured; where something was not, the cell is empty.

    Args:
        table: Says what is shown.
        blocks: What was measured.
        disturbed: Arms that were disturbed, which is said beside their names.
    """
    headings = ["", *(column.heading for column in table.columns)]
    rows = [
        [
            f"{row.name}, disturbed" if arm in disturbed else row.name,
            *(_text(column, arm, row, blocks) for column in table.columns),
        ]
        for arm, row in table.rows.items()
    ]
    return FilledTable(headings=headings, rows=rows)


def _text(column: Column, arm: str, row: Row, blocks: Sequence[Block]) -> str:
    text = column.cell_of(arm)
    return row.facts[column.fact or ""] if text is None else cell(text, blocks)
