"""What a quick run makes of an experiment: pure functions."""

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.experiment import AnyExperiment, Experiment


def with_longer_blocks(experiment: AnyExperiment) -> AnyExperiment:
    """Return an experiment with blocks as long as they have to be where there are only a few."""
    if not isinstance(experiment, Experiment) or experiment.load.quick_duration_s is None:
        return experiment
    load = experiment.load.model_copy(update={"duration_s": experiment.load.quick_duration_s})
    return experiment.model_copy(update={"load": load})


def judged_only(experiment: AnyExperiment) -> AnyExperiment:
    """Return an experiment without what is only shown: arms, what is told of them, evidence."""
    judged = experiment.judged_arms
    story = experiment.story.model_copy(update={"shown": None})
    if isinstance(experiment, BurstExperiment):
        executors = {name: arm for name, arm in experiment.arms.items() if name in judged}
        return experiment.model_copy(update={"arms": executors, "story": story})
    table = experiment.table
    if table is not None:
        rows = {name: row for name, row in table.rows.items() if name in judged}
        table = table.model_copy(update={"rows": rows})
    arms = {name: arm for name, arm in experiment.arms.items() if name in judged}
    left = {"arms": arms, "story": story, "table": table, "evidence": ()}
    return experiment.model_copy(update=left)
