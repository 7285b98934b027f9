"""Each invariant is violated once, on made-up evidence."""

import json
from functools import partial

import pytest

from tests.chaos.invariants import (
    Content,
    Delivery,
    Entry,
    Evidence,
    Expected,
    Harm,
    Message,
    Promise,
    Seen,
    judge,
)

WHOLE, CUT_OFF = Content(100, "right"), Content(40, "other")
PROMISE = Promise("a", "key-a", "month", callback=False)
ENTRY = Entry("a", "key-a", 1, 12)
DELIVERY = Delivery("a-1", "a", "done", valid=True)
RESULT = json.dumps({"bytes": WHOLE.size, "sha256": WHOLE.sha256})
DONE = {"status": "done", "endings": "1", "result": RESULT}
PROBLEM = json.dumps({"type": "urn:offloop:problem:too-many-attempts"})
GIVEN_UP = {"status": "failed", "endings": "1", "problem": PROBLEM}
MESSAGE = Message("short.msgs", "m", "a", dead=False)
LETTER = MESSAGE._replace(dead=True)

#: Evidence of a job that is done, or of one whose customer asked for a callback as well, or of one
#: whose slot was killed at every attempt.
well = partial(
    Evidence,
    expected={"month": Expected(".csv.gz", WHOLE, cents=12)},
    promises=(PROMISE, PROMISE),
    announced=("a",),
    records={"a": DONE},
    entries=(ENTRY,),
    files={"a.csv.gz": WHOLE},
    waiting={"delayed": ()},
)
called = partial(well, promises=(PROMISE._replace(callback=True),), deliveries=(DELIVERY,))
failed = partial(well, records={"a": GIVEN_UP}, entries=(), files={})

FINE = {
    "done": well(),
    "called back twice": called(deliveries=(DELIVERY, DELIVERY)),
    "followed": well(seen=(Seen("a", "running"), Seen("a", "done", WHOLE.sha256))),
    "failed": failed(),
    "failed after it was billed": failed(entries=(ENTRY,), files={"a.csv.gz": WHOLE}),
    "failed with a dead letter": failed(messages=(LETTER,)),
}

BROKEN = {
    Harm.LOST: {
        "no record": well(records={}),
        "cancelled": well(records={"a": {"status": "cancelled"}}),
        "not billed": well(entries=()),
        "no file": well(files={}),
        "not called back": called(deliveries=()),
    },
    Harm.DOUBLED: {
        "two jobs for a key": well(
            promises=(PROMISE, PROMISE._replace(job_id="b")), records={"a": DONE, "b": GIVEN_UP}
        ),
        "a record without a promise": well(records={"a": DONE, "b": GIVEN_UP}),
        "ended twice": well(records={"a": {**DONE, "endings": "2"}}),
        "billed twice": well(entries=(ENTRY, ENTRY._replace(attempt=2))),
        "billed without a promise": well(entries=(ENTRY, ENTRY._replace(job_id="b"))),
        "announced twice": well(announced=("a", "a")),
        "two events": called(deliveries=(DELIVERY, DELIVERY._replace(event_id="a-2"))),
    },
    Harm.PARTIAL: {
        "a record of another file": well(records={"a": {**DONE, "result": '{"bytes": 7}'}}),
        "a file that is cut off": well(files={"a.csv.gz": CUT_OFF}),
        "a file of a failed job that is cut off": failed(files={"a.csv.gz": CUT_OFF}),
        "a temporary file": well(files={"a.csv.gz": WHOLE, ".a.csv.gz.0.part": CUT_OFF}),
        "a second file": well(files={"a.csv.gz": WHOLE, "a.parquet": WHOLE}),
        "other bytes were downloaded": well(seen=(Seen("a", "done", CUT_OFF.sha256),)),
    },
    Harm.STUCK: {
        "no answer": well(unanswered=("key-x",)),
        "a job that never ends": well(records={"a": {"status": "running"}}),
        "a message of a done job": well(messages=(MESSAGE,)),
        "a message of a failed job": failed(messages=(MESSAGE,)),
        "a dead letter of a done job": well(messages=(LETTER,)),
        "a callback in the outbox": well(waiting={"outbox": ("a-1",)}),
    },
    Harm.WRONG: {
        "an answer that no customer should get": well(surprises=("500",)),
        "failed without a reason": well(records={"a": {"status": "failed"}}),
        "failed for another reason": failed(
            records={"a": {**GIVEN_UP, "problem": '{"type": "other"}'}}
        ),
        "a wrong price": well(entries=(ENTRY._replace(cents=13),)),
        "a wrong reference": well(entries=(ENTRY._replace(request_ref="a"),)),
        "a callback that no customer asked for": well(deliveries=(DELIVERY,)),
        "a callback with a wrong signature": called(deliveries=(DELIVERY._replace(valid=False),)),
        "a callback with a wrong status": called(deliveries=(DELIVERY._replace(status="failed"),)),
        "another end was shown": well(seen=(Seen("a", "failed"),)),
    },
}


@pytest.mark.parametrize("name", FINE)
def test_a_kept_promise_is_no_violation(name: str) -> None:
    assert judge(FINE[name]) == []


@pytest.mark.parametrize(("harm", "name"), [(harm, name) for harm in Harm for name in BROKEN[harm]])
def test_a_broken_promise_is_one_violation(harm: Harm, name: str) -> None:
    assert [violation.harm for violation in judge(BROKEN[harm][name])] == [harm]
