"""Whether the times of bursts may be judged at all: pure functions."""

from collections.abc import Mapping, Sequence
from statistics import median

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.protocol import Kind
from offloop.bench.expressions import Measures
from offloop.bench.validity import machine_ours
from offloop.bench.verdicts import Judged, judged

#: With one processor nothing is parallel, whatever does the work.
MIN_CPUS = 2

#: Processors that everything else on the machine has to leave to the work, on average over an arm.
#: A tenth of two taken makes a speed-up of 2 one of 1.8, which is still far from 1.5.
MIN_CPUS_LEFT = 1.8

#: The digests of the results of each kind of work: arm -> kind -> SHA-256.
Digests = Mapping[str, Mapping[Kind, frozenset[str]]]


def validity(
    experiment: BurstExperiment, blocks: Sequence[Mapping[str, Measures]], digests: Digests
) -> list[Judged]:
    """Check that the question arises on this machine, and that all arms did the same.

    Args:
        experiment: What was run.
        blocks: The measures of every arm, block by block.
        digests: Of the results of all pieces of work.
    """
    cpus = _lowest_of_arms("machine.cpus", blocks)
    left = _lowest_of_arms("machine.cpus_left", blocks)
    gil = _lowest_of_arms("interpreter.gil", blocks)
    return [
        judged(
            "two_processors",
            "machine.cpus, the lowest of all arms and blocks",
            min(cpus) if cpus else None,
            ">=",
            MIN_CPUS,
            "the work may use two processors",
            "with one, processes are no faster than threads; `taskset` and containers may take "
            "the others away",
        ),
        judged(
            "two_processors_left",
            "machine.cpus_left, the lowest of all arms, the median of all blocks",
            median(left) if left else None,
            ">=",
            MIN_CPUS_LEFT,
            "nobody else needed them",
            "a burst in two processes is as fast as the processors that it gets; see what else "
            "runs on this machine",
        ),
        judged(
            "has_a_gil",
            "interpreter.gil, the lowest of all arms and blocks",
            min(gil) if gil else None,
            ">=",
            1,
            "the interpreter has a GIL",
            "without one, as in a free-threaded build of Python, threads run Python code at the "
            "same time, and the question does not arise",
        ),
        *(_same_result(kind, experiment, digests) for kind in experiment.burst.work),
        *machine_ours(blocks),
    ]


def _lowest_of_arms(measure: str, blocks: Sequence[Mapping[str, Measures]]) -> list[float]:
    """Return the lowest of all arms, block by block; none at all where an arm lacks it."""
    found = [[arm.get(measure) for arm in block.values()] for block in blocks]
    known = [[value for value in values if value is not None] for values in found]
    return [min(values) for values in known] if known == found and all(known) else []


def _same_result(kind: Kind, experiment: BurstExperiment, digests: Digests) -> Judged:
    found = [digests.get(arm, {}).get(kind, frozenset()) for arm in experiment.arms]
    return judged(
        f"{kind}_same_result",
        f"distinct SHA-256 of all results of {kind}, all arms",
        len(frozenset().union(*found)) if all(found) else None,
        "<=",
        1,
        f"every piece of {kind} had the same result, whoever did it",
        "a faster answer that is another answer is no fix",
    )
