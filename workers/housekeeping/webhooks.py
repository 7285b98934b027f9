"""Sign an event and post it to its receiver, once and within a time limit (Standard Webhooks).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version

import httpx
from standardwebhooks import Webhook

from workers.callbacks import callback_allowed
from workers.settings import TierSettings

_USER_AGENT = f"offloop/{version('offloop')}"


class DeliveryError(Exception):
    """An event was not delivered; the message says why.

    Attributes:
        retry_after_s: Seconds the receiver asked to be left alone for; 0 if it did not.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class RefusedError(DeliveryError):
    """An event must not be delivered, neither now nor later."""


@dataclass(frozen=True)
class Event:
    """That a job came to an end, for the receiver that its customer named.

    Attributes:
        event_id: The same however often the event is delivered.
        occurred_at: ISO 8601.
    """

    event_id: str
    type: str
    job_id: str
    status: str
    attempt: int
    url: str
    occurred_at: str

    def body(self) -> str:
        """Return what is posted. It only names the job: whoever may see the report fetches it."""
        data = {"job_id": self.job_id, "status": self.status, "attempt": self.attempt}
        event = {"type": self.type, "timestamp": self.occurred_at, "data": data}
        return json.dumps(event, separators=(",", ":"))


def event_from_fields(event_id: str, fields: Mapping[str, str]) -> Event:
    """Turn what is written down about an event into the event."""
    return Event(
        event_id=event_id,
        type=fields["type"],
        job_id=fields["job_id"],
        status=fields["status"],
        attempt=int(fields["attempt"]),
        url=fields["url"],
        occurred_at=fields["occurred_at"],
    )


class Webhooks:
    """Posts events. Belongs to one event loop."""

    def __init__(self, settings: TierSettings) -> None:
        secret = settings.webhook_secret
        self._hosts = settings.callback_hosts
        self._limit_s = settings.callback_timeout_s
        self._signer = None if secret is None else Webhook(secret.get_secret_value())
        # A transport makes one exchange and nothing else. A client would remember cookies, send
        # credentials found in a URL, and log every URL, which may hold a secret of the receiver.
        # Connections are not kept: an idle one that its receiver has closed is a failed delivery.
        self._transport = httpx.AsyncHTTPTransport(
            trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def deliver(self, event: Event) -> None:
        """Post an event. The answer's status is all that counts: its body is not read.

        The time limit is on the whole: finding the address, connecting, encrypting, sending, and
        waiting for the last byte of the answer's header, however slowly it comes.

        Raises:
            RefusedError: the host is not allowed, or the receiver wants no events any more.
            DeliveryError: anything but a status of 2xx within the time limit.
        """
        if self._signer is None or not callback_allowed(event.url, self._hosts):
            raise RefusedError("its host is not in OFFLOOP_CALLBACK_HOSTS")
        try:
            async with asyncio.timeout(self._limit_s):
                request = _signed(event, self._signer)
                answer = await self._transport.handle_async_request(request)
                await answer.aclose()
        except TimeoutError as error:
            raise DeliveryError(f"no answer within {self._limit_s:g} s") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise DeliveryError(type(error).__name__) from error
        if answer.status_code == HTTPStatus.GONE:
            raise RefusedError("status 410")
        if not answer.is_success:
            raise DeliveryError(f"status {answer.status_code}", _retry_after_s(answer))

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _signed(event: Event, signer: Webhook) -> httpx.Request:
    body = event.body()
    now = datetime.now(UTC)
    return httpx.Request(
        "POST",
        event.url,
        content=body.encode(),
        headers={
            "connection": "close",
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "webhook-id": event.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            # It takes the time of day for UTC, whatever zone is attached.
            "webhook-signature": signer.sign(event.event_id, now, body),
        },
    )


def _retry_after_s(answer: httpx.Response) -> float:
    wanted = answer.headers.get("retry-after", "")
    return float(wanted) if wanted.isascii() and wanted.isdigit() else 0.0
