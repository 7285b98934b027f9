"""Whether the times of bursts may be judged at all: pure functions."""

from collections.abc import Mapping, Sequence

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.protocol import Kind
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Judged, judged

#: With one processor nothing is parallel, whatever does the work.
MIN_CPUS = 2

#: The digests of the results of each kind of work: arm -> kind -> SHA-256.
Digests = Mapping[str, Mapping[Kind, frozenset[str]]]


def validity(
    experiment: BurstExperiment, blocks: Sequence[Block], digests: Digests
) -> list[Judged]:
    """Check that the question arises on this machine, and that all arms did the same.

    Args:
        experiment: What was run.
        blocks: The measures of every arm, block by block.
        digests: Of the results of all pieces of work.
    """
    return [
        judged(
            "two_processors",
            "machine.cpus, the lowest of all arms and blocks",
            _lowest("machine.cpus", blocks),
            ">=",
            MIN_CPUS,
            "the work may use two processors",
            "with one, processes are no faster than threads; `taskset` and containers may hide "
            "the other processors",
        ),
        judged(
            "has_a_gil",
            "interpreter.gil, the lowest of all arms and blocks",
            _lowest("interpreter.gil", blocks),
            ">=",
            1,
            "the interpreter has a GIL",
            "without one, as in a free-threaded build of Python, threads run Python code at the "
            "same time, and the question does not arise",
        ),
        *(_same_result(kind, experiment, digests) for kind in experiment.burst.work),
    ]


def _lowest(measure: str, blocks: Sequence[Block]) -> float | None:
    values = [arm.numbers.get(measure) for block in blocks for arm in block.values()]
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def _same_result(kind: Kind, experiment: BurstExperiment, digests: Digests) -> Judged:
    found = [digests.get(arm, {}).get(kind, frozenset()) for arm in experiment.arms]
    return judged(
        f"{kind}_same_result",
        f"distinct SHA-256 of all results of {kind}, all arms",
        len(frozenset().union(*found)) if all(found) else None,
        "<=",
        1,
        f"every piece of {kind} had the same result, in every arm",
        "a faster answer that is another answer is no fix",
    )
