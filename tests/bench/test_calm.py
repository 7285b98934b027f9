"""Which blocks are judged: by what others took of the machine, and by nothing else."""

from offloop.bench.calm import DISTURBED, TAKEN, calm_blocks, without_the_others


def blocks(*stolen: float) -> list[dict[str, dict[str, float]]]:
    return [{"naive": {TAKEN: 0.0}, "fixed": {TAKEN: share}} for share in stolen]


def test_on_a_quiet_machine_every_block_is_judged() -> None:
    assert calm_blocks(blocks(0, 0.01, 0, 0.02, DISTURBED / 2)) == [0, 1, 2, 3, 4]


def test_disturbed_blocks_are_left_out() -> None:
    assert calm_blocks(blocks(0, 0.2, 0, 0.06, 0.01)) == [0, 2, 4]


def test_more_than_half_of_the_blocks_are_judged_however_bad_the_day_is() -> None:
    assert calm_blocks(blocks(0.3, 0.2, 0.1, 0.4, 0.25)) == [1, 2, 4]
    assert calm_blocks(blocks(0.3, 0.2, 0.1)) == [1, 2]
    assert calm_blocks(blocks(0.3, 0.2)) == [0, 1]


def test_what_was_taken_from_any_arm_counts() -> None:
    disturbed = {"naive": {TAKEN: 0.3}, "fixed": {TAKEN: 0.0}}

    assert calm_blocks([disturbed, *blocks(0, 0)]) == [1, 2]


def test_where_the_machine_does_not_tell_every_block_is_judged() -> None:
    assert calm_blocks([{"naive": {"x": 1.0}}, {"naive": {"x": 2.0}}]) == [0, 1]


def test_an_arm_that_ran_only_in_a_block_that_is_left_out_is_still_shown() -> None:
    first = {"naive": {"x": 1.0}, "once": {"x": 9.0}}
    others = [{"naive": {"x": 2.0}}, {"naive": {"x": 3.0}}]

    assert without_the_others([first, *others], [1, 2]) == [{"once": {"x": 9.0}}, *others]


def test_what_was_taken_from_an_arm_that_ran_once_does_not_count() -> None:
    first = {"naive": {TAKEN: 0.0}, "once": {TAKEN: 0.5}}

    assert calm_blocks([first, {"naive": {TAKEN: 0.0}}, {"naive": {TAKEN: 0.3}}]) == [0, 1]
