"""Drawing charts as SVG: scales, axes, marks. The colours follow the page, light or dark.

Every chart has a text that says what is seen, for readers who do not see it. Marks of an arm differ
in shape as well as in colour.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

#: Colours by what is drawn: the same as on the dashboards, then more of Okabe and Ito's palette,
#: which readers with any colour vision can tell apart.
STYLE = """
.chart { --naive: #d55e00; --fixed: #0072b2; --baseline: #767676; --other: #8a5aa8;
  --ink: #1f2328; --faint: #d8dee4; --shade: #d55e0022; --paper: #ffffff;
  font: 12px system-ui, sans-serif; max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { .chart { --naive: #ff8c42; --fixed: #58a6ff;
  --baseline: #9aa4af; --other: #c297ff; --ink: #e6edf3; --faint: #3d444d; --shade: #ff8c4233;
  --paper: #0d1117; } }
.chart text { fill: var(--ink); }
.chart .axis, .chart .grid { stroke: var(--faint); fill: none; }
.chart .limit { stroke: var(--ink); stroke-dasharray: 5 4; fill: none; }
.chart .stall { fill: var(--shade); }
.chart .fault { stroke: var(--ink); stroke-width: 2; }
.chart .small { font-size: 11px; }
.chart .strong { font-weight: 600; }
.chart .end { text-anchor: end; }
.chart .middle { text-anchor: middle; }
.chart .naive { --c: var(--naive); } .chart .fixed { --c: var(--fixed); }
.chart .baseline { --c: var(--baseline); } .chart .other { --c: var(--other); }
.chart .ink { --c: var(--ink); }
.chart text.naive, .chart text.fixed, .chart text.baseline, .chart text.other { fill: var(--c); }
.chart .dots { stroke: var(--c); stroke-width: 3; stroke-linecap: round; fill: none;
  stroke-opacity: .75; }
.chart .line { stroke: var(--c); stroke-width: 2; fill: none; }
.chart .dashed { stroke-dasharray: 6 3; }
.chart .bar { fill: var(--c); }
.chart .light { fill-opacity: .35; }
.chart .cross { stroke: var(--c); stroke-width: 1.5; fill: none; }
"""

#: Arms with colours of their own. Every other arm has the same colour.
_ARMS = ("naive", "fixed", "baseline")

#: Digits behind the point of a pixel: a tenth is finer than any screen.
_DIGITS = 1


def style_of(arm: str) -> str:
    """Return the style class of an arm."""
    return arm if arm in _ARMS else "other"


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low: The value at `begin`.
        high: The value at `end`.
        begin: Pixels.
        end: Pixels.
        log: Whether equal factors, and not equal differences, are equally far apart.
    """

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; one outside of the scale is drawn at its end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = log10(value / self.low) / log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), _DIGITS)

    def ticks(self, at_most: int = 8) -> list[float]:
        """Return round values to label."""
        if self.log:
            first, last = ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = _round_step((self.high - self.low) / at_most)
        count = floor((self.high - self.low) / step + 1e-9)
        return [round(self.low + number * step, 9) for number in range(count + 1)]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def log_scale(values: Iterable[float], begin: float, end: float) -> Scale:
    """Return a logarithmic scale from one power of ten to another that has all positive values."""
    known = [value for value in values if value > 0]
    low = 10.0 ** floor(log10(min(known, default=1.0)))
    high = 10.0 ** ceil(log10(max(known, default=10.0)))
    return Scale(low, max(high, 10 * low), begin, end, log=True)


@dataclass(frozen=True)
class Chart:
    """A chart that is drawn.

    Attributes:
        title: What it is about.
        says: What is seen, from the data: the text alternative.
        width: Pixels.
        height: Pixels.
        parts: The elements.
    """

    title: str
    says: str
    width: int
    height: int
    parts: Sequence[str]

    def svg(self, *, standalone: bool = False) -> str:
        """Render it.

        Args:
            standalone: Whether it brings its style along, as a file of its own does.
        """
        style = f"<style>{STYLE}</style>" if standalone else ""
        paper = (
            '<rect width="100%" height="100%" style="fill: var(--paper)"/>' if standalone else ""
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
            f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" aria-label="{escape(f"{self.title}. {self.says}")}">'
            f"{style}{paper}{''.join(self.parts)}</svg>"
        )

    def _repr_html_(self) -> str:
        return self.svg(standalone=True)


@dataclass
class Drawing:
    """A chart while it is being drawn: methods add marks, in pixels."""

    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def chart(self, title: str, says: str) -> Chart:
        """Return what was drawn."""
        return Chart(title, says, self.width, self.height, tuple(self.parts))

    def text(self, x: float, y: float, said: str, style: str = "") -> None:
        """Write a text whose baseline begins at a point."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(said)}</text>')

    def rectangle(  # noqa: PLR0913 - four sides, a style and a tip
        self, x: float, y: float, width: float, height: float, style: str, tip: str = ""
    ) -> None:
        """Draw a rectangle; the pointer on it shows the tip."""
        inner = f"<title>{escape(tip)}</title>" if tip else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{max(width, 0.5):g}" height="{height:g}" '
            f'class="{style}">{inner}</rect>'
        )

    def path(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Draw a line through points."""
        steps = [f"{x:g} {y:g}" for x, y in points]
        if steps:
            self.parts.append(f'<path d="M{"L".join(steps)}" class="{style}"/>')

    def dots(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Draw a dot at each point: all of them are one element, a few bytes a dot."""
        steps = "".join(f"M{x:g} {y:g}h0" for x, y in points)
        if steps:
            self.parts.append(f'<path d="{steps}" class="dots {style}"/>')

    def crosses(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Draw a cross at each point."""
        steps = "".join(f"M{x - 3:g} {y - 3:g}l6 6m0-6l-6 6" for x, y in points)
        if steps:
            self.parts.append(f'<path d="{steps}" class="cross {style}"/>')

    def across(self, scale: Scale, top: float, bottom: float, unit: str) -> None:
        """Draw a horizontal axis below an area, with a grid in it."""
        for tick in scale.ticks():
            x = scale(tick)
            self.path([(x, top), (x, bottom)], "grid")
            self.text(x, bottom + 14, f"{tick:g}", "small middle")
        self.text(scale.end, bottom + 28, unit, "small end")

    def up(self, scale: Scale, left: float, right: float, said: "Said") -> None:
        """Draw a vertical axis left of an area, with a grid in it."""
        for tick in scale.ticks():
            y = scale(tick)
            self.path([(left, y), (right, y)], "grid")
            self.text(left - 6, y + 4, said(tick), "small end")


class Said:
    """Writes the values of an axis."""

    def __call__(self, value: float) -> str:
        """Return the value as a label."""
        return f"{value:g}"


class Milliseconds(Said):
    """Writes milliseconds, from a second on as seconds."""

    def __call__(self, value: float) -> str:
        """Return the value with its unit."""
        return f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"  # noqa: PLR2004
