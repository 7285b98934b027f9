"""The problem that only an app with a broker can have."""

from fastapi import Request, Response

from reports.models import Problem
from web.problems import TYPE_PREFIX, problem_response

#: Seconds after which a client may try again: time enough for a supervisor to restart a broker.
RETRY_AFTER_S = 2


async def on_broker_unavailable(_: Request, error: Exception) -> Response:
    """Answer 503: nothing was promised, and the same request may be sent again."""
    problem = Problem(
        type=TYPE_PREFIX + "broker-unavailable",
        title="The job tier cannot be reached",
        status=503,
        detail=f"The broker did not answer, so nothing is promised; try again: {error}",
    )
    return problem_response(problem, {"Retry-After": str(RETRY_AFTER_S)})
