import pytest

from offloop.measuring.instruments.resources import cores_used, resource_measures
from offloop.stack.sampling import ResourceSample

#: Services with their numbers of processes.
NEEDED = {"fixed": 1, "worker-long-1": 2}


def sample(at_s: float, cpu_s: float, name: str = "naive") -> ResourceSample:
    return ResourceSample(at_s, name, 1, cpu_s, 1)


def test_only_the_time_of_the_named_services_counts() -> None:
    samples = [
        *(sample(10, 1.0), sample(12, 2.0)),
        *(sample(10, 5.0, "worker"), sample(12, 5.5, "worker")),
        *(sample(10, 0.0, "generator"), sample(12, 2.0, "generator")),
    ]

    assert cores_used(samples, ["naive", "worker"], until_s=20) == pytest.approx(0.75)


def test_samples_after_the_end_do_not_count() -> None:
    samples = [sample(10, 1.0), sample(12, 2.0), sample(14, 0.1)]

    assert cores_used(samples, ["naive"], until_s=13) == pytest.approx(0.5)


@pytest.mark.parametrize("until_s", [9, 11])
def test_without_two_samples_of_each_service_cores_are_unknown(until_s: float) -> None:
    assert cores_used([sample(10, 1.0), sample(12, 2.0)], ["naive"], until_s) is None
    assert cores_used([sample(10, 1.0), sample(12, 2.0)], ["naive", "worker"], 20) is None


def test_memory_adds_up_the_peaks_of_the_stack_and_of_everything_the_lab_runs() -> None:
    samples = (
        ResourceSample(1.0, "fixed", 80, 0.1, 1),
        ResourceSample(2.0, "fixed", 70, 0.2, 1),
        ResourceSample(1.0, "worker-long-1", 100, 0.1, 1),
        ResourceSample(2.0, "worker-long-1", 130, 0.1, 1),
        ResourceSample(1.0, "generator", 60, 0.1, 1),
        ResourceSample(1.0, "other-stacks", 200, 0.1, 1),
    )

    found = resource_measures(samples, "fixed", NEEDED, until_s=9.0)

    assert found["api.memory_peak_bytes"] == 80
    assert found["stack.memory_peak_bytes"] == 210
    assert found["lab.memory_peak_bytes"] == 470
    assert found["stack.processes"] == 3


def test_memory_of_a_stack_is_absent_if_one_of_its_services_was_never_sampled() -> None:
    samples = (ResourceSample(1.0, "fixed", 80, 0.1, 1),)

    found = resource_measures(samples, "fixed", NEEDED, until_s=9.0)

    assert found["stack.memory_peak_bytes"] is None
    assert found["api.memory_peak_bytes"] == 80
