"""Which blocks are judged, where hosts and other programs take time now and then. Pure."""

from collections.abc import Mapping, Sequence

from offloop.bench.expressions import Measures

TAKEN = "machine.taken_share"

#: Share of the machine's CPU time from which on a block counts as disturbed. It is chosen beside
#: the figures, not by them: a p99 needs one request in a hundred to be late.
DISTURBED = 0.05

Block = Mapping[str, Measures]


def calm_blocks(blocks: Sequence[Block]) -> list[int]:
    """Choose the blocks that are judged, by what others took, and by nothing that is judged.

    Returns:
        The numbers of the blocks, ascending: all in which less than `DISTURBED` was taken from each
        of the arms that run in every block, but more than half of them in any case: then the
        calmest.
    """
    compared = set(blocks[0]).intersection(*blocks[1:]) if blocks else set()
    taken = [_worst({arm: block[arm] for arm in compared}) for block in blocks]
    majority = len(blocks) // 2 + 1
    calmest = sorted(range(len(blocks)), key=taken.__getitem__)
    enough = max(majority, sum(share < DISTURBED for share in taken))
    return sorted(calmest[:enough])


def without_the_others(blocks: Sequence[Block], kept: Sequence[int]) -> list[dict[str, Measures]]:
    """Leave out all blocks but these, except for arms that ran in no other."""
    ran = {arm for number in kept for arm in blocks[number]}
    return [
        {arm: found for arm, found in block.items() if number in kept or arm not in ran}
        for number, block in enumerate(blocks)
    ]


def _worst(block: Block) -> float:
    """Return the share that was taken from the arm that lost most; 0 where it is not known."""
    return max((arm[TAKEN] for arm in block.values() if TAKEN in arm), default=0.0)
