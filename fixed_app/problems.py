"""The problems that only an app with a job tier can have."""

from fastapi import FastAPI, Request, Response

from reports.models import Problem
from web.problems import TYPE_PREFIX, problem_response
from workers.store import (
    BrokerUnavailableError,
    KeyReusedError,
    QueueFullError,
    UnknownCursorError,
    WrongStatusError,
)

#: Seconds after which a client may try again: time enough for a supervisor to restart a broker.
RESTART_S = 2


async def _on_broker_unavailable(_: Request, error: Exception) -> Response:
    problem = Problem(
        type=TYPE_PREFIX + "broker-unavailable",
        title="The job tier cannot be reached",
        status=503,
        detail=f"The broker did not answer, so nothing is promised; try again: {error}",
    )
    return problem_response(problem, {"Retry-After": str(RESTART_S)})


async def _on_queue_full(_: Request, error: Exception) -> Response:
    assert isinstance(error, QueueFullError)  # noqa: S101 - registered for this class alone
    problem = Problem(
        type=TYPE_PREFIX + "queue-full",
        title="There is more to do than can be done in time",
        status=503,
        detail=f"{error}; the report was not accepted. Try again in {error.retry_after_s} s.",
    )
    return problem_response(problem, {"Retry-After": str(error.retry_after_s)})


async def _on_key_reused(_: Request, __: Exception) -> Response:
    return problem_response(
        Problem(
            type=TYPE_PREFIX + "idempotency-key-reused",
            title="The idempotency key stands for another request",
            status=422,
            detail="This Idempotency-Key was sent before, with another body. Send a new key with "
            "a new order, and the same body with the same key.",
        )
    )


async def _on_wrong_status(_: Request, error: Exception) -> Response:
    return problem_response(
        Problem(
            type=TYPE_PREFIX + "wrong-status",
            title="The job cannot be changed in this way now",
            status=409,
            detail=f"{error}.",
        )
    )


async def _on_unknown_cursor(_: Request, error: Exception) -> Response:
    return problem_response(
        Problem(
            type=TYPE_PREFIX + "unknown-cursor",
            title="There is no such page",
            status=404,
            detail=f"{error}.",
        )
    )


def install(app: FastAPI) -> None:
    """Answer what the job tier raises with problem details."""
    app.add_exception_handler(BrokerUnavailableError, _on_broker_unavailable)
    app.add_exception_handler(QueueFullError, _on_queue_full)
    app.add_exception_handler(KeyReusedError, _on_key_reused)
    app.add_exception_handler(WrongStatusError, _on_wrong_status)
    app.add_exception_handler(UnknownCursorError, _on_unknown_cursor)
