import pytest

from offloop.measuring.instruments.event_loop import loop_measures
from offloop.measuring.scraping import Scrape

NOTHING = Scrape(before={}, after={})


def stalled(stalls: float, *, begun_s: float = 1.0) -> dict[str, float]:
    return {
        "process_start_time_seconds": begun_s,
        "offloop_loop_stalls_total": stalls,
        "offloop_loop_lost_seconds_total": stalls / 2,
    }


def test_unknown_values_are_absent_and_not_zero() -> None:
    assert set(loop_measures([NOTHING], [None]).values()) == {None}


def test_stalls_of_all_processes_are_added_up_and_the_largest_lag_is_that_of_any() -> None:
    loop = (Scrape(stalled(1), stalled(4)), Scrape(stalled(0), stalled(2)))

    found = loop_measures(loop, (0.6, 0.3))

    assert (found["loop.stalls"], found["loop.lost_s"]) == (5, 2.5)
    assert found["loop.lag_max_ms"] == pytest.approx(600)


def test_stalls_are_unknown_if_one_of_several_processes_was_replaced() -> None:
    killed = Scrape(stalled(0), stalled(0, begun_s=9))

    found = loop_measures((Scrape(stalled(1), stalled(4)), killed), (0.6, 0.1))

    assert set(found.values()) == {None}


def test_a_counter_missing_from_the_first_scrape_has_no_growth() -> None:
    assert (
        Scrape({}, {"offloop_loop_stalls_total": 7.0}).gained("offloop_loop_stalls_total") is None
    )
