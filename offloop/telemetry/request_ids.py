"""One id for everything that is logged because of one request, wherever it is logged."""

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import count
from uuid import uuid4

#: The header that brings an id, and takes it back; in lower case, as ASGI wants names.
HEADER = b"x-request-id"

#: What may go into logs, headers and databases without being escaped anywhere.
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """Return the id of the request that this code runs for; None if it runs for none."""
    return _request_id.get()


def begin_request(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Make the id of a request known to the code that runs for it, and return it.

    An id that the client has sent is kept, if it is one.

    Args:
        headers: Of the request, as ASGI gives them.
    """
    request_id = _sent_id(headers) or b"%b-%x" % (_process.name, next(_process.numbers))
    # Never reset: every server runs each request in a context of its own, and what it logs about
    # a crash comes after this code was left.
    _request_id.set(request_id.decode())
    return request_id


def _sent_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == HEADER:
            return value if _ACCEPTABLE.fullmatch(value) else None
    return None


class _Process:
    """Names requests by the process that they came to.

    A UUID for each would take longer than all that is done to measure it.

    Attributes:
        name: Of the process; no other has it.
        numbers: Of its requests.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take a new name."""
        self.name = uuid4().hex[:16].encode()
        self.numbers = count(1)


_process = _Process()
# Servers load an app and then fork.
os.register_at_fork(after_in_child=_process.renew)
