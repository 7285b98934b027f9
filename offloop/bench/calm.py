"""Which blocks are judged: those that nothing disturbed."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from offloop.measuring.catalogue import TAKEN
from offloop.measuring.expressions import PSEUDO_ARMS
from offloop.measuring.noise import is_quiet
from offloop.measuring.values import Block

_Found = TypeVar("_Found")


def until_quiet(
    measure: Callable[[int], tuple[_Found, float | None]], at_most: int
) -> tuple[_Found, float | None]:
    """Measure something, and again as long as other programs disturb it.

    Args:
        measure: Is given how often it was called before; returns what it found, and the share of
            the machine that other programs had, if that is known.
        at_most: How often it is called at most.

    Returns:
        What was found when other programs had least, and what they had then.
    """
    found: list[tuple[_Found, float | None]] = []
    for number in range(at_most):
        found.append(measure(number))
        if is_quiet(found[-1][1]):
            break
    return min(found, key=lambda each: each[1] or 0.0)


def quiet_blocks(blocks: Sequence[Block], compared: Collection[str]) -> list[int]:
    """Choose the blocks that are judged, by what other programs took, and by nothing else.

    Args:
        blocks: All of them.
        compared: The arms that run in every block.

    Returns:
        The numbers of the blocks in which none of these arms was disturbed, nor the calibration
        before them.
    """
    return [
        number
        for number, block in enumerate(blocks)
        if all(
            is_quiet(found.numbers.get(TAKEN))
            for arm, found in block.items()
            if arm in compared or arm in PSEUDO_ARMS
        )
    ]


def only_blocks(blocks: Sequence[Block], kept: Collection[int]) -> list[Block]:
    """Leave out all blocks but these, except for arms that ran in no other."""
    ran = {arm for number in kept for arm in blocks[number]}
    return [
        {arm: found for arm, found in block.items() if number in kept or arm not in ran}
        for number, block in enumerate(blocks)
    ]
