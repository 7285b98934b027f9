"""What is known of an experiment's arms before their load begins: pure functions."""

from collections.abc import Mapping

from offloop.bench.calibration import Calibration
from offloop.bench.capacity import slots_serving
from offloop.bench.experiment import Experiment
from offloop.bench.theory import FORMULAS, Given
from offloop.measuring.catalogue import sample_name
from offloop.measuring.values import Recorded


def predictions(
    experiment: Experiment, calibrated: Mapping[str, Calibration], rates: Mapping[str, float]
) -> dict[str, Recorded]:
    """Work out everything that the experiment asks theory for.

    Args:
        experiment: Says what is to be predicted.
        calibrated: What a report of each stream costs.
        rates: Orders per second of each stream.

    Returns:
        The values by where they come from (predicted, calibrated, configured), as an arm's are;
        without those for which something was not calibrated.
    """
    numbers: dict[str, dict[str, float]] = {}
    samples: dict[str, dict[str, tuple[float, ...]]] = {}
    for measure, asked in experiment.predict.items():
        formula = FORMULAS[asked.formula]
        found = formula.of(given(experiment, asked.arm, calibrated, rates))
        if isinstance(found, tuple):
            samples.setdefault(formula.source, {})[sample_name(measure)] = found
        elif found is not None:
            numbers.setdefault(formula.source, {})[measure] = found
    return {
        source: Recorded(numbers.get(source, {}), samples.get(source, {}))
        for source in numbers.keys() | samples.keys()
    }


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
        stalls_s=calibration.stalls_s,
        drain_per_s=calibration.drain_per_s.get(slots),
        scaled_drain_per_s=calibration.drain_per_s.get(scaled) if scaled != slots else None,
        queue_limit=experiment.arms[arm].queue_limit,
    )
