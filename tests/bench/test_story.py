import pytest

from offloop.bench.story import cell, tell, terms_in
from offloop.measuring.values import NEVER, Block
from tests.bench.support import measured


def block(p99_ms: float, seen_ms: float) -> Block:
    return {
        "naive": measured(
            {
                "bystander.p99_ms": p99_ms,
                "stack.memory_peak_bytes": 110e6,
                "report.seen_ms": [seen_ms, 2 * seen_ms],
                "kill.lost": 2,
            }
        ),
        "fixed": measured(
            {
                "bystander.p99_ms": 5.0,
                "bystander.service_ms": [2.0, *[NEVER] * 99],
                "report.seen_ms": [1200.0, 2400.0],
                "stack.memory_peak_bytes": 90e6,
            }
        ),
    }


BLOCKS = [block(500.0, 1000.0), block(600.0, 1300.0), block(900.0, 1250.0)]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        # A value has its unit, and a percentile says what it is of.
        ("naive.stack.memory_peak_bytes", "110 MB"),
        ("naive.kill.lost", "6"),
        ("naive.bystander.p99_ms", "900 ms (p99 of 3,600)"),
        ("naive.report.seen_p95_ms", "2.60 s (slowest of 6)"),
        ("naive.bystander.harmed_share", "100%"),
        # A ratio has its interval.
        ("naive.bystander.p99_ms / fixed.bystander.p99_ms", "180 (95% interval 100 to 180)"),
        # Values that may be equal are not told as different.
        (
            "fixed.bystander.p99_ms vs naive.bystander.p99_ms",
            "5.00 ms instead of 900 ms (p99 of 3,600)",
        ),
        (
            "fixed.report.seen_p50_ms vs naive.report.seen_p50_ms",
            "1.20 s, about the same as 1.30 s (median of 6)",
        ),
        (
            "fixed.stack.memory_peak_bytes vs naive.stack.memory_peak_bytes",
            "90.0 MB instead of 110 MB",
        ),
        # What never came is not a number, and what is missing is not zero.
        ("fixed.bystander.service_p99_ms", "never (p99 of 300)"),
        ("mine.bystander.p99_ms", "(not measured)"),
        ("fixed.loop.stalls", "(not measured)"),
        ("fixed.loop.stalls vs naive.loop.stalls", "(not measured)"),
    ],
)
def test_a_field_is_told_with_its_sample_size_or_as_missing(field: str, said: str) -> None:
    assert tell(f"It was {{{field}}}.", BLOCKS) == f"It was {said}."


def test_a_ratio_of_one_block_has_no_interval() -> None:
    assert tell("{naive.bystander.p99_ms / fixed.bystander.p99_ms}", BLOCKS[:1]) == "100"


def test_a_field_may_name_a_phase_with_a_colon() -> None:
    blocks = [{"naive": measured({"after:kill.bystander.max_ms": 1500.0})}]

    assert tell("{naive.after:kill.bystander.max_ms}", blocks) == "1.50 s (slowest of 1,200)"


def test_a_cell_is_brief_and_empty_where_a_measure_is_missing() -> None:
    ratio = "naive.bystander.p99_ms / fixed.bystander.p99_ms"

    assert cell(f"{{{ratio}}} ({{naive.kill.lost}})", BLOCKS) == "180 (6)"
    assert cell("{naive.report.seen_p95_ms}", BLOCKS) == "2.60 s (slowest of 6)"
    assert not cell("{naive.kill.lost} ({fixed.kill.lost})", BLOCKS)


def test_a_text_without_fields_stays_as_it_is() -> None:
    assert tell("100% of the time.", []) == "100% of the time."


def test_all_terms_of_the_fields_of_a_text_are_found() -> None:
    text = "{naive.bystander.p99_ms / fixed.bystander.p99_ms}, {a.kill.lost vs b.kill.lost}"

    assert list(map(str, terms_in(text))) == [
        "naive.bystander.p99_ms",
        "fixed.bystander.p99_ms",
        "a.kill.lost",
        "b.kill.lost",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{naive}", r"'naive' is not a measure: write ARM\.MEASURE"),
        ("{}", "is not a measure"),
        ("{naive.bystander.p99_ms:.0f}", "p99_ms:.0f' is no measure"),
        ("{naive.bystander.p98_ms}", "the nearest is p9._ms"),
        ("{naive.bystander.p99_ms", "a brace has no partner"),
        ("naive.bystander.p99_ms}", "a brace has no partner"),
        ("{a.kill.lost vs b.kill.lost vs c.kill.lost}", "compares more than two values"),
        ("{a.kill.lost / b.kill.lost vs c.kill.lost}", "compares two measures, not ratios"),
    ],
)
def test_a_text_with_an_invalid_field_is_refused_before_any_block(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tell(text, [])
