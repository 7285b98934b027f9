"""Charts draw what the data says, whatever is missing in it."""

from collections.abc import Mapping
from math import inf
from xml.etree.ElementTree import Element, fromstring

import pytest

from offloop.pages.charts.flame import flame
from offloop.pages.charts.forest import Row, forest
from offloop.pages.charts.plot import Chart, Scale, log_scale
from offloop.pages.charts.rungs import Rung, ladder
from offloop.pages.charts.series import series
from offloop.pages.charts.spectrum import spectrum
from offloop.pages.charts.timeline import Fault, Lane, Report, timeline

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> Element:
    return fromstring(chart.svg(standalone=True))  # noqa: S314 - it is ours


def paths(chart: Chart, style: str) -> list[str]:
    found = drawn(chart).iter(f"{SVG}path")
    return [path.get("d", "") for path in found if style in path.get("class", "").split()]


def texts(chart: Chart) -> list[str]:
    return [text.text or "" for text in drawn(chart).iter(f"{SVG}text")]


LANES: Mapping[str, Lane] = {
    "naive": Lane(
        requests=[(0.1, 2.0), (0.5, 400.0), (0.6, inf), (0.9, 1.0)],
        reports=[Report(0.4, 0.45, 0.8), Report(0.7, None, None)],
        stalls=[(0.45, 0.8)],
        faults=[Fault("kill", 0.9)],
        duration_s=1.0,
    ),
    "fixed": Lane(requests=[(0.1, 2.0)], duration_s=1.0),
}


def test_the_timeline_has_a_dot_for_each_answer_and_a_cross_for_each_failure() -> None:
    chart = timeline(LANES)

    naive, fixed = paths(chart, "dots")
    assert (naive.count("h0"), fixed.count("h0")) == (3, 1)
    # A failed request, and a report that was never built.
    assert sum(each.count("l6 6") for each in paths(chart, "cross")) == 2
    assert {"naive", "fixed", "kill", "x: 1 failed"} <= set(texts(chart))


def test_the_timeline_is_told_in_words() -> None:
    label = drawn(timeline(LANES)).get("aria-label", "")

    assert (
        "naive: 4 requests, the slowest took 400 ms, 1 failed, 1 times without an answer" in label
    )
    assert "fixed: 1 requests, the slowest took 2 ms" in label


def test_slower_answers_are_drawn_higher() -> None:
    up = log_scale([1.0, 1000.0], begin=100.0, end=0.0)

    assert [up(1.0), up(1000.0)] == [100.0, 0.0]
    assert up(10.0) == pytest.approx(66.7, abs=0.1)


@pytest.mark.parametrize(
    "lanes",
    [{}, {"naive": Lane([])}, {"naive": Lane([(0.1, inf)], duration_s=1.0)}],
    ids=["no arm", "no request", "all failed"],
)
def test_a_timeline_of_nothing_can_be_drawn(lanes: Mapping[str, Lane]) -> None:
    assert drawn(timeline(lanes)).tag == f"{SVG}svg"


def test_the_spectrum_names_n_and_ends_where_requests_failed() -> None:
    half = [1.0] * 500 + [inf] * 500

    chart = spectrum({"naive": half, "fixed": [1.0] * 1000, "baseline": []})

    naive, fixed = paths(chart, "line")
    assert naive.count("L") < fixed.count("L")
    assert "n = 1,000, 500 failed" in texts(chart)
    assert "naive: p99 never of 1,000" in drawn(chart).get("aria-label", "")
    assert "baseline" not in texts(chart)


def row(value: float, low: float | None, high: float | None, ok: bool | None) -> Row:
    return Row("a ratio", value, low, high, [value], limit=4.0, below=True, ok=ok)


def test_the_forest_has_a_row_for_each_ratio_with_its_fate() -> None:
    chart = forest([row(1.0, 0.9, 1.1, True), row(5.0, 3.0, None, None)])

    assert [text for text in texts(chart) if text.endswith(("ok", "undecided"))] == [
        "1.00  ok",
        "5.00  undecided",
    ]
    assert len(paths(chart, "limit")) == 2


def test_a_series_has_a_line_for_each_arm_that_has_points() -> None:
    chart = series("Depth", "jobs", {"naive": [(0.0, 0.0), (1.0, 9.0)], "fixed": []}, 1.0)

    assert len(paths(chart, "line")) == 1
    assert "naive: up to 9 jobs" in drawn(chart).get("aria-label", "")


def test_the_ladder_lists_its_rungs_and_draws_one_whose_requests_never_came() -> None:
    chart = ladder([Rung("a thread", 90.0, 2, "no infrastructure"), Rung("inline", inf, 3, "")])

    assert {"1  a thread", "2  inline", "no infrastructure"} <= set(texts(chart))


def test_a_flame_graph_is_as_wide_as_the_share_of_the_samples() -> None:
    stacks = [(["main (app.py)", "build (reports/b.py)"], 3), (["main (app.py)", "idle (x.py)"], 1)]

    widths = {
        (rect.find(f"{SVG}title").text or "").partition(" ")[0]: float(rect.get("width", "0"))  # type: ignore[union-attr]
        for rect in drawn(flame(stacks, "(reports/", "naive")).iter(f"{SVG}rect")
        if rect.find(f"{SVG}title") is not None
    }

    assert widths["build"] == pytest.approx(3 * widths["idle"], rel=0.02)
    assert widths["main"] > widths["build"]


def test_a_flame_graph_without_samples_can_be_drawn() -> None:
    assert drawn(flame([], "reports", "naive")).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    "scale", [Scale(0, 7.2, 0, 100), Scale(0, 0.3, 0, 100), Scale(0, 40, 0, 1)]
)
def test_ticks_are_round_and_on_the_scale(scale: Scale) -> None:
    ticks = scale.ticks()

    assert 3 <= len(ticks) <= 9
    assert all(scale.low <= tick <= scale.high for tick in ticks)
