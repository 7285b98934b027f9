"""Errors as problem details (RFC 9457), the same in both apps."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.status import (
    HTTP_400_BAD_REQUEST,
    HTTP_405_METHOD_NOT_ALLOWED,
    HTTP_422_UNPROCESSABLE_CONTENT,
    HTTP_500_INTERNAL_SERVER_ERROR,
)

from offloop.telemetry import current_request_id
from reports.models import Problem

MEDIA_TYPE = "application/problem+json"

#: Problem types are URNs: they identify, and promise no page behind them.
TYPE_PREFIX = "urn:offloop:problem:"


class ProblemError(HTTPException):
    """Raised to answer with a problem detail instead of a result.

    An `HTTPException`, because FastAPI turns whatever else is raised while it reads a body into
    a 400 of its own.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.problem = Problem(type=TYPE_PREFIX + kind, title=title, status=status, detail=detail)


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """Render one problem; the answer's status is the problem's."""
    body = problem.model_dump_json(exclude_defaults=True)
    return Response(body, problem.status, headers, MEDIA_TYPE)


def report_not_found(job_id: str) -> ProblemError:
    """Describe an id that names no report."""
    return ProblemError(
        404, "report-not-found", "No such report", f"There is no report {job_id!r}."
    )


async def answer_problem(_: Request, error: Exception) -> Response:
    """Handle a `ProblemError`."""
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class alone
    return problem_response(error.problem, dict(error.headers or {}))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if error.status_code == HTTP_400_BAD_REQUEST:
        # FastAPI's only one: a body that stops the JSON parser itself, such as bytes that are
        # no text, or lists nested without end.
        return problem_response(_malformed(error.detail))
    headers = dict(error.headers or {})
    route = request.scope.get("route")  # the pages of FastAPI have none
    if error.status_code == HTTP_405_METHOD_NOT_ALLOWED and route is not None:
        # The error names the methods of one route, where the path may have several.
        methods = request.app.openapi()["paths"][route.path]
        headers["Allow"] = ", ".join(sorted(map(str.upper, methods)))
    return problem_response(_unexplained(error.status_code), headers)


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    errors = [_input_error(entry) for entry in error.errors()]
    detail = "; ".join(f"{entry['in']}: {entry['says']}" for entry in errors)
    if any(entry["rule"] == "json_invalid" for entry in errors):
        return problem_response(_malformed(detail))
    problem = Problem(
        type=TYPE_PREFIX + "invalid-request",
        title="The request was understood and refused",
        status=HTTP_422_UNPROCESSABLE_CONTENT,
        detail=detail,
        errors=errors,
    )
    return problem_response(problem)


async def _on_crash(_: Request, __: Exception) -> Response:
    # The server logs the traceback; the client gets none of it, but the id by which to ask for it.
    # Other answers have it from `telemetry.RequestTelemetry`, which a crash leaves behind.
    headers = {"X-Request-Id": current_request_id() or ""}
    return problem_response(_unexplained(HTTP_500_INTERNAL_SERVER_ERROR), headers)


def _malformed(detail: str) -> Problem:
    return Problem(
        type=TYPE_PREFIX + "malformed-json",
        title="The request is not JSON",
        status=HTTP_400_BAD_REQUEST,
        detail=detail,
    )


def _unexplained(status_code: int) -> Problem:
    # RFC 9457: "about:blank" says nothing beyond what the status code says.
    status = HTTPStatus(status_code)
    return Problem(
        type="about:blank", title=status.phrase, status=status, detail=status.description
    )


def _input_error(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "in": ".".join(str(part) for part in entry["loc"]),
        "rule": entry["type"],
        "says": entry["msg"],
    }


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem detail."""
    app.add_exception_handler(ProblemError, answer_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_crash)
