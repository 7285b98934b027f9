"""Declarations of measures, and finding them by name."""

import pytest

from offloop.measuring.catalogue import (
    GROUPS,
    UnknownMeasureError,
    measure_named,
    names,
    sample_name,
    subject,
)
from offloop.measuring.instruments.requests import REQUESTS
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.measure import Kind, Measure

ALL = [measure for group in GROUPS.values() for measure in group]


def test_every_name_is_declared_once() -> None:
    declared = [measure.name for measure in ALL]

    assert len(declared) == len(set(declared))


@pytest.mark.parametrize("measure", ALL, ids=lambda measure: measure.name)
def test_a_declaration_is_found_by_its_name_and_is_complete(measure: Measure) -> None:
    whole = measure.name if "." in measure.name else f"before:kill.some.{measure.name}"

    assert measure_named(whole) is measure
    assert measure.heading
    assert (measure.kind is Kind.PERCENTILE) == bool(measure.percent)
    assert (measure.kind is Kind.SHARE) == bool(measure.above_ms)
    assert measure.sample or measure.kind not in {Kind.PERCENTILE, Kind.SHARE}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bystander.p98_ms", "the nearest is .*p9[59]_ms"),
        ("bystander.fialed", "the nearest is failed"),
        ("bystander.xyzzy", "nothing is called like it"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(name: str, said: str) -> None:
    with pytest.raises(UnknownMeasureError, match=said) as refused:
        measure_named(name)

    assert repr(name) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "needs"), [("p50_ms", 2), ("p95_ms", 20), ("p99_ms", 100), ("max_ms", 1)]
)
def test_a_percentile_needs_so_many_values_that_one_is_above_it(name: str, needs: int) -> None:
    assert measure_named(f"bystander.{name}").needs == needs


def test_a_name_is_a_subject_and_the_name_of_a_measure() -> None:
    assert subject("before:kill.bystander.p99_ms") == "before:kill.bystander"
    assert sample_name("before:kill.bystander.p99_ms") == "before:kill.bystander.response_ms"
    assert subject(TAKEN) == ""
    assert list(names("ping", REQUESTS))[:2] == ["ping.offered", "ping.sent"]
