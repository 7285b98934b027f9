"""The job store as the API sees it: accept jobs, and read how they are doing."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from types import TracebackType
from typing import NamedTuple, Self, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from offloop import telemetry
from reports.models import JobStatus, now
from reports.spec import ReportSpec
from workers import scripts
from workers.accept_metrics import ACCEPTED, REJECTED, Rejection
from workers.batching import Batcher
from workers.messages import build_report_message, check_dramatiq_version
from workers.queues import NAMESPACE, Queue, queue_key, route
from workers.records import (
    DELAYED_KEY,
    ENDED_KEY,
    FINISHED_CHANNEL,
    INDEX_KEY,
    OUTBOX_KEY,
    QueuedJob,
    finish_times_key,
    idempotency_key,
    job_from_record,
    record_key,
)
from workers.settings import TierSettings

#: Connections of one API process: one for notices of finished jobs, one for the batch of accepts
#: on its way, the rest for reads, which take a millisecond each.
MAX_CONNECTIONS = 32


#: Seconds to tell a refused client while it is not known how fast the queue drains.
UNKNOWN_DRAIN_S = 5

#: Seconds; what was finished before says nothing about how fast the queue drains now.
LATELY_S = 60.0

#: Seconds; longer than this is an outage, which may be over sooner.
LONGEST_RETRY_S = 120


class BrokerUnavailableError(Exception):
    """The broker did not answer within the deadline; nothing is known to have been accepted."""


class QueueFullError(Exception):
    """A queue holds as many jobs as it may.

    Attributes:
        retry_after_s: Seconds until there is likely to be room.
    """

    def __init__(self, queue: Queue, limit: int, retry_after_s: int) -> None:
        super().__init__(f"The queue {queue} holds {limit} jobs, which is its limit")
        self.retry_after_s = retry_after_s


class WrongStatusError(Exception):
    """A job cannot be changed in this way, as it is now.

    Attributes:
        status: What it is.
    """

    def __init__(self, job_id: str, status: JobStatus, wanted: Collection[JobStatus]) -> None:
        allowed = " or ".join(sorted(wanted))
        super().__init__(f"Job {job_id} is {status}; it would have to be {allowed}")
        self.status = status


class AlreadyBilledError(Exception):
    """A job cannot be cancelled any more, although nobody works on it at the moment."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id} was billed already, and will be finished soon")


