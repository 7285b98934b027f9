"""The outbox on a real server, with real receivers."""

import asyncio
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import RedisDsn, SecretStr
from redis import Redis

from offloop.stack.ports import free_port
from reports.spec import ReportSpec
from tests.receiver import Answer, Handler, Receiver, drip, stall, status
from tests.shop import DAY, HANG_S, wait_for
from workers.housekeeping.outbox import (
    AT_ONCE,
    CALLBACKS,
    GIVEN_UP_KEPT,
    PER_RECEIVER,
    Outbox,
)
from workers.housekeeping.outbox_metrics import OutboxMetrics
from workers.records import GIVEN_UP_KEY, OUTBOX_KEY, event_key
from workers.settings import TierSettings
from workers.store import JobStore
from workers.undelivered import Undelivered

pytestmark = pytest.mark.medium

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - signs nothing but tests

#: More than the largest look at the outbox in one step.
MANY = 500


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def other() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(tier: TierSettings, receiver: Receiver, other: Receiver) -> TierSettings:
    """Both receivers are allowed, and tried again soon."""
    return tier.model_copy(
        update={
            "callback_hosts": (receiver.host, other.host),
            "webhook_secret": SecretStr(SECRET),
            "callback_first_retry_s": 0.02,
        }
    )


def put(records: Redis, receiver: Receiver, *job_ids: str, tries: int = 0) -> list[str]:
    """Write what a job leaves behind when it comes to its end; the ids of the events."""
    due = time.time()
    event_ids = [f"{job_id}-1" for job_id in job_ids]
    with records.pipeline() as pipe:
        for job_id, event_id in zip(job_ids, event_ids, strict=True):
            fields = (
                ("type", "report.done"),
                ("job_id", job_id),
                ("status", "done"),
                ("attempt", "1"),
                ("url", receiver.url),
                ("occurred_at", "2026-01-02T03:04:05+00:00"),
                ("tries", str(tries)),
            )
            pipe.hset(event_key(event_id), items=list(chain(*fields)))
            pipe.zadd(OUTBOX_KEY, {event_id: due})
        pipe.execute()
    return event_ids


def numbered(number: int) -> list[str]:
    return [f"{index:032x}" for index in range(number)]


@contextmanager
def opened(settings: TierSettings) -> Iterator[Outbox]:
    outbox = Outbox(settings)
    try:
        yield outbox
    finally:
        outbox.close(grace_s=0)


def keep_running(look: Callable[[], object], *outboxes: Outbox) -> None:
    """Run the outboxes again and again, as housekeeping does, until something is seen."""

    def run_and_look() -> bool:
        for outbox in outboxes:
            outbox.run()
        return bool(look())

    wait_for(run_and_look)


def settled(records: Redis) -> bool:
    return not records.exists(OUTBOX_KEY)


def failure_of(records: Redis, event_id: str) -> bytes | None:
    return cast("bytes | None", records.hget(event_key(event_id), "failure"))


def lines(caplog: pytest.LogCaptureFixture, level: int, begin: str) -> list[tuple[str, str, int]]:
    """Event, job and number of tries of the lines of a level that begin so."""
    found = [vars(line) for line in caplog.records if line.levelno == level]
    return [
        (fields["event_id"], fields["job_id"], fields["tries"])
        for fields in found
        if fields["message"].startswith(begin)
    ]


