"""The ladder: what each fix gains, and what it still loses when the process is killed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf

from offloop.pages.charts.plot import Chart, Drawing, Milliseconds, Said, Scale, log_scale

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 640, 20, 360


@dataclass(frozen=True)
class Rung:
    """One fix.

    Attributes:
        name: For people.
        p99_ms: Of bystanders, before anything was killed; infinite where it never came.
        lost: Reports that a kill lost.
        price: What it takes, in a few words.
    """

    name: str
    p99_ms: float
    lost: float
    price: str


def ladder(rungs: Sequence[Rung]) -> Chart:
    """Draw each fix at what bystanders wait and what a kill loses; the best is bottom left.

    What to see: fixes that are fast and lose reports, and fixes that lose none and are slow. What
    would refute the lesson: one without infrastructure at the bottom left.
    """
    drawing = Drawing(_WIDTH, _HEIGHT)
    up = log_scale([rung.p99_ms for rung in rungs if not isinf(rung.p99_ms)], _BOTTOM, _TOP)
    most = max([rung.lost for rung in rungs], default=1.0) or 1.0
    across = Scale(0.0, most + 0.5, _LEFT + 20, _RIGHT)
    drawing.up(up, _LEFT, _RIGHT, Milliseconds())
    for tick in across.ticks():
        drawing.text(across(tick), _BOTTOM + 18, Said()(tick), "small middle")
    drawing.text(_RIGHT, _BOTTOM + 36, "reports lost when the process is killed", "small end")
    drawing.text(8, _TOP - 6, "bystander p99", "small")
    taken: list[float] = []
    for number, rung in enumerate(sorted(rungs, key=lambda each: each.p99_ms)):
        x, y = across(rung.lost), up.end if isinf(rung.p99_ms) else up(rung.p99_ms)
        drawing.rectangle(x - 4, y - 4, 8, 8, "bar ink", f"{rung.name}: {rung.price}")
        drawing.text(x + 8, y + 4, str(number + 1), "small strong")
        row = _TOP + 12 + 28 * len(taken)
        taken.append(row)
        drawing.text(_RIGHT + 14, row, f"{number + 1}  {rung.name}", "small strong")
        drawing.text(_RIGHT + 26, row + 12, rung.price, "small")
    said = "; ".join(
        f"{rung.name}: p99 {'never' if isinf(rung.p99_ms) else f'{rung.p99_ms:.0f} ms'}, "
        f"{rung.lost:g} lost"
        for rung in rungs
    )
    return drawing.chart("What each fix gains, and what it loses", said)