class UnknownCursorError(Exception):
    """A page was asked for that begins after a job which is not remembered."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"There is no page after {cursor!r}: begin again without a cursor")


class KeyReusedError(Exception):
    """An idempotency key came with another request than the one that it stands for."""


@dataclass(frozen=True)
class _Order:
    """One job to accept, and what its customer sent with it."""

    job: QueuedJob
    spec: ReportSpec
    key: str | None
    callback_url: str | None
    #: The HTTP request that orders it. Not the sender's to look up: one sends for many.
    request_id: str | None

    def fingerprint(self) -> str:
        """Tell this order from others that come with the same key."""
        return sha256(f"{self.spec.model_dump_json()}\n{self.callback_url}".encode()).hexdigest()


class JobPage(NamedTuple):
    """Jobs, newest first, and the job after which the next page begins; None at the end."""

    jobs: list[QueuedJob]
    next: str | None


class JobStore:
    """Asynchronous access to the jobs. Use it as an async context manager.

    Raises:
        UntestedDramatiqError: On entering, if Dramatiq might read our messages in another way.
    """

    def __init__(self, settings: TierSettings) -> None:
        self.settings = settings
        # Blocking: with more requests than connections the rest wait for their turn. The usual
        # pool fails them, as if the broker were gone.
        pool = BlockingConnectionPool.from_url(
            settings.records_url,
            max_connections=MAX_CONNECTIONS,
            timeout=settings.broker_deadline_s,
            decode_responses=True,
            socket_timeout=settings.broker_deadline_s,
            socket_connect_timeout=settings.broker_deadline_s,
            # Accepting must not be repeated behind our back: a script that timed out may have run.
            retry=Retry(NoBackoff(), retries=0),
            # With them on, redis-py 8.1 takes a connection that the server closed for a good one:
            # after a restart of the broker each idle connection would fail one request.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self.redis = Redis.from_pool(pool)
        self._accept = self.redis.register_script(scripts.source("accept"))
        self._cancel = self.redis.register_script(scripts.source("ended", "cancel"))
        self._revive = self.redis.register_script(scripts.source("revive"))
        self._databases = (settings.broker_db, settings.records_db)
        self._fixed_arguments = (
            *self._databases,
            settings.queue_limit,
            settings.idempotency_ttl_s,
        )
        self._batches = Batcher(self._accept_batch)

    async def __aenter__(self) -> Self:
        check_dramatiq_version()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.redis.aclose()

    async def ping(self) -> None:
        """Ask whether the broker answers.

        Raises:
            BrokerUnavailableError: it does not, within the deadline.
        """
        try:
            await self.redis.ping()
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error

    async def enqueue(
        self,
        job_id: str,
        spec: ReportSpec,
        key: str | None = None,
        callback_url: str | None = None,
    ) -> QueuedJob:
        """Record a job and queue it, in one atomic and durable step.

        When this returns, the job survives the death of every process involved.

        Args:
            job_id: Of the new job.
            spec: What is ordered.
            key: The client's idempotency key. The same key with the same order gives the job that
                was accepted first, however often and from however many places it is sent; unless
                the tier knows no keys (`TierSettings`). The ledger has the key in any case.
            callback_url: Whom to tell that the job has come to an end.

        Raises:
            BrokerUnavailableError: the broker did not answer, so the job must not be promised.
            KeyReusedError: the key stands for a job with another order.
            QueueFullError: the queue may hold no more jobs.
        """
        queue = route(spec)
        job = QueuedJob(job_id=job_id, queue=queue, status=JobStatus.QUEUED, accepted_at=now())
        order = _Order(job, spec, key, callback_url, telemetry.current_request_id())
        try:
            outcome, *earlier = await self._batches.submit(order)
        except BrokerUnavailableError:
            REJECTED.labels(queue, Rejection.BROKER_UNAVAILABLE).inc()
            raise
        match outcome:
            case "conflict":
                REJECTED.labels(queue, Rejection.KEY_REUSED).inc()
                raise KeyReusedError
            case "full":
                REJECTED.labels(queue, Rejection.QUEUE_FULL).inc()
                wait_s = await self._seconds_for_a_place(queue)
                raise QueueFullError(queue, self.settings.queue_limit, wait_s)
            case "replayed":
                # The record outlives the key (`TierSettings`).
                return await self.find(earlier[0]) or job.model_copy(update={"job_id": earlier[0]})
            case _:
                ACCEPTED.labels(queue).inc()
                return job

    async def _accept_batch(self, orders: list[_Order]) -> list[list[str]]:
        args: list[str | int | bytes] = [*self._fixed_arguments]
        for order in orders:
            job, key = order.job, order.key if self.settings.idempotency_keys else None
            message = build_report_message(job.job_id, job.queue)
            args += (
                job.queue.value,
                queue_key(job.queue),
                message.options["redis_message_id"],
                message.encode(),
                job.accepted_at.isoformat(),
                order.spec.model_dump_json(),
                order.callback_url or "",
                "" if key is None else idempotency_key(key),
                "" if key is None else order.fingerprint(),
                order.key or job.job_id,
                order.request_id or "",
            )
        records = (record_key(order.job.job_id) for order in orders)
        try:
            answers = await self._accept(keys=[INDEX_KEY, *records], args=args)
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error
        return cast("list[list[str]]", answers)

    async def cancel(self, job_id: str) -> QueuedJob | None:
        """Cancel a job that nobody works on yet, and return it; None if there is none.

        Raises:
            WrongStatusError: it is being worked on, or finished.
            AlreadyBilledError: an attempt at it was about to finish it, and has billed it.
            BrokerUnavailableError: the broker did not answer.
        """
        arguments: list[str | int] = [
            *self._databases,
            f"{NAMESPACE}:",
            now().isoformat(),
            FINISHED_CHANNEL,
            self.settings.record_ttl_s,
        ]
        return await self._change(self._cancel, job_id, arguments, {JobStatus.QUEUED})

    async def revive(self, job_id: str) -> QueuedJob | None:
        """Give a job that failed or was cancelled new attempts, and return it; None if unknown.

        Raises:
            WrongStatusError: it did not fail, and was not cancelled.
            BrokerUnavailableError: the broker did not answer.
        """
        return await self._change(self._revive, job_id, [], {JobStatus.FAILED, JobStatus.CANCELLED})

    async def _change(
        self,
        script: AsyncScript,
        job_id: str,
        arguments: Sequence[str | int],
        wanted: Collection[JobStatus],
    ) -> QueuedJob | None:
        try:
            before = await script(
                keys=[record_key(job_id), DELAYED_KEY, ENDED_KEY, OUTBOX_KEY],
                args=list(arguments),
            )
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error
        if before is None:
            return None
        if before == "billed":
            raise AlreadyBilledError(job_id)
        if before not in wanted:
            raise WrongStatusError(job_id, JobStatus(before), wanted)
        return await self.find(job_id)

    async def page(self, limit: int, after: str | None = None) -> JobPage:
        """Return a page of jobs, newest first.

        Args:
            limit: How many at most; fewer where the records of some have just expired.
            after: Begin after this job.

        Raises:
            UnknownCursorError: that job is not remembered any more.
            BrokerUnavailableError: the broker did not answer.
        """
        try:
            first = 0
            if after is not None:
                rank = await self.redis.zrevrank(INDEX_KEY, after)
                if rank is None:
                    raise UnknownCursorError(after)
                first = cast("int", rank) + 1
            found = await self.redis.zrevrange(INDEX_KEY, first, first + limit - 1)
            ids = [str(job_id) for job_id in found]
            async with self.redis.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.hgetall(record_key(job_id))
                records = await pipe.execute()
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error
        read = zip(ids, records, strict=True)
        jobs = [job_from_record(job_id, record) for job_id, record in read if record]
        return JobPage(jobs, ids[-1] if len(ids) == limit else None)

    async def _seconds_for_a_place(self, queue: Queue) -> int:
        """Estimate from the jobs finished lately when the next one will be finished.

        Where fewer than two were, nothing is known, and a guess has to do.
        """
        try:
            moments = await self.redis.lrange(finish_times_key(queue), 0, -1)
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error
        # The server's clock and ours differ by less than it takes to matter here.
        lately = [at for at in map(float, moments) if time.time() - at < LATELY_S]
        if len(lately) < 2:  # noqa: PLR2004 - an interval has two ends
            return UNKNOWN_DRAIN_S
        between_s = (lately[0] - lately[-1]) / (len(lately) - 1)
        return min(max(ceil(between_s), 1), LONGEST_RETRY_S)

    async def find(self, job_id: str) -> QueuedJob | None:
        """Return the job, or None where there is none of this id.

        Raises:
            BrokerUnavailableError: the broker did not answer.
        """
        try:
            record = await self.redis.hgetall(record_key(job_id))
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error
        # The client decodes, which its types do not know.
        return job_from_record(job_id, cast("dict[str, str]", record)) if record else None
