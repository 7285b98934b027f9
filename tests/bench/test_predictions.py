import pytest

from offloop.bench.calibration import Calibration
from offloop.bench.predictions import predictions
from offloop.bench.theory import blocked_loop_waits_ms
from offloop.measuring.values import Recorded
from tests.bench.support import shipped

#: Reports a second of one slot and of two, which get in each other's way.
DRAINS = {1: 8.0, 2: 14.0}


#: Two reports that workers built.
CALIBRATED = Calibration((0.1, 0.1), None, "short", "abc", DRAINS)


def test_predictions_are_grouped_by_their_source() -> None:
    queue_growth = shipped("queue_growth")

    found = predictions(queue_growth, {"report": CALIBRATED}, {"report": 16.0})

    assert {source: each.numbers for source, each in found.items()} == {
        "predicted": {
            "queue.depth_slope_per_s": pytest.approx(16 - 8),
            "queue.wait_max_ms": pytest.approx(1000 * 9 / 8),
        },
        "calibrated": {"queue.drain_per_s": 14.0},
        "configured": {"queue.depth_max": queue_growth.arms["fixed"].queue_limit},
    }


def test_without_a_calibration_nothing_is_predicted_from_it() -> None:
    unknown = CALIBRATED._replace(drain_per_s={})

    found = predictions(shipped("queue_growth"), {"report": unknown}, {"report": 16.0})

    assert found.keys() == {"configured"}


def test_a_loop_is_predicted_by_how_long_each_report_holds_it() -> None:
    blocking = CALIBRATED._replace(runs_s=(0.5, 0.7), blocked_s=0.3, queue=None, drain_per_s={})

    found = predictions(shipped("loop_blocking"), {"report": blocking}, {"report": 1.0})

    waits = blocked_loop_waits_ms(blocking.stalls_s, 1.0)
    assert found == {"predicted": Recorded(samples={"bystander.response_ms": waits})}


def test_the_blocked_time_is_divided_among_reports_by_their_length() -> None:
    blocking = CALIBRATED._replace(runs_s=(0.5, 0.7), blocked_s=0.3)

    assert blocking.run_s == pytest.approx(0.6)
    assert blocking.stalls_s == pytest.approx((0.25, 0.35))
    assert CALIBRATED.stalls_s == (0, 0)


def test_a_calibration_scales_with_the_pace_of_the_machine() -> None:
    slow = CALIBRATED._replace(blocked_s=0.05).at_pace(0.5)

    assert (slow.run_s, slow.blocked_s, slow.drain_per_s) == (0.2, 0.1, {1: 4.0, 2: 7.0})
