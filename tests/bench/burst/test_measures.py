import pytest

from offloop.bench.burst.measures import measure, names
from offloop.bench.burst.protocol import Times
from offloop.stack.sampling import ResourceSample
from tests.bench.burst.support import WORK, done, times


def sample(rss_bytes: int) -> ResourceSample:
    return ResourceSample(monotonic_s=0.0, name="naive", rss_bytes=rss_bytes, cpu_s=0.0, pid=1)


def test_a_burst_as_long_as_its_pieces_in_sequence_is_a_speed_up_of_one() -> None:
    found = measure(done(aggregate=times(alone_s=0.1, burst_s=0.4)), [], None)

    assert found.numbers["aggregate.speedup"] == pytest.approx(1)
    assert found.numbers["aggregate.alone_ms"] == pytest.approx(100)
    assert found.numbers["aggregate.burst_ms"] == pytest.approx(400)


def test_a_burst_in_half_that_time_is_a_speed_up_of_two() -> None:
    found = measure(done(aggregate=times(alone_s=0.1, burst_s=0.2)), [], None)

    assert found.numbers["aggregate.speedup"] == pytest.approx(2)


def test_cores_are_the_cpu_time_of_a_burst_divided_by_its_length() -> None:
    found = measure(done(aggregate=times(alone_s=0.1, burst_s=0.5, burst_cpu_s=0.4)), [], None)

    assert found.numbers["aggregate.cores"] == pytest.approx(0.8)


def test_one_disturbed_repetition_does_not_change_the_speed_up() -> None:
    held_up = Times(
        alone_s=(0.1, 0.9, 0.1),
        burst_s=(0.2, 0.2, 3.0),
        burst_cpu_s=(0.4, 0.4, 0.4),
        digests=("abc",),
    )

    found = measure(done(aggregate=held_up), [], None)

    assert found.numbers["aggregate.speedup"] == pytest.approx(2)


def test_memory_is_the_peak_of_all_processes_together() -> None:
    found = measure(done(), [sample(100), sample(300), sample(200)], None)

    assert found.numbers["pool.memory_peak_bytes"] == 300


def test_the_measures_are_exactly_those_that_an_experiment_may_name() -> None:
    found = measure(done(), [sample(100)], 0.0)

    assert found.numbers.keys() == set(names(WORK))


def test_measures_without_observations_are_absent() -> None:
    found = measure(done(), [], None)

    missing = {"pool.memory_peak_bytes", "machine.taken_share"}
    assert found.numbers.keys() == set(names(WORK)) - missing
