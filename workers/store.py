"""The job store as the API sees it: accept jobs, and read how they are doing."""

from types import TracebackType
from typing import Self, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from reports.models import Job, JobStatus, now
from reports.spec import ReportSpec
from workers import scripts
from workers.batching import Batcher
from workers.messages import build_report_message, check_dramatiq_version
from workers.queues import NAMESPACE, Queue
from workers.records import job_from_record, record_key
from workers.settings import TierSettings

#: Connections of one API process: one for notices of finished jobs, one for the batch of accepts
#: on its way, the rest for reads, which take a millisecond each.
MAX_CONNECTIONS = 32


class BrokerUnavailableError(Exception):
    """The broker did not answer within the deadline; nothing is known to have been accepted."""


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
        self._fixed_arguments = (
            settings.broker_db,
            settings.records_db,
            settings.record_ttl_s,
            f"{NAMESPACE}:{Queue.REPORTS}",
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

    async def accept(self, job_id: str, spec: ReportSpec) -> Job:
        """Record a job and queue it, in one atomic and durable step.

        When this returns, the job survives the death of every process involved.

        Raises:
            BrokerUnavailableError: the broker did not answer, so the job must not be promised.
        """
        job = Job(job_id=job_id, status=JobStatus.QUEUED, accepted_at=now())
        await self._batches.submit((job, spec))
        return job

    async def _accept_batch(self, batch: list[tuple[Job, ReportSpec]]) -> None:
        args: list[str | int | bytes] = [*self._fixed_arguments]
        for job, spec in batch:
            message = build_report_message(job.job_id)
            args += (
                message.options["redis_message_id"],
                message.encode(),
                job.accepted_at.isoformat(),
                spec.model_dump_json(),
            )
        try:
            await self._accept(keys=[record_key(job.job_id) for job, _ in batch], args=args)
        except RedisError as error:
            raise BrokerUnavailableError(str(error)) from error

    async def find(self, job_id: str) -> Job | None:
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
