import gc
import time

import pytest

from offloop.telemetry.collecting import CollectionPauses


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> CollectionPauses:
    """Pauses of which the garbage collector knows nothing, so that tests can make them up."""
    clock = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    return CollectionPauses()


def pause(pauses: CollectionPauses) -> None:
    """Collect for one second: the clock is a second further each time it is read."""
    pauses._notice("start", {})  # noqa: SLF001 - as the collector does
    pauses._notice("stop", {})  # noqa: SLF001 - as above


@pytest.mark.parametrize(
    ("from_s", "until_s", "seconds"),
    [(0, 4, 2), (0.25, 0.75, 0.5), (0.5, 2.5, 1), (1, 2, 0), (4, 9, 0)],
)
def test_only_the_part_of_a_pause_within_the_interval_counts(
    pauses: CollectionPauses, from_s: float, until_s: float, seconds: float
) -> None:
    pause(pauses)  # from 0 to 1
    pause(pauses)  # from 2 to 3

    assert pauses.seconds_between(from_s, until_s) == pytest.approx(seconds)


def test_pauses_of_the_garbage_collector_are_recorded() -> None:
    pauses = CollectionPauses()
    begin = time.monotonic()
    pauses.start()
    try:
        while not pauses.seconds_between(begin, time.monotonic()):
            assert time.monotonic() - begin < 30
            garbage = [[] for _ in range(50_000)]  # type: list[list[object]]
            for each in garbage:
                each.append(garbage)
            gc.collect()
    finally:
        pauses.stop()

    assert pauses.seconds_between(begin, time.monotonic()) < time.monotonic() - begin
    assert not [each for each in gc.callbacks if getattr(each, "__self__", None) is pauses]
