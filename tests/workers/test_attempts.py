"""Attempts at a job, on a real server: only the latest one may change anything."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from redis import Redis

from reports.models import JobStatus, Problem
from reports.spec import ReportResult, ReportSpec
from tests.shop import DAY, hold, read_record
from workers.attempts import Attempt, AttemptStore, Delivery, SupersededError
from workers.progress import Progress
from workers.queues import Queue, held_key
from workers.records import (
    DELAYED_KEY,
    ENDED_KEY,
    FINISHED_CHANNEL,
    OUTBOX_KEY,
    event_key,
    job_from_record,
    record_key,
)
from workers.settings import TierSettings
from workers.store import AlreadyBilledError, JobStore

pytestmark = pytest.mark.medium

JOB_ID = "b" * 32
SPEC = ReportSpec.model_validate(DAY)
RESULT = ReportResult(rows=1, bytes=2, sha256="00" * 32, summary=())
OTHER_RESULT = RESULT.model_copy(update={"rows": 2})
PROBLEM = Problem(type="urn:test", title="It broke", status=500, detail="While testing")


def with_store(tier: TierSettings, use: Callable[[JobStore], Awaitable[object]]) -> None:
    async def run() -> None:
        async with JobStore(tier) as store:
            await use(store)

    asyncio.run(run())


def accepted(tier: TierSettings, callback_url: str | None = None) -> AttemptStore:
    """The job store of a worker, with one job accepted."""

    with_store(tier, lambda store: store.enqueue(JOB_ID, SPEC, callback_url=callback_url))
    return AttemptStore(tier)


@pytest.fixture
def attempts(tier: TierSettings) -> AttemptStore:
    return accepted(tier)


def claim(attempts: AttemptStore, tier: TierSettings) -> Attempt | None:
    """As a slot that holds the job's message."""
    return attempts.claim(JOB_ID, hold(tier, JOB_ID))


def record(records: Redis) -> dict[str, str]:
    return read_record(records, JOB_ID)


def raw_hash(records: Redis, key: str) -> dict[bytes, bytes]:
    return cast("dict[bytes, bytes]", records.hgetall(key))


def due_s(records: Redis) -> float:
    """When the job is due again (Unix time)."""
    moment = records.zscore(DELAYED_KEY, JOB_ID)
    assert moment is not None
    return moment


def test_a_claim_starts_an_attempt_with_what_was_ordered(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)

    assert attempt is not None
    assert (attempt.number, attempt.spec, attempt.queue) == (1, SPEC, Queue.SHORT)
    assert attempt.request_ref == JOB_ID
    job = job_from_record(JOB_ID, record(records))
    assert (job.status, job.attempt) == (JobStatus.RUNNING, 1)
    assert job.started_at is not None
    assert job.started_at >= job.accepted_at


def test_a_job_that_was_never_accepted_cannot_be_claimed(
    attempts: AttemptStore, records: Redis
) -> None:
    assert attempts.claim("c" * 32, Delivery("a-message", "a-slot")) is None
    assert len(records.keys("job:*")) == 1


