import pytest

from offloop.bench.story import arms_in, tell

BLOCKS = [
    {"naive": {"p99_ms": 500.0, "memory_bytes": 100e6}, "fixed": {"p99_ms": 4.0}},
    {"naive": {"p99_ms": 600.0, "memory_bytes": 110e6}, "fixed": {"p99_ms": 5.0}},
    {"naive": {"p99_ms": 900.0, "memory_bytes": 120e6}, "fixed": {"p99_ms": 6.0}},
]


def test_a_measure_is_told_by_its_median_in_the_format_asked_for() -> None:
    assert tell("took {naive.p99_ms:.0f} ms", BLOCKS) == "took 600 ms"
    assert tell("{fixed.p99_ms:.2f}", BLOCKS) == "5.00"


def test_a_ratio_is_told_by_the_median_of_the_blocks_ratios() -> None:
    assert tell("{naive.p99_ms / fixed.p99_ms:.0f} times", BLOCKS) == "125 times"


def test_a_unit_converts_milliseconds_to_seconds_and_bytes_to_megabytes() -> None:
    text = "{naive.p99_ms|s:.1f} s and {naive.memory_bytes|MB:.0f} MB"

    assert tell(text, BLOCKS) == "0.6 s and 110 MB"


def test_a_phase_is_told_although_its_name_has_a_colon() -> None:
    blocks = [{"naive": {"after:kill.bystander.p99_ms": 1500.0}}]

    assert tell("{naive.after:kill.bystander.p99_ms|s:.1f} s", blocks) == "1.5 s"


def test_what_was_not_measured_is_told_as_such_and_not_as_zero() -> None:
    assert tell("took {mine.p99_ms:.0f} ms", BLOCKS) == "took (not measured) ms"
    assert tell("{naive.memory_bytes / fixed.memory_bytes:.1f}", BLOCKS) == "(not measured)"


def test_a_text_without_values_stays_as_it_is() -> None:
    assert tell("Nothing to see here, 100% of the time.", []) == (
        "Nothing to see here, 100% of the time."
    )


def test_a_text_tells_of_the_arms_of_all_its_measures() -> None:
    text = "{naive.p99_ms / fixed.p99_ms:.0f} times, {mine.after:kill.p99_ms|s:.1f} s"

    assert arms_in(text) == {"naive", "fixed", "mine"}
    assert not arms_in("of nobody")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{naive.p99_ms|min:.0f}", "'min' is not a unit to convert to; there is s, MB"),
        ("{naive:.0f}", r"'naive' is not a measure: write ARM\.MEASURE"),
        ("{}", "is not a measure"),
        ("{naive.p99_ms:.0q}", "format"),
        ("{naive.p99_ms", "'}'"),
    ],
)
def test_a_text_that_could_not_be_told_is_refused_before_there_are_any_blocks(
    text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        tell(text, [])
