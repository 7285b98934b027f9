import pytest

from offloop.bench.usage import cores_used
from offloop.stack.sampling import ResourceSample


def sample(at_s: float, cpu_s: float, name: str = "naive") -> ResourceSample:
    return ResourceSample(at_s, name, 1, cpu_s, 1)


def test_the_time_of_all_services_counts_and_that_of_others_does_not() -> None:
    samples = [
        *(sample(10, 1.0), sample(12, 2.0)),
        *(sample(10, 5.0, "worker"), sample(12, 5.5, "worker")),
        *(sample(10, 0.0, "generator"), sample(12, 2.0, "generator")),
    ]

    assert cores_used(samples, ["naive", "worker"], until_s=20) == pytest.approx(0.75)


def test_what_comes_later_does_not_count() -> None:
    samples = [sample(10, 1.0), sample(12, 2.0), sample(14, 0.1)]

    assert cores_used(samples, ["naive"], until_s=13) == pytest.approx(0.5)


@pytest.mark.parametrize("until_s", [9, 11])
def test_without_two_samples_of_each_nothing_is_known(until_s: float) -> None:
    assert cores_used([sample(10, 1.0), sample(12, 2.0)], ["naive"], until_s) is None
    assert cores_used([sample(10, 1.0), sample(12, 2.0)], ["naive", "worker"], 20) is None
