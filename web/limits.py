"""Refuse request bodies that no report needs, before they are held in memory."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.problems import ProblemError, problem_response

#: Bytes. A report's spec takes about 100; the rest is room for white space and a long URL.
MAX_BODY_BYTES = 16 * 1024


def _too_large() -> ProblemError:
    return ProblemError(
        413,
        "body-too-large",
        "The body is too large",
        f"A request body may have at most {MAX_BODY_BYTES} bytes.",
    )


class BodyLimit:
    """ASGI middleware: a body over the limit is answered with 413 and never read to its end.

    FastAPI's own ``max_body_size`` does the same, but answers in plain text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request unless its body is, or turns out to be, too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            await problem_response(_too_large().problem)(scope, receive, send)
            return

        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:  # a chunked body declares no length
                raise _too_large()
            return message

        await self.app(scope, counted_receive, send)
