"""Which blocks are judged: by what other programs took of the machine, and by nothing else."""

import pytest

from offloop.measuring.blocks import until_quiet
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.judging import only_blocks, quiet_blocks
from offloop.measuring.noise import DISTURBED
from offloop.measuring.values import Block
from tests.bench.support import measured

ARMS = frozenset({"naive", "fixed"})


def block(**taken: float | None) -> Block:
    """What was taken from each arm; nothing from the two that are compared."""
    quiet: dict[str, float | None] = {"naive": 0.0, "fixed": 0.0}
    return {arm: measured({TAKEN: share}) for arm, share in (quiet | taken).items()}


@pytest.mark.parametrize(
    ("taken", "counts"),
    [
        # A quiet measurement is not repeated, a disturbed one is.
        ([0.01], 0),
        ([0.2, DISTURBED, 0.02], 2),
        # Without a quiet one, that counts which was disturbed least.
        ([0.2, 0.08, 0.3], 1),
        ([None], 0),
    ],
)
def test_a_disturbed_measurement_is_repeated_and_the_quiet_one_counts(
    taken: list[float | None], counts: int
) -> None:
    called: list[int] = []

    def measure(number: int) -> tuple[int, float | None]:
        called.append(number)
        return number, taken[number]

    assert until_quiet(measure, at_most=3) == (counts, taken[counts])
    assert called == list(range(len(taken)))


def test_disturbed_blocks_are_left_out_however_many_there_are() -> None:
    shares = (0.0, 0.2, 0.02, DISTURBED, 0.06)
    blocks = [block(fixed=share) for share in shares]

    assert quiet_blocks(blocks, ARMS) == [0, 2]
    assert quiet_blocks(blocks[3:], ARMS) == []


@pytest.mark.parametrize(
    ("arm", "counts"),
    [("naive", True), ("predicted", True), ("calibrated", True), ("same_priority", False)],
)
def test_only_compared_arms_and_the_calibration_have_to_be_quiet(arm: str, counts: bool) -> None:
    assert (quiet_blocks([block(**{arm: 0.3})], ARMS) == []) is counts


def test_blocks_with_an_unknown_share_are_judged() -> None:
    assert quiet_blocks([block(naive=None, fixed=None)], ARMS) == [0]


def test_an_arm_that_ran_only_in_a_block_that_is_left_out_is_still_shown() -> None:
    first, rest = block(once=0.1), [block(), block()]

    assert only_blocks([first, *rest], [1, 2]) == [{"once": first["once"]}, *rest]
    assert only_blocks([first, *rest], [0, 2]) == [first, {}, rest[1]]
