"""`Prefer: wait=N` (RFC 7240): hold a request until its job is finished, without polling Redis."""

import asyncio
import logging
import re
from collections import defaultdict
from contextlib import suppress
from types import TracebackType
from typing import Annotated, Self

from fastapi import Depends, Header
from redis.exceptions import RedisError

from workers.records import FINISHED_CHANNEL, QueuedJob
from workers.store import JobStore

_log = logging.getLogger(__name__)

#: Seconds a request may be held at most; proxies commonly cut connections after 60.
MAX_WAIT_S = 30.0

#: Seconds after which a waiting request reads the record anyway, should a notice be lost.
RECHECK_S = 1.0

#: Seconds after which a listener that did not end is told so again.
RECANCEL_S = 0.1

#: Seconds to listen in one go. Without a limit the client's own socket timeout would end it.
IDLE_S = 60.0

_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE | re.ASCII)


def requested_wait_s(prefer: str) -> float:
    """Return the seconds that a ``Prefer`` header asks to wait for; 0 where it does not.

    A preference that cannot be understood is ignored, as RFC 7240 demands.
    """
    match = _WAIT.search(prefer)
    return min(float(match.group(1)), MAX_WAIT_S) if match else 0.0


async def _preferred_wait_s(prefer: Annotated[str, Header()] = "") -> float:
    return requested_wait_s(prefer)


PreferredWait = Annotated[float, Depends(_preferred_wait_s)]


class FinishedJobs:
    """One subscription to the notices of finished jobs, shared by all waiting requests."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(self._listen(), name="finished-jobs")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Again until it has ended: while it subscribes, the client may swallow a cancellation.
        while self._listener is not None and not self._listener.done():
            self._listener.cancel()
            await asyncio.wait([self._listener], timeout=RECANCEL_S)

    async def wait(self, job_id: str, seconds: float) -> QueuedJob | None:
        """Return the job once it is finished, or as it is after ``seconds``; None if unknown.

        Raises:
            BrokerUnavailableError: the broker did not answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        finished = asyncio.Event()
        # Listen first and read afterwards, or a notice in between would be missed.
        self._waiting[job_id].add(finished)
        try:
            while True:
                finished.clear()
                job = await self._store.find(job_id)
                left = deadline - loop.time()
                if job is None or job.status.final or left <= 0:
                    return job
                with suppress(TimeoutError):
                    await asyncio.wait_for(finished.wait(), min(left, RECHECK_S))
        finally:
            self._waiting[job_id].discard(finished)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._store.redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(FINISHED_CHANNEL)
                    while True:
                        notice = await channel.get_message(timeout=IDLE_S)
                        for waiting in self._waiting.get(notice["data"] if notice else "", ()):
                            waiting.set()
            except RedisError as error:
                _log.warning("no notices of finished jobs, subscribing again: %s", error)
                await asyncio.sleep(RECHECK_S)
