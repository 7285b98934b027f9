"""JUnit XML and the Markdown summary: what CI is told."""

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, fromstring

import pytest

from offloop.measuring.results import Checkout, ExperimentResult, Machine, Noise, Run
from offloop.measuring.verdicts import Judged, Verdict, judged
from offloop.pages.junit import junit
from offloop.pages.summary import summary

KEPT = judged("kept", "a.kill.lost", 0, "<=", 0, "no job is lost", "A `202` is a promise.")
BROKEN = judged("cure", "a.kill.lost", 9, "<=", 4, "bystanders | hardly notice", "Why & why not")
MISSING = judged("gone", "a.kill.lost", None, "<=", 4, "it can be told", "")
VALID = judged("sent", "a.kill.lost", 1, ">=", 1, "every request was sent", "")
NOT_VALID = judged("quiet", "a.kill.lost", 0, ">=", 1, "the machine was quiet", "")


def run_of(
    verdict: Verdict, expectations: list[Judged], validity: list[Judged], **changes: object
) -> Run:
    result = ExperimentResult(
        verdict=verdict,
        title="A report stalls everyone",
        load={},
        expectations=expectations,
        validity=validity,
    ).model_copy(update=changes)
    return Run(
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        machine=Machine(processor="abacus", cores=2, python="3.11.7"),
        versions={},
        git=Checkout(),
        seed=1,
        verdict=verdict,
        experiments={"loop_blocking": result},
    )


def parsed(run: Run) -> Element:
    return fromstring(junit(run))  # noqa: S314 - it is ours


def counts(suites: Element) -> tuple[str | None, ...]:
    return suites.get("tests"), suites.get("failures"), suites.get("errors")


@pytest.mark.parametrize(
    ("verdict", "expectations", "validity", "counted"),
    [
        (Verdict.PASS, [KEPT], [VALID], ("2", "0", "0")),
        (Verdict.FAIL, [KEPT, BROKEN], [VALID], ("3", "1", "0")),
        # Without a valid measurement, nothing is known to be broken.
        (Verdict.NO_VERDICT, [KEPT, BROKEN], [NOT_VALID], ("3", "0", "2")),
        (Verdict.NO_VERDICT, [MISSING], [VALID], ("2", "0", "1")),
    ],
)
def test_a_broken_expectation_is_a_failure_and_an_unjudged_one_an_error(
    verdict: Verdict,
    expectations: list[Judged],
    validity: list[Judged],
    counted: tuple[str, ...],
) -> None:
    suites = parsed(run_of(verdict, expectations, validity))

    assert counts(suites) == counted
    (suite,) = suites
    assert suite.get("name") == "loop_blocking"


def test_a_failure_says_what_was_observed_and_the_limit() -> None:
    suites = parsed(run_of(Verdict.FAIL, [BROKEN], [VALID]))

    (failure,) = suites.iter("failure")
    assert failure.get("message") == "broken: observed 9.00, limit <= 4"
    assert failure.text == "a.kill.lost\nWhy & why not"


def test_an_experiment_that_was_not_finished_is_an_error() -> None:
    run = run_of(Verdict.NO_VERDICT, [], [], error="the broker died")

    (error,) = parsed(run).iter("error")
    assert error.get("message") == "the broker died"
    assert "It was not finished: the broker died" in summary(run)


def test_a_summary_of_a_pass_is_a_table_of_verdicts_and_no_more() -> None:
    text = summary(run_of(Verdict.PASS, [KEPT], [VALID]))

    assert text.startswith("## Offloop: pass\n")
    assert "| `loop_blocking` | pass | A report stalls everyone |" in text
    assert "###" not in text


def test_a_summary_says_what_was_broken_and_what_disturbed_the_run() -> None:
    noise = [Noise(step="block 1", taken_share=0.4, taken_by=("make (pid 7) 40%",))]

    text = summary(run_of(Verdict.NO_VERDICT, [BROKEN], [VALID, NOT_VALID], noise=noise))

    assert "| bystanders \\| hardly notice | 9.00 | <= 4 | broken |" in text
    assert "| the machine was quiet | 0.00 | >= 1 | broken |" in text
    assert "every request was sent" not in text
    assert "Other programs took 40% of the machine: make (pid 7) 40%." in text
