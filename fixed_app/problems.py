"""The problems that only an app with a job tier can have."""

from typing import get_args

from fastapi import FastAPI, Request, Response

from web.problems import ProblemError, answer_problem
from workers.store import (
    AlreadyBilledError,
    BrokerUnavailableError,
    KeyReusedError,
    QueueFullError,
    UnknownCursorError,
    WrongStatusError,
)

#: Seconds after which a client may try again: time enough for a supervisor to restart a broker.
RESTART_S = 2

Refusal = (
    BrokerUnavailableError
    | QueueFullError
    | KeyReusedError
    | WrongStatusError
    | AlreadyBilledError
    | UnknownCursorError
)


def _explain(error: Refusal) -> ProblemError:
    match error:
        case BrokerUnavailableError():
            return ProblemError(
                503,
                "broker-unavailable",
                "The job tier cannot be reached",
                f"The broker did not answer, so nothing is promised; try again: {error}",
                {"Retry-After": str(RESTART_S)},
            )
        case QueueFullError():
            return ProblemError(
                503,
                "queue-full",
                "There is more to do than can be done in time",
                f"{error}; the report was not accepted. Try again in {error.retry_after_s} s.",
                {"Retry-After": str(error.retry_after_s)},
            )
        case KeyReusedError():
            return ProblemError(
                422,
                "idempotency-key-reused",
                "The idempotency key stands for another request",
                "This Idempotency-Key was sent before, with another body. Send a new key with a "
                "new order, and the same body with the same key.",
            )
        case WrongStatusError() | AlreadyBilledError():
            return ProblemError(
                409, "wrong-status", "The job cannot be changed in this way now", f"{error}."
            )
        case UnknownCursorError():
            return ProblemError(404, "unknown-cursor", "There is no such page", f"{error}.")


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for these classes alone
    return await answer_problem(request, _explain(error))


def install(app: FastAPI) -> None:
    """Answer what the job tier raises with problem details."""
    for refusal in get_args(Refusal):
        app.add_exception_handler(refusal, _on_refusal)
