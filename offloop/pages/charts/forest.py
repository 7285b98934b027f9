"""Ratios with their intervals beside their limits: what decides the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf

from offloop.measuring.wording import digits
from offloop.pages.charts.plot import Chart, Drawing, Scale, log_scale

_WIDTH = 860
_LEFT, _RIGHT = 330, 760
_ROW = 40


@dataclass(frozen=True)
class Row:
    """One limit on a ratio.

    Attributes:
        says: The expectation in words.
        value: Over all judged blocks.
        low: The lower end of its 95% interval; None for what is no estimate.
        high: The upper end.
        blocks: The ratio in each judged block.
        limit: The limit.
        below: Whether the value has to be below the limit, and not above.
        ok: Whether it holds; None where nothing is decided.
    """

    says: str
    value: float
    low: float | None
    high: float | None
    blocks: Sequence[float]
    limit: float
    below: bool
    ok: bool | None


def forest(rows: Sequence[Row]) -> Chart:
    """Draw a row for each ratio: a dot a block, the interval, and the shaded side of its limit.

    What to see: each interval wholly on one side of its limit. One that crosses it decides nothing.
    """
    height = 16 + _ROW * len(rows) + 34
    drawing = Drawing(_WIDTH, height)
    values = [
        value
        for row in rows
        for value in (
            row.value,
            row.limit,
            *row.blocks,
            row.low or row.value,
            row.high or row.value,
        )
        if not isinf(value)
    ]
    across = log_scale(values, _LEFT, _RIGHT)
    bottom = 10 + _ROW * len(rows)
    for tick in across.ticks():
        drawing.path([(across(tick), 10), (across(tick), bottom)], "grid")
        drawing.text(across(tick), bottom + 16, f"{tick:g}", "small middle")
    drawing.text(_RIGHT, bottom + 30, "ratio", "small end")
    for number, row in enumerate(rows):
        _row(drawing, row, across, 10 + _ROW * number)
    return drawing.chart("Ratios and their limits", " ".join(map(_said, rows)))


def _row(drawing: Drawing, row: Row, across: Scale, top: float) -> None:
    middle = top + _ROW / 2
    limit = across(row.limit)
    wrong = (limit, across.end) if row.below else (across.begin, limit)
    drawing.rectangle(wrong[0], top + 3, wrong[1] - wrong[0], _ROW - 6, "stall", "breaks the limit")
    drawing.path([(limit, top + 3), (limit, top + _ROW - 3)], "limit")
    for line, words in enumerate(_folded(row.says)):
        drawing.text(8, top + 16 + 14 * line, words, "small")
    drawing.dots([(across(value), middle) for value in row.blocks], "baseline")
    if row.low is not None:
        high = across.end if row.high is None else across(row.high)
        drawing.path([(across(row.low), middle), (high, middle)], "line ink")
    x = across(row.value)
    drawing.rectangle(x - 4, middle - 4, 8, 8, "bar ink", digits(row.value))
    word = {True: "ok", False: "broken", None: "undecided"}[row.ok]
    drawing.text(_RIGHT + 10, middle + 4, f"{digits(row.value)}  {word}", "small strong")


def _folded(text: str, width: int = 52) -> list[str]:
    """Fold a text into at most two lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:1] + ([" ".join(lines[1:])] if len(lines) > 1 else [])


def _said(row: Row) -> str:
    interval = "" if row.low is None else f" (95% interval from {digits(row.low)})"
    side = "at most" if row.below else "at least"
    return f"{row.says}: {digits(row.value)}{interval}, limit {side} {row.limit:g}."
