"""The percentile spectrum: how long the slowest share of requests took, for each arm."""

from collections.abc import Mapping, Sequence
from math import ceil, isinf, log10

from offloop.pages.charts.plot import Chart, Drawing, Milliseconds, Scale, log_scale, style_of

_WIDTH, _HEIGHT = 860, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 700, 16, 256

#: Percentiles that the axis names, and how many points a line has.
_NAMED = (0.0, 50.0, 90.0, 99.0, 99.9)
_POINTS = 160


def spectrum(samples: Mapping[str, Sequence[float]]) -> Chart:
    """Draw a line for each arm; a line ends where requests failed.

    What to see: lines that lie on each other up to a share and then part: that share was harmed.
    What would refute it: lines that part everywhere, for then something else is slower.

    Args:
        samples: Response times of all judged blocks, milliseconds; infinite for those that failed.
    """
    drawing = Drawing(_WIDTH, _HEIGHT)
    known = {arm: sorted(times) for arm, times in samples.items() if times}
    answered = [ms for times in known.values() for ms in times if not isinf(ms)]
    across = Scale(0.0, _depth(_NAMED[-1]), _LEFT, _RIGHT)
    up = log_scale([1.0, *answered], _BOTTOM, _TOP)
    drawing.up(up, _LEFT, _RIGHT, Milliseconds())
    for percent in _NAMED:
        x = across(_depth(percent))
        drawing.path([(x, _TOP), (x, _BOTTOM)], "grid")
        drawing.text(x, _BOTTOM + 14, f"p{percent:g}" if percent else "fastest", "small middle")
    drawing.text(_RIGHT, _BOTTOM + 30, "share of requests that were faster", "small end")
    said = []
    for number, (arm, times) in enumerate(known.items()):
        dashed = " dashed" if number % 2 else ""
        drawing.path(_line(times, across, up), f"line {style_of(arm)}{dashed}")
        failed = sum(map(isinf, times))
        y = _TOP + 16 + 34 * number
        drawing.text(_RIGHT + 14, y, arm, f"strong {style_of(arm)}")
        drawing.text(
            _RIGHT + 14, y + 14, f"n = {len(times):,}" + (f", {failed:,} failed" if failed else ""),
            "small",
        )  # fmt: skip
        p99 = _at(times, 99)
        said.append(f"{arm}: p99 {'never' if isinf(p99) else f'{p99:.0f} ms'} of {len(times):,}")
    return drawing.chart(
        "Response times, by the share of requests that were faster", "; ".join(said)
    )


def _depth(percent: float) -> float:
    """Return how far out a percentile is drawn: each factor of ten of what is left is as wide."""
    return -log10(1 - percent / 100)


def _line(times: Sequence[float], across: Scale, up: Scale) -> list[tuple[float, float]]:
    points = []
    for number in range(_POINTS + 1):
        depth = across.high * number / _POINTS
        percent = 100 * (1 - 10**-depth)
        if len(times) * (1 - percent / 100) < 1 and percent:
            break  # there are too few requests to say
        ms = _at(times, percent)
        if isinf(ms):
            break
        points.append((across(depth), up(ms)))
    return points


def _at(times: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of ascending times."""
    return times[max(ceil(percent * len(times) / 100 - 1e-9), 1) - 1]
