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

# As it is in the header, and decoded only when it is read: most requests log nothing.
_request_id: ContextVar[bytes | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """Return the id of the request that this code runs for; None if it runs for none."""
    request_id = _request_id.get()
    return None if request_id is None else request_id.decode()


def begin_request(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Make the id of a request known to the code that runs for it, and return it.

    An id that the client has sent is kept, if it is one.

    Args:
        headers: Of the request, as ASGI gives them.
    """
    for name, value in headers:
        if name == HEADER and _ACCEPTABLE.fullmatch(value):
            request_id = value
            break
    else:
        request_id = b"%b-%x" % (_process.name, next(_process.numbers))
    # Never reset: every server runs each request in a context of its own, and what it logs about
    # a crash comes after this code was left.
    _request_id.set(request_id)
    return request_id


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
