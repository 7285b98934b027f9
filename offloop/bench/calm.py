"""What counts as calm, and is judged, where hosts and other programs take time now and then."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from offloop.bench.expressions import Measures

TAKEN = "machine.taken_share"

#: Share of the machine's CPU time from which on a block counts as disturbed. It is chosen beside
#: the figures, not by them: a p99 needs one request in a hundred to be late.
DISTURBED = 0.05

Block = Mapping[str, Measures]

_Found = TypeVar("_Found")


def is_calm(taken: float | None) -> bool:
    """Whether a measurement counts as undisturbed by what others had, as far as that is known."""
    return taken is None or taken < DISTURBED


def until_calm(
    measure: Callable[[int], tuple[_Found, float | None]], at_most: int
) -> tuple[_Found, list[float]]:
    """Measure something, and again as long as others take the machine meanwhile.

    Args:
        measure: Is given how often it was called before; returns what it found, and the share
            that others had, if that is known.
        at_most: How often it is called at most.

    Returns:
        What was found when others had least, and what they had each time.
    """
    found: list[_Found] = []
    shares: list[float] = []
    for number in range(at_most):
        each, taken = measure(number)
        found.append(each)
        shares.append(taken or 0.0)
        if is_calm(taken):
            break
    return found[shares.index(min(shares))], shares


def numbers(planned: int, blocks: Sequence[Block]) -> Iterator[int]:
    """Yield the number of each block that is to be run; whoever runs it adds it to `blocks`.

    All that are planned; and where no more than half of these were calm, others in place of the
    disturbed ones, until enough are calm or as many were added as have to be. Like the choice of
    those that are judged, that depends on what others took, and on nothing that is judged.
    """
    yield from range(planned)
    for number in range(planned, planned + _majority(planned)):
        if _calm(taken_in(blocks)) >= _majority(planned):
            return
        yield number


def calm_blocks(blocks: Sequence[Block], planned: int) -> list[int]:
    """Choose the blocks that are judged, by what others took, and by nothing that is judged.

    Args:
        blocks: Those that were run.
        planned: How many would have been enough on a quiet machine.

    Returns:
        The numbers of the blocks, ascending: all in which less than `DISTURBED` was taken from each
        of the arms that run in every block, but as many as more than half of those planned in any
        case: then the calmest. If these are an even number, the next calmest is added, if there is
        one. The median is what happened in one block, then, not the mean of two of which one had
        bad luck; and the one that was added cannot move it out of what was found in the others.
    """
    taken = taken_in(blocks)
    calmest = sorted(range(len(blocks)), key=taken.__getitem__)
    enough = max(_majority(planned), _calm(taken))
    return sorted(calmest[: enough | 1])


def without_the_others(blocks: Sequence[Block], kept: Sequence[int]) -> list[dict[str, Measures]]:
    """Leave out all blocks but these, except for arms that ran in no other."""
    ran = {arm for number in kept for arm in blocks[number]}
    return [
        {arm: found for arm, found in block.items() if number in kept or arm not in ran}
        for number, block in enumerate(blocks)
    ]


def taken_in(blocks: Sequence[Block]) -> list[float]:
    """Return the share of each block that was taken from the arm that lost most.

    Of those arms that ran most often: one that is shown once decides about nothing, and a block
    that has no others is none. 0 where it is not known.
    """
    ran = Counter(arm for block in blocks for arm in block)
    compared = {arm for arm, times in ran.items() if times == max(ran.values())}
    return [
        max((block[arm][TAKEN] for arm in both if TAKEN in block[arm]), default=0.0)
        for block in blocks
        if (both := compared & block.keys())
    ]


def _majority(planned: int) -> int:
    return planned // 2 + 1


def _calm(taken: Sequence[float]) -> int:
    return sum(map(is_calm, taken))