@pytest.mark.parametrize("outcome", ["finish", "fail"])
def test_a_job_that_ended_cannot_be_claimed_again(
    attempts: AttemptStore, tier: TierSettings, records: Redis, outcome: str
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    if outcome == "finish":
        attempts.finish(attempt, RESULT)
    else:
        attempts.fail(attempt, PROBLEM)
    before = record(records)

    assert claim(attempts, tier) is None
    assert record(records) == before


def test_an_attempt_that_was_superseded_changes_nothing(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    older, newer = claim(attempts, tier), claim(attempts, tier)
    assert older is not None
    assert newer is not None
    assert (older.number, newer.number) == (1, 2)
    before = record(records)

    changes: list[Callable[[], None]] = [
        lambda: attempts.progress(older, 0.5),
        lambda: attempts.begin_billing(older),
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
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.finish(attempt, RESULT)
    before = record(records)

    with pytest.raises(SupersededError):
        attempts.finish(attempt, OTHER_RESULT)
    with pytest.raises(SupersededError):
        attempts.fail(attempt, PROBLEM)

    assert record(records) == before


def test_a_finished_job_is_done_with_its_result(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    job = job_from_record(JOB_ID, record(records))

    assert (job.status, job.progress, job.result, job.problem) == ("done", 1, RESULT, None)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.finished_at >= job.started_at


def test_a_failed_job_says_why(attempts: AttemptStore, tier: TierSettings, records: Redis) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.fail(attempt, PROBLEM)

    job = job_from_record(JOB_ID, record(records))

    assert (job.status, job.result, job.problem) == ("failed", None, PROBLEM)
    assert job.finished_at is not None


def test_a_new_attempt_begins_without_the_progress_of_the_last(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.progress(attempt, 0.75)
    assert record(records)["progress"] == "0.750"

    claim(attempts, tier)

    assert job_from_record(JOB_ID, record(records)).progress == 0


@pytest.mark.parametrize("outcome", ["finish", "fail"])
def test_the_end_of_a_job_is_announced_and_starts_its_time_to_live(
    attempts: AttemptStore, tier: TierSettings, records: Redis, outcome: str
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    with records.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(FINISHED_CHANNEL)
        assert channel.get_message(timeout=5)["type"] == "subscribe"

        if outcome == "finish":
            attempts.finish(attempt, RESULT)
        else:
            attempts.fail(attempt, PROBLEM)

        assert channel.get_message(timeout=5)["data"].decode() == JOB_ID
    assert 0 < records.ttl(record_key(JOB_ID)) <= tier.record_ttl_s


def test_progress_is_the_share_of_lines_written(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None

    Progress(attempts, attempt, total=8)(2)

    assert job_from_record(JOB_ID, record(records)).progress == 0.25


def test_an_attempt_learns_from_its_progress_that_it_was_superseded(
    attempts: AttemptStore,
    tier: TierSettings,
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    claim(attempts, tier)

    with pytest.raises(SupersededError):
        Progress(attempts, attempt, total=8)(2)


def test_a_job_reads_back_as_the_json_of_the_contract(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    job = json.loads(job_from_record(JOB_ID, record(records)).model_dump_json())

    assert job["result"] == RESULT.model_dump(mode="json")
    assert job["started_at"].endswith("Z")


def test_a_job_that_is_put_off_waits_and_counts_the_attempt(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.put_off(attempt, 60)

    assert job_from_record(JOB_ID, record(records)).status == JobStatus.QUEUED
    assert due_s(records) > time.time()
    again = claim(attempts, tier)
    assert again is not None
    assert (again.number, again.counted) == (2, 2)


def test_a_job_that_is_handed_back_is_due_and_does_not_count_the_attempt(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.hand_back(attempt)

    assert due_s(records) <= time.time()
    again = claim(attempts, tier)
    assert again is not None
    assert (again.number, again.counted) == (2, 1)


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_the_end_of_a_job_puts_its_callback_into_the_outbox_and_only_once(
    tier: TierSettings, records: Redis, outcome: str
) -> None:
    attempts = accepted(tier, callback_url="http://example.test/hook")
    attempt = claim(attempts, tier)
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
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    assert not records.exists(OUTBOX_KEY)


def test_a_job_is_open_until_it_ends(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    assert records.smembers("open:short") == {JOB_ID.encode()}
    attempt = claim(attempts, tier)
    assert attempt is not None
    assert records.smembers("open:short") == {JOB_ID.encode()}

    attempts.finish(attempt, RESULT)

    assert not records.exists("open:short")


def test_a_slot_that_holds_the_message_no_longer_cannot_claim_the_job(
    attempts: AttemptStore, tier: TierSettings, records: Redis, queues: Redis
) -> None:
    """As one that was frozen for so long that its message was given to another."""
    stale = hold(tier, JOB_ID, slot="frozen")
    queues.delete(held_key("frozen", "short"))
    newer = claim(attempts, tier)
    before = record(records)

    assert attempts.claim(JOB_ID, stale) is None
    assert newer is not None
    assert record(records) == before


def test_a_claim_takes_a_job_from_those_that_are_delayed(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    """Or it would be queued again while it runs."""
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.put_off(attempt, 60)

    assert claim(attempts, tier) is not None
    assert not records.exists(DELAYED_KEY)


def test_a_record_lives_for_ever_until_its_job_has_come_to_its_end(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    assert records.ttl(record_key(JOB_ID)) == -1

    attempts.fail(attempt, PROBLEM)
    assert 0 < records.ttl(record_key(JOB_ID)) <= tier.record_ttl_s

    with_store(tier, lambda store: store.revive(JOB_ID))
    assert records.ttl(record_key(JOB_ID)) == -1
    assert not records.exists(ENDED_KEY)


def test_a_job_that_was_billed_cannot_be_cancelled_while_it_waits_for_another_attempt(
    attempts: AttemptStore, tier: TierSettings, records: Redis
) -> None:
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.begin_billing(attempt)
    attempts.put_off(attempt, 60)

    with pytest.raises(AlreadyBilledError, match=JOB_ID):
        with_store(tier, lambda store: store.cancel(JOB_ID))
    assert record(records)["status"] == "queued"


def test_every_end_of_a_job_is_an_event_of_its_own(tier: TierSettings, records: Redis) -> None:
    attempts = accepted(tier, callback_url="http://example.test/hook")
    attempt = claim(attempts, tier)
    assert attempt is not None
    attempts.fail(attempt, PROBLEM)
    with_store(tier, lambda store: store.revive(JOB_ID))
    with_store(tier, lambda store: store.cancel(JOB_ID))

    assert records.zrange(OUTBOX_KEY, 0, -1) == [f"{JOB_ID}-{n}".encode() for n in (1, 2)]
