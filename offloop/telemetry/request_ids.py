"""One id for everything that is logged because of one request, wherever it is logged.

Most requests log nothing, and nobody asks for their id: so it is made when somebody does.
"""

import os
import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from itertools import count
from typing import Any
from uuid import uuid4

#: The header that brings an id, and takes it back; in lower case, as ASGI wants names.
HEADER = b"x-request-id"

#: Where the id is in the scope of a request, as in the header, once somebody has asked for it.
IN_SCOPE = "offloop.request_id"

#: What may go into logs, headers and databases without being escaped anywhere.
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")

_scope: ContextVar[MutableMapping[str, Any] | None] = ContextVar("scope", default=None)


def begin_request(scope: MutableMapping[str, Any]) -> None:
    """Let the code that runs for a request ask for its id.

    Args:
        scope: Of the request, as ASGI defines it.
    """
    # Never reset: every server runs each request in a context of its own, and what it logs about
    # a crash comes after this code was left.
    _scope.set(scope)


def current_request_id() -> str | None:
    """Return the id of the request that this code runs for; None if it runs for none."""
    scope = _scope.get()
    return None if scope is None else id_of(scope).decode()


def id_of(scope: MutableMapping[str, Any]) -> bytes:
    """Return the id of a request: what the client has sent, if it is one, or a new one."""
    known: bytes | None = scope.get(IN_SCOPE)
    if known is not None:
        return known
    sent = (value for name, value in scope["headers"] if name == HEADER)
    acceptable = (value for value in sent if _ACCEPTABLE.fullmatch(value))
    # The first who asks decides, whichever thread the others are in.
    found: bytes = scope.setdefault(IN_SCOPE, next(acceptable, None) or _process.next_id())
    return found


class _Process:
    """Names requests by the process that they came to: cheaper than a UUID for each.

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

    def next_id(self) -> bytes:
        """Return an id that no other request has."""
        return b"%b-%x" % (self.name, next(self.numbers))


_process = _Process()
# Servers load an app and then fork.
os.register_at_fork(after_in_child=_process.renew)
