"""One post to a real receiver."""

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import WebhookVerificationError

from tests.receiver import Answer, Receiver, drip, redirect, stall, status
from workers.housekeeping.webhooks import DeliveryError, Event, RefusedError, Webhooks
from workers.settings import TierSettings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - signs nothing but tests

EVENT = Event(
    event_id="0a1b.2",
    type="report.done",
    job_id="0a1b",
    status="done",
    attempt=2,
    url="set by each test",
    occurred_at="2026-01-02T03:04:05+00:00",
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def allowing(*hosts: str, timeout_s: float = 30.0) -> TierSettings:
    return TierSettings(
        callback_hosts=hosts, webhook_secret=SecretStr(SECRET), callback_timeout_s=timeout_s
    )


def deliver(settings: TierSettings, *events: Event) -> None:
    async def deliver_all() -> None:
        webhooks = Webhooks(settings)
        try:
            for event in events:
                await webhooks.deliver(event)
        finally:
            await webhooks.close()

    asyncio.run(deliver_all())


def deliver_to(receiver: Receiver, *, timeout_s: float = 30.0) -> None:
    deliver(allowing(receiver.host, timeout_s=timeout_s), replace(EVENT, url=receiver.url))


def test_a_receiver_can_verify_what_it_gets(receiver: Receiver) -> None:
    deliver_to(receiver)

    [delivery] = receiver.deliveries
    assert delivery.verified(SECRET) == {
        "type": "report.done",
        "timestamp": "2026-01-02T03:04:05+00:00",
        "data": {"job_id": "0a1b", "status": "done", "attempt": 2},
    }
    assert (delivery.method, delivery.path) == ("POST", "/hook")
    assert delivery.event_id == "0a1b.2"
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["user-agent"].startswith("offloop/")


def test_a_body_or_an_id_that_was_tampered_with_does_not_verify(receiver: Receiver) -> None:
    deliver_to(receiver)

    [delivery] = receiver.deliveries
    for tampered in (
        replace(delivery, body=delivery.body.replace(b"done", b"lost")),
        replace(delivery, headers={**delivery.headers, "webhook-id": "0a1b.3"}),
    ):
        with pytest.raises(WebhookVerificationError):
            tampered.verified(SECRET)


def test_each_try_has_the_same_id_and_body_and_a_timestamp_of_its_own(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [datetime(2026, 1, 1, 12, 0, second, 999_999, tzinfo=UTC) for second in (0, 7)]

    class Clock(datetime):
        @classmethod
        def now(cls, _tz: object = None) -> datetime:  # type: ignore[override]
            return moments[len(receiver.deliveries)]

    monkeypatch.setattr("workers.housekeeping.webhooks.datetime", Clock)
    event = replace(EVENT, url=receiver.url)
    deliver(allowing(receiver.host), event, event)

    first, second = receiver.deliveries
    assert (first.event_id, first.body) == (second.event_id, second.body)
    timestamps = [int(delivery.headers["webhook-timestamp"]) for delivery in (first, second)]
    assert timestamps == [int(moment.timestamp()) for moment in moments]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize("code", [200, 202, 204])
def test_a_status_of_2xx_is_a_delivery(receiver: Receiver, code: int) -> None:
    receiver.answer(status(code))

    deliver_to(receiver)

    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("code", [302, 400, 404, 429, 500, 503])
def test_any_other_status_is_a_failure_worth_another_try(receiver: Receiver, code: int) -> None:
    receiver.answer(status(code))

    with pytest.raises(DeliveryError, match=f"^status {code}$") as failure:
        deliver_to(receiver)

    assert not isinstance(failure.value, RefusedError)


def test_a_receiver_that_is_gone_for_good_says_so_with_410(receiver: Receiver) -> None:
    receiver.answer(status(410))

    with pytest.raises(RefusedError, match=r"^status 410$"):
        deliver_to(receiver)


@pytest.mark.parametrize(
    ("sent", "wanted_s"),
    [("120", 120), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("-5", 0), ("\xb2", 0)],
)
def test_a_receiver_can_ask_to_be_left_alone_for_some_seconds(
    receiver: Receiver, sent: str, wanted_s: float
) -> None:
    receiver.answer(status(503, retry_after=sent))

    with pytest.raises(DeliveryError) as failure:
        deliver_to(receiver)

    assert failure.value.retry_after_s == wanted_s


def test_a_redirect_is_not_followed_even_to_an_allowed_host(receiver: Receiver) -> None:
    with Receiver() as other:
        receiver.answer(redirect(other.url))

        with pytest.raises(DeliveryError, match=r"^status 307$"):
            deliver(allowing(receiver.host, other.host), replace(EVENT, url=receiver.url))

        assert other.deliveries == []


def test_a_proxy_in_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.host}")
        monkeypatch.setenv("NO_PROXY", "")
        deliver_to(receiver)

        assert proxy.deliveries == []
    assert len(receiver.deliveries) == 1


def test_a_cookie_is_not_given_back(receiver: Receiver) -> None:
    receiver.answer(status(204, set_cookie="of=another-customer"))
    event = replace(EVENT, url=receiver.url)

    deliver(allowing(receiver.host), event, event)

    assert "cookie" not in receiver.deliveries[1].headers


def test_a_host_that_is_not_allowed_is_not_called(receiver: Receiver) -> None:
    with pytest.raises(RefusedError, match="OFFLOOP_CALLBACK_HOSTS"):
        deliver(allowing("shop.example"), replace(EVENT, url=receiver.url))
    with pytest.raises(RefusedError, match="OFFLOOP_CALLBACK_HOSTS"):
        deliver(TierSettings(), replace(EVENT, url=receiver.url))

    assert receiver.deliveries == []


def test_nobody_listening_is_a_failure_that_names_its_kind() -> None:
    receiver = Receiver()
    receiver.close()

    with pytest.raises(DeliveryError, match=r"^ConnectError$"):
        deliver_to(receiver)


@pytest.mark.parametrize("answer", [stall, drip])
def test_the_time_limit_is_on_the_whole_however_the_answer_is_drawn_out(
    receiver: Receiver, answer: Answer
) -> None:
    receiver.otherwise = answer

    with pytest.raises(DeliveryError, match=r"^no answer within 0\.3 s$"):
        deliver_to(receiver, timeout_s=0.3)

    assert len(receiver.deliveries) == 1


def test_a_receiver_that_accepts_no_connection_is_cut_off_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never reads
        host = f"127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(DeliveryError, match=r"^no answer within 0\.2 s$"):
            deliver(allowing(host, timeout_s=0.2), replace(EVENT, url=f"http://{host}/"))


def test_the_body_is_thin_json_without_white_space() -> None:
    assert json.loads(EVENT.body())["data"] == {"job_id": "0a1b", "status": "done", "attempt": 2}
    assert " " not in EVENT.body()
