"""Deliver callbacks from the outbox: at least once each, and one receiver does not delay another.

The outbox is a set of events by the moment at which they are due. Whoever delivers one leases it
first: it is put off for longer than a delivery can take. So an event stays in the outbox until its
receiver has acknowledged it, and whoever is killed in between only delays it.
"""

import asyncio
import logging
import threading
from collections import Counter as Multiset
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import prometheus_client
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from workers import scripts
from workers.backoff import backoff_s
from workers.housekeeping.webhooks import DeliveryError, RefusedError, Webhooks, event_from_fields
from workers.records import GIVEN_UP_KEY, OUTBOX_KEY, event_key
from workers.settings import TierSettings

#: Events that are remembered after they were given up.
GIVEN_UP_KEPT = 1000

#: Deliveries at once, and to one receiver: fewer than eight receivers that hang delay nobody, and
#: more of them nobody by more than the time limit of a delivery at a time.
AT_ONCE = 32
PER_RECEIVER = 4

#: Seconds; the longest pause between two tries, whoever asks for it.
LONGEST_PAUSE_S = 3600.0

#: Events that are looked at in one step; the broker does nothing else meanwhile.
_PAGE = 100

CALLBACKS = prometheus_client.Counter(
    "offloop_callbacks", "Tries at delivering callbacks, by what came of them.", ["outcome"]
)
for _outcome in ("delivered", "retried", "given_up"):
    CALLBACKS.labels(_outcome)

_log = logging.getLogger(__name__)

#: Of a line in the log.
Fields = dict[str, str | int]


class Outbox:
    """Delivers what is due, on an event loop in a thread of its own. Run it in any number."""

    def __init__(self, settings: TierSettings) -> None:
        self._settings = settings
        deadline_s = settings.broker_deadline_s
        self._redis = Redis.from_url(
            settings.records_url,
            decode_responses=True,
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
            # What was delivered is worth some patience: else it would be delivered again. Every
            # step may be repeated; a lease that nobody heard of runs out.
            retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), retries=3),
            # With them on, redis-py 8.1 takes a connection that the server closed for a good one.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._lease = self._redis.register_script(scripts.source("lease_event"))
        self._drop = self._redis.register_script(scripts.source("drop_event"))
        self._postpone = self._redis.register_script(scripts.source("postpone_event"))
        self._give_up = self._redis.register_script(scripts.source("give_up_event"))
        # The end of one delivery and the steps that note it fit twice.
        self._lease_s = 2 * (settings.callback_timeout_s + deadline_s)
        self._webhooks = Webhooks(settings)
        self._receivers: dict[asyncio.Task[None], str] = {}
        self._closing = False
        self._everywhere = False
        self._asked = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outbox", daemon=True)
        self._thread.start()
        self._leasing = asyncio.run_coroutine_threadsafe(self._keep_leasing(), self._loop)

    def run(self) -> None:
        """Ask for everything that is due to be delivered; returns at once."""
        if self._leasing.done():  # it never ends but by a mistake of ours
            self._leasing.result()
        self._loop.call_soon_threadsafe(partial(self._ask, everywhere=True))

    def close(self, grace_s: float) -> None:
        """Take nothing more on, and end deliveries that have not ended within `grace_s`.

        Those are tried again when their leases are over.
        """
        asyncio.run_coroutine_threadsafe(self._close(grace_s), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self, grace_s: float) -> None:
        # Told, not cancelled: a cancellation that meets the broker's answer is lost in Python 3.11
        # (`asyncio.wait_for`), and a lease would be taken that nobody knows of.
        self._closing = True
        self._asked.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.wait([asyncio.wrap_future(self._leasing)])
                if self._receivers:
                    await asyncio.wait(self._receivers)
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._webhooks.close()
        await self._redis.aclose()

    def _ask(self, *, everywhere: bool) -> None:
        self._everywhere = self._everywhere or everywhere
        self._asked.set()

    async def _keep_leasing(self) -> None:
        place = 0
        while not self._closing:
            await self._asked.wait()
            self._asked.clear()
            everywhere, self._everywhere = self._everywhere, False
            try:
                place = await self._start_deliveries(place, everywhere=everywhere)
            except RedisError as error:
                _log.warning("the outbox cannot be read, to be tried again soon: %s", error)

    async def _start_deliveries(self, place: int, *, everywhere: bool) -> int:
        """Lease what is due while there is room, and start to deliver it.

        Looking through all that waits for a slow receiver whenever a fast one has answered would
        keep the broker busy: where the last event was found there are more for receivers with room.

        Args:
            place: Where to look, as the number of due events before it.
            everywhere: Look through all that is due instead.

        Returns:
            Where to look next.
        """
        found, place = place, 0 if everywhere else place
        while len(self._receivers) < AT_ONCE and not self._closing:
            deliveries = Multiset(self._receivers.values())
            full = [receiver for receiver, number in deliveries.items() if number >= PER_RECEIVER]
            looked_at, *leased = await self._lease(
                keys=[OUTBOX_KEY], args=[self._lease_s, place, _PAGE, *full]
            )
            if leased:
                event_id, receiver, fields = leased
                task = asyncio.create_task(self._deliver(event_id, fields))
                self._receivers[task] = receiver
                task.add_done_callback(self._ended)
                found = place
            elif everywhere and looked_at == _PAGE:
                place += _PAGE
            else:
                break
        return found

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._receivers[task]
        if not task.cancelled() and (error := task.exception()):
            _log.error("callback not settled, due again when its lease is over", exc_info=error)
        self._ask(everywhere=False)

    async def _deliver(self, event_id: str, fields: Sequence[str]) -> None:
        record = dict(zip(fields[::2], fields[1::2], strict=True))
        event = event_from_fields(event_id, record)
        tries = int(record["tries"])
        about: Fields = {"event_id": event_id, "job_id": event.job_id, "tries": tries}
        keys = [OUTBOX_KEY, event_key(event_id)]
        try:
            if tries > self._settings.callback_max_tries:
                raise RefusedError("the last try did not come to an end")
            await self._webhooks.deliver(event)
        except DeliveryError as failure:
            await self._failed(event_id, tries, failure, about)
        else:
            await self._drop(keys=keys, args=[event_id])
            CALLBACKS.labels("delivered").inc()
            _log.info("callback delivered", extra=about)

    async def _failed(
        self, event_id: str, tries: int, failure: DeliveryError, about: Fields
    ) -> None:
        """Put an event off or give it up, unless it has been leased to somebody else since."""
        tier = self._settings
        keys = [OUTBOX_KEY, event_key(event_id)]
        if isinstance(failure, RefusedError) or tries >= tier.callback_max_tries:
            if await self._give_up(
                keys=[*keys, GIVEN_UP_KEY],
                args=[event_id, tries, str(failure), tier.record_ttl_s, GIVEN_UP_KEPT],
            ):
                CALLBACKS.labels("given_up").inc()
                _log.error("callback given up: %s", failure, extra=about)
            return
        pause_s = backoff_s(tries, tier.callback_first_retry_s, LONGEST_PAUSE_S)
        wait_s = max(pause_s, min(failure.retry_after_s, LONGEST_PAUSE_S))
        if await self._postpone(keys=keys, args=[event_id, tries, wait_s, str(failure)]):
            CALLBACKS.labels("retried").inc()
            _log.warning("callback failed, next try in %.1f s: %s", wait_s, failure, extra=about)
