"""What changes while the load lasts: the queue's depth, CPU and memory, a line for each."""

from collections.abc import Mapping, Sequence

from offloop.pages.charts.plot import Chart, Drawing, Said, Scale, style_of

_WIDTH, _HEIGHT = 860, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 690, 16, 176

#: Points of one line: seconds since the load began, and the value.
Points = Sequence[tuple[float, float]]


def series(title: str, unit: str, lines: Mapping[str, Points], duration_s: float) -> Chart:
    """Draw lines over time, from 0 up.

    Args:
        title: What they are about.
        unit: Of the values.
        lines: By arm, or by any other name.
        duration_s: Length of the load.
    """
    drawing = Drawing(_WIDTH, _HEIGHT)
    known = {name: points for name, points in lines.items() if points}
    highest = max((value for points in known.values() for _, value in points), default=1.0)
    across = Scale(0.0, max(duration_s, 0.1), _LEFT, _RIGHT)
    up = Scale(0.0, (highest or 1.0) * 1.05, _BOTTOM, _TOP)
    drawing.up(up, _LEFT, _RIGHT, Said())
    drawing.across(across, _TOP, _BOTTOM, "seconds since the load began")
    said = []
    for number, (name, points) in enumerate(known.items()):
        style = f"{style_of(name)}{' dashed' if number % 2 else ''}"
        drawing.path([(across(at_s), up(value)) for at_s, value in points], f"line {style}")
        drawing.text(_RIGHT + 14, _TOP + 16 + 20 * number, name, f"strong {style_of(name)}")
        said.append(f"{name}: up to {max(value for _, value in points):g} {unit}")
    drawing.text(8, _TOP - 4, unit, "small")
    return drawing.chart(title, "; ".join(said))
