"""What theory predicts for the arms of an experiment, before their load begins: pure functions."""

from collections.abc import Mapping

from offloop.bench.calibration import Calibration
from offloop.bench.capacity import slots_serving
from offloop.bench.experiment import Experiment
from offloop.bench.theory import FORMULAS, Given


def predictions(
    experiment: Experiment, calibrated: Mapping[str, Calibration], rates: Mapping[str, float]
) -> dict[str, float]:
    """Work out everything that the experiment asks theory for.

    Args:
        experiment: Says what is to be predicted.
        calibrated: What a report of each stream costs.
        rates: Orders per second of each stream.

    Returns:
        Measure -> value; without those for which something was not calibrated.
    """
    found = {
        measure: FORMULAS[asked.formula].of(given(experiment, asked.arm, calibrated, rates))
        for measure, asked in experiment.predict.items()
    }
    return {measure: value for measure, value in found.items() if value is not None}


def given(
    experiment: Experiment,
    arm: str,
    calibrated: Mapping[str, Calibration],
    rates: Mapping[str, float],
) -> Given:
    """Gather what is known of an arm that gets one stream of orders."""
    (stream,) = experiment.orders_of(arm)
    calibration = calibrated[stream]
    queues = [] if calibration.queue is None else [calibration.queue]
    slots = slots_serving(queues, experiment.arms[arm].pools)
    scaled = slots_serving(queues, experiment.scaled_pools(arm))
    return Given(
        per_second=rates[stream],
        blocked_s=calibration.blocked_s,
        drain_per_s=calibration.drain_per_s.get(slots),
        scaled_drain_per_s=calibration.drain_per_s.get(scaled) if scaled != slots else None,
        queue_limit=experiment.arms[arm].queue_limit,
    )
