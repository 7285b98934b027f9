"""From an experiment's load to what the generator is to send: pure functions."""

from offloop.bench.experiment import Experiment
from offloop.load.arrivals import constant, due_times
from offloop.load.plan import Plan, Stream


def report_rate(experiment: Experiment, report_s: float) -> float:
    """Return the reports per second that keep a server busy for the wanted share of time.

    By the utilisation law, rho = lambda x S.
    """
    return experiment.load.report_utilisation / report_s


def block_plan(  # noqa: PLR0913 - each is one independent fact about the load
    experiment: Experiment, arm: str, url: str, report_s: float, seed: int, duration_s: float
) -> Plan:
    """Lay out what one arm gets in one block.

    The schedule depends on the seed and not on the arm, so that all arms of a block get the
    same load.

    Args:
        experiment: Says what is sent.
        arm: Says which of the streams this arm gets.
        url: Where to send it.
        report_s: Seconds a report takes.
        seed: The block's.
        duration_s: Length of the load, seconds.
    """
    load = experiment.load
    streams = {
        "bystander": Stream(
            name="bystander",
            path="/ping",
            base_url=url,
            due_s=due_times(load.bystander, duration_s, f"{seed}/bystander"),
        ),
        "report": Stream(
            name="report",
            method="POST",
            path="/reports",
            base_url=url,
            body=load.report.model_dump(mode="json"),
            due_s=constant(report_rate(experiment, report_s), duration_s, f"{seed}/report"),
            follow=True,
        ),
    }
    return Plan(
        streams=[streams[name] for name in experiment.arms[arm].streams],
        duration_s=duration_s,
        drain_s=load.drain_s,
        seed=seed,
    )
