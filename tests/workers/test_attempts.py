"""Attempts at a job, on a real server: only the latest one may change anything."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import cast

import pytest
from redis import Redis

from reports.models import JobStatus, Problem
from reports.spec import ReportResult, ReportSpec
from tests.shop import DAY, read_record
from workers.attempts import AttemptStore, SupersededError
from workers.progress import Progress
from workers.queues import Queue
from workers.records import (
    FINISHED_CHANNEL,
    OPEN_KEY,
    OUTBOX_KEY,
    RETRIES_KEY,
    event_key,
    job_from_record,
    record_key,
)
from workers.settings import TierSettings
from workers.store import JobStore

pytestmark = pytest.mark.medium

JOB_ID = "b" * 32
MESSAGE_ID = "a-message"
SPEC = ReportSpec.model_validate(DAY)
RESULT = ReportResult(rows=1, bytes=2, sha256="00" * 32, summary=())
OTHER_RESULT = RESULT.model_copy(update={"rows": 2})
PROBLEM = Problem(type="urn:test", title="It broke", status=500, detail="While testing")


def accepted(tier: TierSettings, callback_url: str | None = None) -> AttemptStore:
    """The job store of a worker, with one job accepted."""

    async def accept() -> None:
        async with JobStore(tier) as store:
            await store.accept(JOB_ID, SPEC, callback_url=callback_url)

    asyncio.run(accept())
    return AttemptStore(tier)


@pytest.fixture
def attempts(tier: TierSettings) -> AttemptStore:
    return accepted(tier)


def record(records: Redis) -> dict[str, str]:
    return read_record(records, JOB_ID)


def raw_hash(records: Redis, key: str) -> dict[bytes, bytes]:
    return cast("dict[bytes, bytes]", records.hgetall(key))


def due_s(records: Redis) -> float:
    """When the job is due again (Unix time)."""
    moment = records.zscore(RETRIES_KEY, JOB_ID)
    assert moment is not None
    return moment


def test_a_claim_starts_an_attempt_with_what_was_ordered(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)

    assert attempt is not None
    assert (attempt.number, attempt.spec, attempt.queue) == (1, SPEC, Queue.SHORT)
    assert attempt.request_ref == JOB_ID
    assert record(records)["message_id"] == MESSAGE_ID
    job = job_from_record(JOB_ID, record(records))
    assert (job.status, job.attempt) == (JobStatus.RUNNING, 1)
    assert job.started_at is not None
    assert job.started_at >= job.accepted_at


def test_a_job_that_was_never_accepted_cannot_be_claimed(
    attempts: AttemptStore, records: Redis
) -> None:
    assert attempts.claim("c" * 32, MESSAGE_ID) is None
    assert len(records.keys("job:*")) == 1


@pytest.mark.parametrize("outcome", ["finish", "fail"])
def test_a_job_that_ended_cannot_be_claimed_again(
    attempts: AttemptStore, records: Redis, outcome: str
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    if outcome == "finish":
        attempts.finish(attempt, RESULT)
    else:
        attempts.fail(attempt, PROBLEM)
    before = record(records)

    assert attempts.claim(JOB_ID, MESSAGE_ID) is None
    assert record(records) == before


def test_an_attempt_that_was_superseded_changes_nothing(
    attempts: AttemptStore, records: Redis
) -> None:
    older, newer = attempts.claim(JOB_ID, MESSAGE_ID), attempts.claim(JOB_ID, MESSAGE_ID)
    assert older is not None
    assert newer is not None
    assert (older.number, newer.number) == (1, 2)
    before = record(records)

    changes: list[Callable[[], None]] = [
        lambda: attempts.progress(older, 0.5),
        lambda: attempts.finish(older, OTHER_RESULT),
        lambda: attempts.fail(older, PROBLEM),
        lambda: attempts.put_off(older, 1),
        lambda: attempts.hand_back(older),
    ]
    for change in changes:
        with pytest.raises(SupersededError, match=rf"{JOB_ID}: attempt 1 "):
            change()
    assert record(records) == before

    attempts.finish(newer, RESULT)
    assert job_from_record(JOB_ID, record(records)).result == RESULT


def test_a_late_attempt_cannot_change_a_job_that_is_done(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)
    before = record(records)

    with pytest.raises(SupersededError):
        attempts.finish(attempt, OTHER_RESULT)
    with pytest.raises(SupersededError):
        attempts.fail(attempt, PROBLEM)

    assert record(records) == before


def test_a_finished_job_is_done_with_its_result(attempts: AttemptStore, records: Redis) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    job = job_from_record(JOB_ID, record(records))

    assert (job.status, job.progress, job.result, job.problem) == ("done", 1, RESULT, None)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.finished_at >= job.started_at


def test_a_failed_job_says_why(attempts: AttemptStore, records: Redis) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.fail(attempt, PROBLEM)

    job = job_from_record(JOB_ID, record(records))

    assert (job.status, job.result, job.problem) == ("failed", None, PROBLEM)
    assert job.finished_at is not None


def test_a_new_attempt_begins_without_the_progress_of_the_last(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.progress(attempt, 0.75)
    assert record(records)["progress"] == "0.750"

    attempts.claim(JOB_ID, MESSAGE_ID)

    assert job_from_record(JOB_ID, record(records)).progress == 0


@pytest.mark.parametrize("outcome", ["finish", "fail"])
def test_the_end_of_a_job_is_announced_and_starts_its_time_to_live_again(
    attempts: AttemptStore, tier: TierSettings, records: Redis, outcome: str
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    records.expire(record_key(JOB_ID), 100)
    with records.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(FINISHED_CHANNEL)
        assert channel.get_message(timeout=5)["type"] == "subscribe"

        if outcome == "finish":
            attempts.finish(attempt, RESULT)
        else:
            attempts.fail(attempt, PROBLEM)

        assert channel.get_message(timeout=5)["data"].decode() == JOB_ID
    assert 100 < records.ttl(record_key(JOB_ID)) <= tier.record_ttl_s


def test_progress_is_the_share_of_lines_written(attempts: AttemptStore, records: Redis) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None

    Progress(attempts, attempt, total=8)(2)

    assert job_from_record(JOB_ID, record(records)).progress == 0.25


def test_an_attempt_learns_from_its_progress_that_it_was_superseded(
    attempts: AttemptStore,
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.claim(JOB_ID, MESSAGE_ID)

    with pytest.raises(SupersededError):
        Progress(attempts, attempt, total=8)(2)


def test_a_job_reads_back_as_the_json_of_the_contract(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    job = json.loads(job_from_record(JOB_ID, record(records)).model_dump_json())

    assert job["result"] == RESULT.model_dump(mode="json")
    assert job["started_at"].endswith("Z")


def test_a_job_that_is_put_off_waits_and_counts_the_attempt(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.put_off(attempt, 60)

    assert job_from_record(JOB_ID, record(records)).status == JobStatus.QUEUED
    assert due_s(records) > time.time()
    again = attempts.claim(JOB_ID, MESSAGE_ID)
    assert again is not None
    assert (again.number, again.counted) == (2, 2)


def test_a_job_that_is_handed_back_is_due_and_does_not_count_the_attempt(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.hand_back(attempt)

    assert due_s(records) <= time.time()
    again = attempts.claim(JOB_ID, MESSAGE_ID)
    assert again is not None
    assert (again.number, again.counted) == (2, 1)


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_the_end_of_a_job_puts_its_callback_into_the_outbox_and_only_once(
    tier: TierSettings, records: Redis, outcome: str
) -> None:
    attempts = accepted(tier, callback_url="http://example.test/hook")
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    assert not records.exists(OUTBOX_KEY)

    if outcome == "done":
        attempts.finish(attempt, RESULT)
    else:
        attempts.fail(attempt, PROBLEM)
    with pytest.raises(SupersededError):
        attempts.finish(attempt, RESULT)

    event_id = f"{JOB_ID}-1"
    assert records.zrange(OUTBOX_KEY, 0, -1) == [event_id.encode()]
    finished_at = record(records)["finished_at"]
    assert {k.decode(): v.decode() for k, v in raw_hash(records, event_key(event_id)).items()} == {
        "type": f"report.{outcome}",
        "job_id": JOB_ID,
        "status": outcome,
        "attempt": "1",
        "occurred_at": finished_at,
        "url": "http://example.test/hook",
        "tries": "0",
    }


def test_a_job_that_nobody_asked_to_be_told_of_has_no_callback(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    assert not records.exists(OUTBOX_KEY)


def test_a_job_is_open_until_it_ends(attempts: AttemptStore, records: Redis) -> None:
    assert records.smembers(OPEN_KEY) == {JOB_ID.encode()}
    attempt = attempts.claim(JOB_ID, MESSAGE_ID)
    assert attempt is not None
    assert records.smembers(OPEN_KEY) == {JOB_ID.encode()}

    attempts.finish(attempt, RESULT)

    assert not records.exists(OPEN_KEY)
