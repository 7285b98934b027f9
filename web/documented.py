"""What the OpenAPI documents of both apps say about answers: every one that can be given."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from reports.spec import ReportFormat
from web.problems import MEDIA_TYPE

Json = dict[str, Any]

#: Answers by status, as ``responses=`` takes them.
Answers = dict[int | str, Json]

_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON, or a header is malformed.",
    HTTPStatus.NOT_FOUND: "There is no report of this id.",
    HTTPStatus.CONFLICT: "The report is in a state in which this cannot be done.",
    HTTPStatus.GONE: "The report was finished, but its file is no longer kept.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than any order.",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The file ends before this range begins.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request was understood and refused.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Nothing was promised or changed; try again.",
}


def _header(description: str, **schema: object) -> Json:
    return {"description": description, "required": True, "schema": schema}


_LOCATION = _header("Path of the report.", type="string", pattern="^/reports/[0-9a-f]{32}$")
_RETRY_AFTER = _header("Seconds after which to ask again.", type="integer", minimum=1)
_REPR_DIGEST = _header("SHA-256 of the whole file (RFC 9530).", type="string")
_CONTENT_RANGE = _header("How many bytes there are (RFC 9110).", type="string")

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

_HEADERS = {416: {"Content-Range": _CONTENT_RANGE}, 503: {"Retry-After": _RETRY_AFTER}}


def problems(*statuses: int) -> Answers:
    """Document that a route may answer with a problem of these statuses."""
    return {
        status: {
            "description": _MEANINGS[HTTPStatus(status)],
            "content": _PROBLEM,
            "headers": _HEADERS.get(status, {}),
        }
        for status in statuses
    }


#: What ordering a report is answered with, by an app that builds it and by one that will.
BUILT: Answers = {201: {"headers": {"Location": _LOCATION}}, **problems(400, 422)}
ACCEPTED: Answers = {
    202: {"headers": {"Location": _LOCATION, "Retry-After": _RETRY_AFTER}},
    **problems(400, 422),
}

_FILE: Json = {report_format.media_type: {} for report_format in ReportFormat}

#: What asking for a file is answered with.
FILE: Answers = {
    200: {"description": "The file.", "content": _FILE, "headers": {"Repr-Digest": _REPR_DIGEST}},
    206: {
        "description": "The part of the file that was asked for.",
        "content": {**_FILE, "multipart/byteranges": {}},
        "headers": {"Repr-Digest": _REPR_DIGEST},
    },
    **problems(404, 409, 410, 416),
}


class DocumentedApp(FastAPI):
    """FastAPI, without the answer of its own that it documents for every route with parameters."""

    def openapi(self) -> Json:
        """Return the document: what each route declares, and nothing else."""
        document = super().openapi()
        for path in document["paths"].values():
            for operation in path.values():
                refusal = operation["responses"].get("422", {"content": _PROBLEM})
                if MEDIA_TYPE not in refusal["content"]:
                    del operation["responses"]["422"]
        schemas = document.get("components", {}).get("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        return document
