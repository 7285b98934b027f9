"""Attempts at a job, on a real server: only the latest one may change anything."""

import asyncio
import json
from collections.abc import Callable

import pytest
from redis import Redis

from reports.models import JobStatus, Problem
from reports.spec import ReportResult, ReportSpec
from tests.shop import DAY, read_record
from workers import progress
from workers.attempts import AttemptStore, SupersededError
from workers.progress import Progress
from workers.records import FINISHED_CHANNEL, job_from_record, record_key
from workers.settings import TierSettings
from workers.store import JobStore

pytestmark = pytest.mark.medium

JOB_ID = "b" * 32
SPEC = ReportSpec.model_validate(DAY)
RESULT = ReportResult(rows=1, bytes=2, sha256="00" * 32, summary=())
OTHER_RESULT = RESULT.model_copy(update={"rows": 2})
PROBLEM = Problem(type="urn:test", title="It broke", status=500, detail="While testing")


@pytest.fixture
def attempts(tier: TierSettings) -> AttemptStore:
    """The job store of a worker, with one job accepted."""

    async def accept() -> None:
        async with JobStore(tier) as store:
            await store.accept(JOB_ID, SPEC)

    asyncio.run(accept())
    return AttemptStore(tier)


def record(records: Redis) -> dict[str, str]:
    return read_record(records, JOB_ID)


def test_a_claim_starts_an_attempt_with_what_was_ordered(
    attempts: AttemptStore, records: Redis
) -> None:
    accepted = record(records)

    attempt = attempts.claim(JOB_ID)

    assert attempt is not None
    assert (attempt.number, attempt.spec) == (1, SPEC)
    assert attempt.accepted_at == accepted["accepted_at"]
    job = job_from_record(JOB_ID, record(records))
    assert (job.status, job.attempt) == (JobStatus.RUNNING, 1)
    assert job.started_at is not None
    assert job.started_at >= job.accepted_at


def test_a_job_that_was_never_accepted_cannot_be_claimed(
    attempts: AttemptStore, records: Redis
) -> None:
    assert attempts.claim("c" * 32) is None
    assert len(records.keys("job:*")) == 1


@pytest.mark.parametrize("outcome", ["finish", "fail"])
def test_a_job_that_ended_cannot_be_claimed_again(
    attempts: AttemptStore, records: Redis, outcome: str
) -> None:
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    if outcome == "finish":
        attempts.finish(attempt, RESULT)
    else:
        attempts.fail(attempt, PROBLEM)
    before = record(records)

    assert attempts.claim(JOB_ID) is None
    assert record(records) == before


def test_an_attempt_that_was_superseded_changes_nothing(
    attempts: AttemptStore, records: Redis
) -> None:
    older, newer = attempts.claim(JOB_ID), attempts.claim(JOB_ID)
    assert older is not None
    assert newer is not None
    assert (older.number, newer.number) == (1, 2)
    before = record(records)

    changes: list[Callable[[], None]] = [
        lambda: attempts.progress(older, 0.5),
        lambda: attempts.finish(older, OTHER_RESULT),
        lambda: attempts.fail(older, PROBLEM),
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
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)
    before = record(records)

    with pytest.raises(SupersededError):
        attempts.finish(attempt, OTHER_RESULT)
    with pytest.raises(SupersededError):
        attempts.fail(attempt, PROBLEM)

    assert record(records) == before


def test_a_finished_job_is_done_with_its_result(attempts: AttemptStore, records: Redis) -> None:
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    job = job_from_record(JOB_ID, record(records))

    assert (job.status, job.progress, job.result, job.problem) == ("done", 1, RESULT, None)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.finished_at >= job.started_at


def test_a_failed_job_says_why(attempts: AttemptStore, records: Redis) -> None:
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    attempts.fail(attempt, PROBLEM)

    job = job_from_record(JOB_ID, record(records))

    assert (job.status, job.result, job.problem) == ("failed", None, PROBLEM)
    assert job.finished_at is not None


def test_a_new_attempt_begins_without_the_progress_of_the_last(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    attempts.progress(attempt, 0.75)
    assert record(records)["progress"] == "0.750"

    attempts.claim(JOB_ID)

    assert job_from_record(JOB_ID, record(records)).progress == 0


@pytest.mark.parametrize("outcome", ["finish", "fail"])
def test_the_end_of_a_job_is_announced_and_starts_its_time_to_live_again(
    attempts: AttemptStore, tier: TierSettings, records: Redis, outcome: str
) -> None:
    attempt = attempts.claim(JOB_ID)
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


def test_progress_is_the_share_of_lines_written(
    attempts: AttemptStore, records: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0)
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None

    Progress(attempts, attempt, total=8)(2)

    assert job_from_record(JOB_ID, record(records)).progress == 0.25


def test_progress_is_not_noted_for_every_line(
    attempts: AttemptStore, records: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 3600)
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None

    Progress(attempts, attempt, total=8)(2)

    assert job_from_record(JOB_ID, record(records)).progress == 0


def test_an_attempt_learns_from_its_progress_that_it_was_superseded(
    attempts: AttemptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0)
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    attempts.claim(JOB_ID)

    with pytest.raises(SupersededError):
        Progress(attempts, attempt, total=8)(2)


def test_a_job_reads_back_as_the_json_of_the_contract(
    attempts: AttemptStore, records: Redis
) -> None:
    attempt = attempts.claim(JOB_ID)
    assert attempt is not None
    attempts.finish(attempt, RESULT)

    job = json.loads(job_from_record(JOB_ID, record(records)).model_dump_json())

    assert job["result"] == RESULT.model_dump(mode="json")
    assert job["started_at"].endswith("Z")
