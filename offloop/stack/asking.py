"""Asking a service of the lab over HTTP."""

import http.client
import urllib.error
import urllib.request
from http import HTTPStatus

from offloop.errors import OffloopError
from offloop.stack.service import Service

#: Bytes of an unexpected answer that an error shows: enough for a problem's details.
_SHOWN_BYTES = 500

# Not through a proxy that the environment may name: the lab is on loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NoAnswerError(OffloopError):
    """A service did not answer, or answered with an error."""


class NotFoundError(NoAnswerError):
    """A service answered that it does not know what it was asked for."""


def ask(service: Service, url: str, *, timeout_s: float, body: bytes | None = None) -> bytes:
    """Send one request and return the body of the answer.

    Args:
        service: Who is asked, for the error.
        url: What for; plain http.
        timeout_s: Seconds to wait for the answer.
        body: JSON to POST; without it, GET.

    Raises:
        NoAnswerError: there was no answer in time, or its status was not a success; a
            `NotFoundError` if it was 404.
    """
    request = urllib.request.Request(  # noqa: S310 - http, on loopback
        url, data=body, headers={"Content-Type": "application/json"} if body else {}
    )
    asked = f"{request.get_method()} {url}"
    try:
        with _opener.open(request, timeout=timeout_s) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(_SHOWN_BYTES).decode(errors="replace")
        kind = NotFoundError if error.code == HTTPStatus.NOT_FOUND else NoAnswerError
        raise kind(f"{service.name} answered {asked} with {error.code}: {said}") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"{service.name} did not answer {asked}: {error}.") from error