def test_what_is_due_is_delivered_once_and_forgotten(
    settings: TierSettings,
    records: Redis,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    [event_id] = put(records, receiver, "0a1b")

    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    [delivery] = receiver.deliveries
    assert delivery.verified(SECRET) == {
        "type": "report.done",
        "timestamp": "2026-01-02T03:04:05+00:00",
        "data": {"job_id": "0a1b", "status": "done", "attempt": 1},
    }
    assert not records.exists(event_key(event_id))
    assert lines(caplog, logging.INFO, "callback delivered") == [("0a1b-1", "0a1b", 1)]


def test_what_a_cancelled_job_leaves_behind_is_delivered(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    async def accept_and_cancel() -> None:
        async with JobStore(settings) as store:
            spec = ReportSpec.model_validate(DAY)
            await store.enqueue("0a1b", spec, callback_url=receiver.url)
            await store.cancel("0a1b")

    asyncio.run(accept_and_cancel())
    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    [delivery] = receiver.deliveries
    content = cast("dict[str, object]", delivery.verified(SECRET))
    assert content["type"] == "report.cancelled"
    assert content["data"] == {"job_id": "0a1b", "status": "cancelled", "attempt": 0}


def test_what_is_not_due_yet_is_not_delivered(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    [later] = put(records, receiver, "later")
    records.zadd(OUTBOX_KEY, {later: time.time() + 3600})
    put(records, receiver, "now")

    with opened(settings) as outbox:
        keep_running(lambda: records.zrange(OUTBOX_KEY, 0, -1) == [later.encode()], outbox)

    assert receiver.event_ids == ["now-1"]


def test_a_failed_delivery_is_repeated_with_the_same_id_and_body(
    settings: TierSettings,
    records: Redis,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.answer(status(500), status(302, location="/elsewhere"))
    [event_id] = put(records, receiver, "0a1b")

    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.event_ids == [event_id] * 3
    assert len({delivery.body for delivery in receiver.deliveries}) == 1
    for delivery in receiver.deliveries:
        delivery.verified(SECRET)
    failed = lines(caplog, logging.WARNING, "callback failed, next try in")
    assert failed == [(event_id, "0a1b", tries) for tries in (1, 2)]
    assert "status 500" in caplog.text


def test_a_receiver_that_comes_up_late_gets_everything(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    receiver.close()
    event_ids = put(records, receiver, *numbered(5))
    with opened(settings) as outbox:
        keep_running(lambda: all(failure_of(records, id_) for id_ in event_ids), outbox)
        assert failure_of(records, event_ids[0]) == b"ConnectError"

        with Receiver(receiver.port) as up:
            keep_running(lambda: settled(records), outbox)
            assert sorted(up.event_ids) == event_ids


def test_an_event_is_given_up_after_its_tries_and_kept_for_operators(
    settings: TierSettings,
    records: Redis,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.otherwise = status(500)
    [event_id] = put(records, receiver, "0a1b")

    with opened(settings.model_copy(update={"callback_max_tries": 3})) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.event_ids == [event_id] * 3
    assert records.zrange(GIVEN_UP_KEY, 0, -1) == [event_id.encode()]
    assert failure_of(records, event_id) == b"status 500"
    assert 0 < records.ttl(event_key(event_id)) <= settings.record_ttl_s
    given_up = lines(caplog, logging.ERROR, "callback given up: status 500")
    assert given_up == [(event_id, "0a1b", 3)]


def test_an_event_that_was_given_up_is_listed_and_can_be_delivered_after_all(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    [event_id] = put(records, receiver, "0a1b")
    receiver.answer(status(410))
    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)
        operator = Undelivered(settings)
        [given_up] = operator.latest(10)

        assert operator.redeliver(event_id)
        keep_running(lambda: settled(records), outbox)

    assert (given_up.event_id, given_up.url) == (event_id, receiver.url)
    assert "410" in given_up.failure
    assert receiver.event_ids == [event_id, event_id]
    assert operator.latest(10) == []
    assert not operator.redeliver(event_id)


def test_a_receiver_that_is_gone_is_not_called_again(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    receiver.otherwise = status(410)
    [event_id] = put(records, receiver, "0a1b")

    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.event_ids == [event_id]
    assert failure_of(records, event_id) == b"status 410"


def test_an_event_whose_host_is_not_allowed_any_more_is_given_up_for_that_reason(
    settings: TierSettings, records: Redis, receiver: Receiver, other: Receiver
) -> None:
    [refused] = put(records, other, "refused")
    put(records, receiver, "allowed")

    with opened(settings.model_copy(update={"callback_hosts": (receiver.host,)})) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert (receiver.event_ids, other.event_ids) == (["allowed-1"], [])
    assert records.zrange(GIVEN_UP_KEY, 0, -1) == [refused.encode()]
    assert failure_of(records, refused) == b"its host is not in OFFLOOP_CALLBACK_HOSTS"


def test_what_is_kept_of_the_given_up_is_bounded(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    now = time.time()
    long_ago = now - 2 * settings.record_ttl_s
    records.zadd(GIVEN_UP_KEY, {"long ago": long_ago})
    records.zadd(GIVEN_UP_KEY, {f"event {number}": now - 1 for number in range(GIVEN_UP_KEPT)})
    receiver.answer(status(410))
    [event_id] = put(records, receiver, "0a1b")

    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    kept = records.zrange(GIVEN_UP_KEY, 0, -1)
    assert len(kept) == GIVEN_UP_KEPT
    assert kept[-1] == event_id.encode()
    assert b"long ago" not in kept


def test_an_event_that_ends_whoever_delivers_it_is_given_up(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    [event_id] = put(records, receiver, "0a1b", tries=settings.callback_max_tries)

    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.deliveries == []
    assert failure_of(records, event_id) == b"the last try did not come to an end"


def test_an_event_without_content_does_not_block_the_outbox(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    records.zadd(OUTBOX_KEY, {"nothing.1": 0})
    put(records, receiver, "0a1b")

    with opened(settings) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.event_ids == ["0a1b-1"]


def test_two_outboxes_share_the_events_and_deliver_each_once(
    settings: TierSettings, records: Redis, receiver: Receiver, other: Receiver
) -> None:
    event_ids = put(records, receiver, *numbered(50))
    other_ids = put(records, other, *(f"other{number}" for number in range(50)))

    with opened(settings) as one, opened(settings) as two:
        keep_running(lambda: settled(records), one, two)

    assert sorted(receiver.event_ids) == sorted(event_ids)
    assert sorted(other.event_ids) == sorted(other_ids)


def test_what_is_written_while_the_outbox_is_emptied_is_not_lost(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    written: list[str] = []

    def write_and_look() -> bool:
        if len(written) < 100:
            written.extend(put(records, receiver, f"job{len(written)}"))
        return len(written) == 100 and settled(records)

    with opened(settings) as outbox:
        keep_running(write_and_look, outbox)

    assert sorted(receiver.event_ids) == sorted(written)


def test_one_run_is_enough_for_many_events(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    event_ids = put(records, receiver, *numbered(2 * AT_ONCE))

    with opened(settings) as outbox:
        outbox.run()
        wait_for(lambda: settled(records))

    assert sorted(receiver.event_ids) == event_ids


@pytest.mark.parametrize("answer", [stall, drip])
def test_a_slow_receiver_does_not_hold_up_another_and_is_not_crowded(
    settings: TierSettings, records: Redis, receiver: Receiver, other: Receiver, answer: Answer
) -> None:
    receiver.otherwise = answer
    slow_ids = put(records, receiver, *numbered(MANY))
    quick_ids = put(records, other, *(f"quick{number}" for number in range(20)))

    with opened(settings) as outbox:
        keep_running(lambda: records.zcard(OUTBOX_KEY) == MANY, outbox)

        assert sorted(other.event_ids) == sorted(quick_ids)
        assert len(receiver.deliveries) == PER_RECEIVER
        tries = Counter(records.hget(event_key(event_id), "tries") for event_id in slow_ids)
        assert tries == {b"0": MANY - PER_RECEIVER, b"1": PER_RECEIVER}


def test_a_delivery_that_is_drawn_out_is_cut_off_and_repeated(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    receiver.answer(drip)
    [event_id] = put(records, receiver, "0a1b")

    with opened(settings.model_copy(update={"callback_timeout_s": 0.3})) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.event_ids == [event_id] * 2


def test_what_a_killed_process_was_delivering_is_delivered_when_its_lease_is_over(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    short = settings.model_copy(update={"callback_timeout_s": 0.5, "broker_deadline_s": 0.5})
    receiver.answer(stall)
    [event_id] = put(records, receiver, "0a1b")
    deliver = (
        "from workers.housekeeping.outbox import Outbox\n"
        "from workers.settings import TierSettings\n"
        "Outbox(TierSettings()).run()\n"
        "input()\n"
    )
    environment = {
        "OFFLOOP_REDIS_URL": str(short.redis_url),
        "OFFLOOP_CALLBACK_HOSTS": receiver.host,
        "OFFLOOP_WEBHOOK_SECRET": SECRET,
        "OFFLOOP_CALLBACK_TIMEOUT_S": "0.5",
        "OFFLOOP_BROKER_DEADLINE_S": "0.5",
    }
    with subprocess.Popen(
        [sys.executable, "-c", deliver], stdin=subprocess.PIPE, env=environment
    ) as doomed:
        wait_for(lambda: receiver.deliveries)
        doomed.kill()

    assert records.zscore(OUTBOX_KEY, event_id) is not None
    with opened(short) as outbox:
        keep_running(lambda: settled(records), outbox)

    assert receiver.event_ids == [event_id] * 2
    assert receiver.deliveries[0].body == receiver.deliveries[1].body


@pytest.mark.parametrize("code", [500, 410])
def test_a_try_that_was_superseded_neither_puts_an_event_off_nor_gives_it_up(
    settings: TierSettings, records: Redis, receiver: Receiver, code: int
) -> None:
    [event_id] = put(records, receiver, "0a1b")
    leased_until: list[float] = []

    def answer_late(handler: Handler) -> None:
        # As if the lease had run out, and another process had leased it.
        records.hincrby(event_key(event_id), "tries", 1)
        leased_until.append(cast("float", records.zscore(OUTBOX_KEY, event_id)))
        status(code)(handler)

    receiver.answer(answer_late)
    outbox = Outbox(settings)
    keep_running(lambda: leased_until, outbox)
    outbox.close(grace_s=HANG_S)

    assert records.zscore(OUTBOX_KEY, event_id) == leased_until[0] > time.time()
    assert failure_of(records, event_id) is None
    assert not records.exists(GIVEN_UP_KEY)


def test_closing_waits_for_deliveries_but_not_for_ever(
    settings: TierSettings, records: Redis, receiver: Receiver, other: Receiver
) -> None:
    receiver.otherwise = stall
    [stalled] = put(records, receiver, "stalled")
    put(records, other, "quick")
    outbox = Outbox(settings)
    keep_running(lambda: receiver.deliveries and other.deliveries, outbox)

    outbox.close(grace_s=0.5)

    assert records.zrange(OUTBOX_KEY, 0, -1) == [stalled.encode()]
    assert cast("float", records.zscore(OUTBOX_KEY, stalled)) > time.time()


def value_of(outcome: str) -> float:
    [family] = CALLBACKS.collect()
    return next(
        sample.value
        for sample in family.samples
        if sample.name == "offloop_callbacks_total" and sample.labels == {"outcome": outcome}
    )


def test_what_came_of_each_try_is_counted(
    settings: TierSettings, records: Redis, receiver: Receiver
) -> None:
    outcomes = ("delivered", "retried", "given_up")
    before = [value_of(outcome) for outcome in outcomes]
    receiver.answer(status(500), status(204), status(410))

    with opened(settings) as outbox:
        for job_id in ("retried", "given-up"):
            put(records, receiver, job_id)
            keep_running(lambda: settled(records), outbox)

    after = [value_of(outcome) for outcome in outcomes]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]


def test_the_number_of_pending_callbacks_is_exposed_and_absent_when_it_cannot_be_read(
    tier: TierSettings, records: Redis, receiver: Receiver
) -> None:
    def exposed(settings: TierSettings) -> str:
        registry = CollectorRegistry()
        registry.register(OutboxMetrics(settings))
        return generate_latest(registry).decode()

    put(records, receiver, "0a1b", "0a1c")
    unreachable = TierSettings(redis_url=RedisDsn(f"redis://127.0.0.1:{free_port()}/0"))

    assert "offloop_callbacks_pending 2.0" in exposed(tier)
    assert "offloop_callbacks_pending" not in exposed(unreachable)


def test_an_outbox_without_a_broker_says_so_and_goes_on(
    settings: TierSettings, caplog: pytest.LogCaptureFixture
) -> None:
    unreachable = settings.model_copy(
        update={"redis_url": RedisDsn(f"redis://127.0.0.1:{free_port()}/0")}
    )

    def complaints() -> int:
        return caplog.text.count("the outbox cannot be read")

    with opened(unreachable) as outbox:
        keep_running(complaints, outbox)
        first = complaints()
        keep_running(lambda: complaints() > first, outbox)
