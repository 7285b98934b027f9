"""How values are written for people."""

import pytest

from offloop.measuring.catalogue import measure_named
from offloop.measuring.values import NEVER
from offloop.measuring.wording import cell_said, digits, name_said, value_said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ping.p99_ms", 0.934, "0.93 ms"),
        ("ping.p99_ms", 12.34, "12.3 ms"),
        ("ping.p99_ms", 254.4, "254 ms"),
        ("ping.p99_ms", 1234.5, "1.23 s"),
        ("ping.p99_ms", NEVER, "never"),
        ("stack.memory_peak_bytes", 150e6, "150 MB"),
        ("ping.harmed_share", 0.483, "48%"),
        ("ping.harmed_share", 0.0034, "0.3%"),
        ("ping.harmed_share", 0.0, "0%"),
        ("ping.failed", 12345, "12,345"),
        ("gzip.speedup", 1.956, "1.96"),
        ("gzip.cores", 0.8, "0.80 cores"),
        ("queue.drain_per_s", 14.26, "14.3 jobs/s"),
        ("jobs.cpu_us_per_line", 12.0, "12.0 µs"),
    ],
)
def test_a_value_is_written_with_its_unit_and_the_digits_it_is_worth(
    name: str, value: float, said: str
) -> None:
    assert value_said(value, measure_named(name)) == said


def test_a_ratio_without_an_end_is_unbounded() -> None:
    assert (digits(121.4), digits(NEVER)) == ("121", "unbounded")


@pytest.mark.parametrize(
    ("name", "n", "said"),
    [
        ("ping.p99_ms", 4212, "p99 of 4,212"),
        ("ping.p99_ms", 99, "slowest of 99"),
        ("ping.p95_ms", 20, "p95 of 20"),
        ("ping.p50_ms", 7, "median of 7"),
        ("ping.max_ms", 4212, "slowest of 4,212"),
        ("ping.harmed_share", 4212, ""),
        ("ping.failed", 7, ""),
    ],
)
def test_a_value_of_a_sample_is_named_by_what_it_is(name: str, n: int, said: str) -> None:
    assert name_said(measure_named(name), n) == said


@pytest.mark.parametrize(
    ("name", "n", "said"),
    [
        ("report.seen_p95_ms", 14, "900 ms (slowest of 14)"),
        ("report.seen_p95_ms", 20, "900 ms"),
        ("report.seen_p95_ms", None, "900 ms"),
        ("report.seen_p50_ms", 1, "900 ms"),
        ("queue.wait_max_ms", 7, "900 ms"),
    ],
)
def test_a_cell_says_if_a_percentile_has_too_few_values_to_be_one(
    name: str, n: int | None, said: str
) -> None:
    assert cell_said(900, measure_named(name), n) == said
