"""The timeline: each plain request as a dot, the reports below, stalls shaded.

One sees that a report delays exactly the requests that come while it holds the event loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf

from offloop.pages.charts.plot import Chart, Drawing, Milliseconds, Scale, log_scale, style_of

_WIDTH = 860
_LEFT, _RIGHT = 64, 846
_LANE = 150
_BAR = 9
_BARS = 4


@dataclass(frozen=True)
class Report:
    """When a report was due, built and seen, seconds; None where it was not."""

    due_s: float
    started_s: float | None
    finished_s: float | None


@dataclass(frozen=True)
class Fault:
    """Something that was done to the services, seconds."""

    name: str
    at_s: float


@dataclass(frozen=True)
class Lane:
    """What happened to one arm in one block.

    Attributes:
        requests: When each plain request was due, seconds, and its response time, milliseconds;
            infinite for one that failed.
        reports: The reports that were ordered.
        stalls: Begin and end of each time without an answer, seconds.
        faults: What was done to the services.
        duration_s: Length of the load.
    """

    requests: Sequence[tuple[float, float]]
    reports: Sequence[Report] = ()
    stalls: Sequence[tuple[float, float]] = ()
    faults: Sequence[Fault] = ()
    duration_s: float = 0.0


def timeline(lanes: Mapping[str, Lane]) -> Chart:
    """Draw one lane for each arm, one above the other, on the same axes.

    What to see: spikes that fall like a shark's fin at each report of a blocked loop: who comes
    first waits longest. What would refute it: the same dots in a lane without a blocked loop.
    """
    height = 12 + len(lanes) * (_LANE + 24) + 34
    drawing = Drawing(_WIDTH, height)
    last_s = max([lane.duration_s for lane in lanes.values()], default=1.0) or 1.0
    across = Scale(0.0, last_s, _LEFT, _RIGHT)
    times = [ms for lane in lanes.values() for _, ms in lane.requests if not isinf(ms)]
    top = 12.0
    for number, (arm, lane) in enumerate(lanes.items()):
        up = log_scale([1.0, *times], top + _LANE - _BARS * _BAR - 6, top + 18)
        _lane(drawing, arm, lane, across, up)
        is_last = number == len(lanes) - 1
        bottom = top + _LANE
        for tick in across.ticks():
            drawing.path([(across(tick), bottom), (across(tick), bottom + 4)], "axis")
            if is_last:
                drawing.text(across(tick), bottom + 18, f"{tick:g}", "small middle")
        top += _LANE + 24
    drawing.text(
        _RIGHT, height - 6, "seconds since the load began (when requests were due)", "small end"
    )
    return drawing.chart("Response time of every plain request", _says(lanes))


def _lane(drawing: Drawing, arm: str, lane: Lane, across: Scale, up: Scale) -> None:
    for begin_s, end_s in lane.stalls:
        x = across(begin_s)
        drawing.rectangle(
            x, up.end, across(end_s) - x, up.begin - up.end, "stall",
            f"no answer for {1000 * (end_s - begin_s):.0f} ms",
        )  # fmt: skip
    drawing.up(up, _LEFT, _RIGHT, Milliseconds())
    drawing.text(_LEFT, up.end - 6, arm, f"strong {style_of(arm)}")
    answered = [(across(due_s), up(ms)) for due_s, ms in lane.requests if not isinf(ms)]
    failed = [(across(due_s), up.end) for due_s, ms in lane.requests if isinf(ms)]
    drawing.dots(answered, style_of(arm))
    drawing.crosses(failed, style_of(arm))
    if failed:
        drawing.text(_RIGHT, up.end - 6, f"x: {len(failed)} failed", "small end")
    for row, report in enumerate(lane.reports):
        _bar(drawing, arm, report, across, up.begin + 4 + _BAR * (row % _BARS))
    for fault in lane.faults:
        x = across(fault.at_s)
        drawing.path([(x, up.end), (x, up.begin)], "fault")
        drawing.text(x + 3, up.end + 10, fault.name, "small")


def _bar(drawing: Drawing, arm: str, report: Report, across: Scale, y: float) -> None:
    """Draw a report: light while it waits, full while it is built."""
    style, due = f"bar {style_of(arm)}", across(report.due_s)
    if report.started_s is None or report.finished_s is None:
        drawing.crosses([(due, y + 3)], style_of(arm))
        return
    started, finished = across(report.started_s), across(report.finished_s)
    if started > due:
        drawing.rectangle(due, y, started - due, _BAR - 3, f"{style} light", "waits")
    built_s = report.finished_s - report.started_s
    drawing.rectangle(
        started, y, finished - started, _BAR - 3, style, f"report built in {built_s:.2f} s"
    )


def _says(lanes: Mapping[str, Lane]) -> str:
    said = []
    for arm, lane in lanes.items():
        times = [ms for _, ms in lane.requests if not isinf(ms)]
        failed = len(lane.requests) - len(times)
        slowest = f"the slowest took {max(times):.0f} ms" if times else "none was answered"
        said.append(
            f"{arm}: {len(lane.requests)} requests, {slowest}"
            + (f", {failed} failed" if failed else "")
            + (f", {len(lane.stalls)} times without an answer" if lane.stalls else "")
        )
    return "; ".join(said) + "."
