"""What an experiment measured, as one table for every page: all measures, or its own choice."""

from collections.abc import Iterator
from dataclasses import dataclass

from offloop.measuring.results import ExperimentResult
from offloop.pages.arms import blocks_said, columns, rows


@dataclass(frozen=True)
class Shown:
    """A table in words.

    Attributes:
        headings: Of all columns; the first names the rows.
        rows: As many cells each.
        figures: Whether the cells are figures, and not words, too: they stand on the right.
    """

    headings: list[str]
    rows: list[list[str]]
    figures: bool


def shown(result: ExperimentResult) -> Shown:
    """Return the experiment's own table if it has one, and else every measure of every arm."""
    said = blocks_said(result)
    if result.table is not None:
        _, *headings = result.table.headings
        return Shown([said, *headings], result.table.rows, figures=False)
    return Shown([said, *columns(result)], list(_measures(result)), figures=True)


def _measures(result: ExperimentResult) -> Iterator[list[str]]:
    for heading, cells in rows(result):
        yield [heading, *cells]
