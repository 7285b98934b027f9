"""Errors as problem details (RFC 9457), the same in both apps."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_422_UNPROCESSABLE_CONTENT

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


def file_not_ready(job_id: str, status: str) -> ProblemError:
    """Describe a file asked for before, or without, a finished report."""
    return ProblemError(
        409,
        "file-not-ready",
        "The report has no file",
        f"Report {job_id!r} is {status}; only a report that is done has a file.",
    )


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class alone
    return problem_response(error.problem, dict(error.headers or {}))


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    problem = Problem(
        type="about:blank",  # RFC 9457: nothing beyond what the status code says
        title=error.detail,
        status=error.status_code,
        detail=error.detail,
    )
    return problem_response(problem, dict(error.headers or {}))


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    errors = [_input_error(entry) for entry in error.errors()]
    malformed = any(entry["type"] == "json_invalid" for entry in error.errors())
    problem = Problem(
        type=TYPE_PREFIX + ("malformed-json" if malformed else "invalid-request"),
        title="The request is not JSON" if malformed else "The request was understood and refused",
        status=HTTP_400_BAD_REQUEST if malformed else HTTP_422_UNPROCESSABLE_CONTENT,
        detail="; ".join(f"{entry['in']}: {entry['says']}" for entry in errors),
        errors=errors,
    )
    return problem_response(problem)


def _input_error(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "in": ".".join(str(part) for part in entry["loc"]),
        "rule": entry["type"],
        "says": entry["msg"],
    }


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem detail."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
