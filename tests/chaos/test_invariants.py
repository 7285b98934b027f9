"""Each invariant is violated once, on made-up contents."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.invariants import (
    Delivery,
    Entry,
    Evidence,
    Expected,
    Harm,
    Message,
    Promise,
    Seen,
    StoredFile,
    Violation,
    harms,
    honest_failures,
    judge,
)

EXPECTED = Expected(".csv.gz", size=100, sha256="right", amount=12)
RESULT = json.dumps({"bytes": 100, "sha256": "right"})
GIVEN_UP = json.dumps({"type": "urn:offloop:problem:too-many-attempts"})
WHOLE = StoredFile(100, "right")


def done(job_id: str, key: str) -> Evidence:
    """One job that went well, as everybody sees it."""
    return Evidence(
        expected={"month": EXPECTED},
        promises=(Promise(job_id, key, "month", callback=True),),
        seen=(Seen(job_id, "running"), Seen(job_id, "done", "right")),
        announced=(job_id,),
        deliveries=(Delivery(f"{job_id}-1", job_id, "done", valid=True),) * 2,
        records={job_id: {"status": "done", "attempt": "1", "endings": "1", "result": RESULT}},
        entries=(Entry("entry", job_id, key, 1, 12),),
        files={f"{job_id}.csv.gz": WHOLE},
        waiting={"delayed": ()},
    )


WELL = done("a", "key-a")
FAILED = replace(
    WELL,
    seen=(),
    deliveries=(Delivery("a-1", "a", "failed", valid=True),),
    records={"a": {"status": "failed", "attempt": "4", "endings": "1", "problem": GIVEN_UP}},
    entries=(),
    files={},
)

Change = Callable[[Evidence], Evidence]

#: What is changed in what went well, the harm that it is, and a part of the words.
CHANGES: dict[str, tuple[Change, Harm, str]] = {
    "a key was answered with two jobs": (
        lambda e: replace(
            e,
            promises=(*e.promises, Promise("b", "key-a", "month", callback=False)),
            records={**e.records, "b": e.records["a"]},
            files={**e.files, "b.csv.gz": WHOLE},
            entries=(*e.entries, Entry("other", "b", "key-b", 1, 12)),
        ),
        Harm.DOUBLED,
        "was answered with 2 jobs",
    ),
    "an order was never answered": (
        lambda e: replace(e, unanswered=("key-x",)),
        Harm.STUCK,
        "key-x was never answered",
    ),
    "a strange answer": (lambda e: replace(e, surprises=("500",)), Harm.WRONG, "500"),
    "a job that nobody was promised": (
        lambda e: replace(e, records={**e.records, "b": e.records["a"]}),
        Harm.DOUBLED,
        "there is a record, but nobody",
    ),
    "a charge for a job that nobody was promised": (
        lambda e: replace(e, entries=(*e.entries, Entry("other", "b", "key-b", 1, 12))),
        Harm.DOUBLED,
        "ledger entry other, but nobody",
    ),
    "no record": (lambda e: replace(e, records={}), Harm.LOST, "there is no record"),
    "a job that never ends": (
        lambda e: replace(e, records={"a": {"status": "running", "attempt": "2"}}),
        Harm.STUCK,
        "it is running for ever, at attempt 2",
    ),
    "cancelled by nobody": (
        lambda e: replace(e, records={"a": {"status": "cancelled"}}),
        Harm.LOST,
        "nobody cancelled it",
    ),
    "failed without a reason": (
        lambda e: replace(e, records={"a": {"status": "failed"}}),
        Harm.WRONG,
        "it failed because of None",
    ),
    "failed for a reason that no fault explains": (
        lambda e: replace(
            e, records={"a": {**FAILED.records["a"], "problem": json.dumps({"type": "other"})}}
        ),
        Harm.WRONG,
        "it failed because of other",
    ),
    "ended twice": (
        lambda e: replace(e, records={"a": {**e.records["a"], "endings": "2"}}),
        Harm.DOUBLED,
        "it came to its end 2 times",
    ),
    "a record of another file": (
        lambda e: replace(e, records={"a": {"status": "done", "result": '{"bytes": 7}'}}),
        Harm.PARTIAL,
        "describes 7 bytes",
    ),
    "no charge": (lambda e: replace(e, entries=()), Harm.LOST, "the ledger does not know it"),
    "charged twice": (
        lambda e: replace(e, entries=(*e.entries, Entry("other", "a", "key-a", 2, 12))),
        Harm.DOUBLED,
        "2 ledger entries for key-a (attempts 1, 2)",
    ),
    "charged twice under another reference": (
        lambda e: replace(e, entries=(*e.entries, Entry("other", "a", "key-b", 2, 12))),
        Harm.DOUBLED,
        "under several references",
    ),
    "a wrong amount": (
        lambda e: replace(e, entries=(Entry("entry", "a", "key-a", 1, 13),)),
        Harm.WRONG,
        "13 cents in the ledger instead of 12",
    ),
    "a wrong reference": (
        lambda e: replace(e, entries=(Entry("entry", "a", "a", 1, 12),)),
        Harm.WRONG,
        "the ledger calls it a, its customer key-a",
    ),
    "no file": (lambda e: replace(e, files={}), Harm.LOST, "there is no file"),
    "a file that was cut off": (
        lambda e: replace(e, files={"a.csv.gz": StoredFile(40, "other")}),
        Harm.PARTIAL,
        "its file has 40 of 100 bytes",
    ),
    "a file with other bytes": (
        lambda e: replace(e, files={"a.csv.gz": StoredFile(100, "other")}),
        Harm.PARTIAL,
        "other bytes than the report",
    ),
    "a temporary file": (
        lambda e: replace(e, files={**e.files, ".a.csv.gz.0.part": StoredFile(1, "x")}),
        Harm.PARTIAL,
        "nobody can explain the file .a.csv.gz.0.part",
    ),
    "a second file": (
        lambda e: replace(e, files={**e.files, "a.parquet": WHOLE}),
        Harm.PARTIAL,
        "nobody can explain the file a.parquet",
    ),
    "a message that nobody fetches": (
        lambda e: replace(e, messages=(Message("short.msgs", "m", "a", dead=False),)),
        Harm.STUCK,
        "it is done, and its message m is still in short.msgs",
    ),
    "a dead letter of a job that is done": (
        lambda e: replace(e, messages=(Message("short.XQ", "m", "a", dead=True),)),
        Harm.STUCK,
        "still in short.XQ",
    ),
    "a callback that nobody delivers": (
        lambda e: replace(e, waiting={"outbox": ("a-1",)}),
        Harm.STUCK,
        "a-1 is still in outbox",
    ),
    "finished twice": (
        lambda e: replace(e, announced=("a", "a")),
        Harm.DOUBLED,
        "announced 2 times",
    ),
    "a callback with a wrong signature": (
        lambda e: replace(e, deliveries=(Delivery("a-1", "a", "done", valid=False),)),
        Harm.WRONG,
        "not signed by us",
    ),
    "no callback": (lambda e: replace(e, deliveries=()), Harm.LOST, "never called back"),
    "a callback that nobody asked for": (
        lambda e: replace(e, deliveries=(*e.deliveries, Delivery("b-1", "b", "done", valid=True))),
        Harm.WRONG,
        "nobody asked for",
    ),
    "two events for one end": (
        lambda e: replace(e, deliveries=(*e.deliveries, Delivery("a.2", "a", "done", valid=True))),
        Harm.DOUBLED,
        "2 different events",
    ),
    "a callback that says something else": (
        lambda e: replace(e, deliveries=(Delivery("a-1", "a", "failed", valid=True),)),
        Harm.WRONG,
        "was told failed: it is done",
    ),
    "a customer saw another end": (
        lambda e: replace(e, seen=(Seen("a", "failed"),)),
        Harm.WRONG,
        "saw it failed: it is done",
    ),
    "a customer got other bytes": (
        lambda e: replace(e, seen=(Seen("a", "done", "other"),)),
        Harm.PARTIAL,
        "downloaded other bytes",
    ),
}


def test_a_job_that_went_well_violates_nothing() -> None:
    assert judge(WELL) == []


def test_an_honest_failure_violates_nothing_and_is_counted() -> None:
    assert judge(FAILED) == []
    assert (honest_failures(WELL), honest_failures(FAILED)) == (0, 1)


@pytest.mark.parametrize("entries", [0, 1])
def test_a_failed_job_may_have_been_charged_once(entries: int) -> None:
    assert judge(replace(FAILED, entries=WELL.entries[:entries], files=WELL.files)) == []


def test_the_dead_letter_of_a_failed_job_is_explained() -> None:
    assert judge(replace(FAILED, messages=(Message("short.XQ", "m", "a", dead=True),))) == []


def test_a_failed_job_with_a_cut_off_file_is_partial() -> None:
    violations = judge(replace(FAILED, files={"a.csv.gz": StoredFile(40, "other")}))

    assert [violation.harm for violation in violations] == [Harm.PARTIAL]


def test_the_same_promise_may_be_given_again() -> None:
    assert judge(replace(WELL, promises=[*WELL.promises, *WELL.promises])) == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_violation_is_found(name: str) -> None:
    change, harm, words = CHANGES[name]

    found = judge(change(WELL))

    assert any(each.harm is harm and words in each.words for each in found), found


def test_harms_count_jobs_and_not_what_can_be_said_about_them() -> None:
    violations = [
        Violation(Harm.LOST, "a", "no file"),
        Violation(Harm.LOST, "a", "no entry"),
        Violation(Harm.LOST, "b", "no file"),
        Violation(Harm.STUCK, "", "an order"),
        Violation(Harm.STUCK, "", "another order"),
    ]

    counted = harms(violations)

    assert (counted[Harm.LOST], counted[Harm.STUCK], counted[Harm.DOUBLED]) == (2, 2, 0)
