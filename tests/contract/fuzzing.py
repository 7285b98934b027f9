"""What Schemathesis has to know beyond what the apps say about themselves: its hooks."""

from http import HTTPStatus
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure, ServerError
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

#: Rules about an order that JSON Schema has no words for.
INEXPRESSIBLE_RULES = {"window_reversed", "window_outside_data", "callback_address"}

#: Refusals that depend on what happened before, or on how the service is set up.
SITUATIONS = {
    "urn:offloop:problem:file-gone",
    "urn:offloop:problem:idempotency-key-reused",
    "urn:offloop:problem:callback-not-allowed",
}


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Whether a failure is one, and not what the contract wants."""
    match failure:
        case RejectedPositiveData():
            problem: dict[str, Any] = response.json()
            rules = {error["rule"] for error in problem.get("errors", ())}
            by_rule = rules and rules <= INEXPRESSIBLE_RULES
            return not by_rule and problem["type"] not in SITUATIONS
        case ServerError(status_code=HTTPStatus.SERVICE_UNAVAILABLE):
            return False  # another check finds it where it is not documented
        case UseAfterFree():
            # DELETE cancels a job; its record stays, and says so.
            status: str = response.json().get("status")
            return status != "cancelled"
        case _:
            return True
