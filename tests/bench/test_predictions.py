import pytest

from offloop.bench.calibration import Calibration
from offloop.bench.experiment import Experiment, find_experiments
from offloop.bench.predictions import predictions
from tests.bench.support import EXPERIMENTS

#: Reports a second of one slot and of two, which get in each other's way.
DRAINS = {1: 8.0, 2: 14.0}


@pytest.fixture
def queue_growth() -> Experiment:
    found = find_experiments(EXPERIMENTS, ("queue_growth",))["queue_growth"]
    assert isinstance(found, Experiment)
    return found


CALIBRATED = Calibration(0.1, None, "short", "abc", DRAINS)


def test_what_is_asked_for_is_predicted_of_the_arm_that_it_is_about(
    queue_growth: Experiment,
) -> None:
    found = predictions(queue_growth, {"report": CALIBRATED}, {"report": 16.0})

    assert found == {
        "queue.depth_slope_per_s": pytest.approx(16 - 8),
        "queue.drain_per_s": 14.0,
        "queue.depth_max": queue_growth.arms["fixed"].queue_limit,
        "queue.wait_max_ms": pytest.approx(1000 * 9 / 8),
    }


def test_what_was_not_calibrated_is_not_predicted(queue_growth: Experiment) -> None:
    found = predictions(
        queue_growth, {"report": CALIBRATED._replace(drain_per_s={})}, {"report": 16.0}
    )

    assert found.keys() == {"queue.depth_max"}


def test_a_machine_that_is_half_as_fast_drains_half_as_much_and_takes_twice_as_long() -> None:
    slow = CALIBRATED._replace(blocked_s=0.05).at_pace(0.5)

    assert (slow.run_s, slow.blocked_s, slow.drain_per_s) == (0.2, 0.1, {1: 4.0, 2: 7.0})


def test_a_loop_is_predicted_by_how_long_it_is_held() -> None:
    experiment = find_experiments(EXPERIMENTS, ("loop_blocking",))["loop_blocking"]
    assert isinstance(experiment, Experiment)
    blocking = CALIBRATED._replace(blocked_s=0.5, queue=None, drain_per_s={})

    found = predictions(experiment, {"report": blocking}, {"report": 1.0})

    assert found == {"bystander.p99_ms": pytest.approx(1000 * 0.5 * (1 - 0.01 / 0.5))}
