"""What others took of the machine: pure."""

from typing import NamedTuple

import pytest

from offloop.bench.taken import lab_cpu_s, taken_share
from offloop.stack.sampling import ResourceSample


class Times(NamedTuple):
    """As `psutil.cpu_times` has them on Linux."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    softirq: float = 0.0
    steal: float = 0.0
    guest: float = 0.0


class TimesElsewhere(NamedTuple):
    user: float = 0.0
    system: float = 0.0
    idle: float = 0.0


START = Times()


def used(name: str, *cpu_s: float, pid: int = 1) -> list[ResourceSample]:
    return [ResourceSample(number, name, 1, each, pid) for number, each in enumerate(cpu_s)]


def test_on_a_machine_of_its_own_nothing_is_taken_from_the_lab() -> None:
    after = Times(user=3, nice=2, system=1, idle=13, softirq=1)

    assert taken_share(START, after, [*used("fixed", 1, 5), *used("generator", 0, 2)]) == 0


def test_what_the_host_took_and_what_other_programs_used_counts() -> None:
    after = Times(user=4, system=2, idle=12, steal=2)

    assert taken_share(START, after, used("fixed", 10, 13)) == pytest.approx((2 + 3) / 20)


def test_where_the_host_does_not_tell_other_programs_are_still_seen() -> None:
    after = TimesElsewhere(user=5, idle=15)

    assert taken_share(TimesElsewhere(), after, used("fixed", 0, 4)) == pytest.approx(1 / 20)


def test_guests_of_this_machine_are_in_its_user_time_already() -> None:
    after = Times(user=4, idle=16, guest=4)

    assert taken_share(START, after, used("fixed", 0, 4)) == 0


def test_without_time_there_is_no_share() -> None:
    assert taken_share(START, START, []) is None


def test_a_service_that_is_started_again_has_used_all_of_its_time_meanwhile() -> None:
    assert lab_cpu_s([*used("fixed", 1, 2), *used("fixed", 3, 4, pid=2)]) == 1 + 4


def test_what_a_service_had_used_before_does_not_count() -> None:
    assert lab_cpu_s(used("fixed", 10, 10)) == 0


def test_a_service_that_was_added_has_used_all_of_its_time_meanwhile() -> None:
    there, added = used("fixed", 5, 6, 7), used("worker-2", 2, 3, pid=2)

    assert lab_cpu_s([there[0], there[1], added[0], there[2], added[1]]) == 2 + 3


def test_all_that_are_there_at_first_have_used_their_time_before() -> None:
    one, other = used("fixed", 5, 6), used("worker-1", 9, 9, pid=2)

    assert lab_cpu_s([one[0], other[0], one[1], other[1]]) == 1
