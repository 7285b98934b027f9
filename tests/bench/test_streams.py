import pytest
from pydantic import ValidationError

from offloop.bench.streams import OrderStream

ORDER = {"shipped_from": "1995-01-01", "shipped_to": "1995-06-30", "format": "csv"}

EVENLY_S = 0.5


def orders(**changes: object) -> OrderStream:
    return OrderStream.model_validate({"order": ORDER, **changes})


def due_s(rate: float | None = 1 / EVENLY_S, **changes: object) -> list[float]:
    """When orders come in ten seconds."""
    said = {"rate": rate} if rate is not None else {}
    return orders(**said, **changes).due_times(rate, 10.0, "seed")


def test_orders_are_due_between_the_start_and_the_end_of_their_stream() -> None:
    found = due_s(from_s=4.0, until_s=7.0)

    assert len(found) == 3 / EVENLY_S
    assert 4.0 <= min(found) < 4.0 + EVENLY_S
    assert 7.0 - EVENLY_S <= max(found) < 7.0


def test_a_stream_with_a_count_has_that_many_orders_and_no_rate() -> None:
    assert due_s(None, count=3, from_s=4.0) == [4.0, 4.0, 4.0]
    assert due_s(None, count=3, from_s=12.0) == []


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [({}, 10), ({"from_s": 4}, 6), ({"until_s": 3}, 3), ({"until_s": 30}, 10), ({"from_s": 12}, 0)],
)
def test_a_stream_lasts_from_its_start_to_its_end_within_the_load(
    changes: dict[str, float], seconds: float
) -> None:
    assert orders(rate=1, **changes).lasts_s(10.0) == seconds


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 1, "rate": 2}, "exactly one of utilisation, rate, drain, count"),
        ({"count": 2, "burst": 2}, "arrivals and burst mean nothing there"),
        ({"count": 2, "arrivals": "poisson"}, "arrivals and burst mean nothing there"),
        ({"rate": 1, "from_s": 4, "until_s": 4}, "ends .until_s = 4. before it begins"),
    ],
)
def test_contradictory_settings_of_a_stream_are_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        orders(**changes)
