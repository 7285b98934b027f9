"""Listens to what is announced: each job that is finished, once."""

import contextlib
import threading
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from workers.records import FINISHED_CHANNEL

_LOOK_S = 0.1


class Notices:
    """Notes announcements while the block runs. While the broker is away, some are missed.

    Attributes:
        announced: Ids of jobs, as often as they were announced.
    """

    def __init__(self, records: Redis) -> None:
        self._records = records
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self.announced: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._over.wait(_LOOK_S):
            with (
                contextlib.suppress(RedisError),
                self._records.pubsub(  # type: ignore[no-untyped-call]
                    ignore_subscribe_messages=True
                ) as channel,
            ):
                channel.subscribe(FINISHED_CHANNEL)
                while not self._over.is_set():
                    notice = channel.get_message(timeout=_LOOK_S)
                    if notice is not None:
                        self.announced.append(notice["data"].decode())
