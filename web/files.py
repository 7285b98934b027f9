"""How a report's file is sent, in both apps."""

from base64 import b64encode

from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from reports.models import Job
from reports.storage import ReportFiles
from web.problems import ProblemError


class _UnreadableRangeError(Exception):
    """The `Range` header is not one that can be understood."""


class _RangedFile(FileResponse):
    """Where `FileResponse` would refuse a range in plain text, do as RFC 9110 says.

    A range that makes no sense is ignored; one that lies outside the file is a problem.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or the part of it that was asked for."""

        async def send_file(message: Message) -> None:
            match message.get("status"):
                case 400:
                    raise _UnreadableRangeError
                case 416:
                    content_range = Headers(raw=message["headers"])["Content-Range"]
                    raise ProblemError(
                        416,
                        "range-outside-file",
                        "The file has no such range",
                        f"The file ends before it: {content_range}.",
                        {"Content-Range": content_range},
                    )
            await send(message)

        try:
            await super().__call__(scope, receive, send_file)
        except _UnreadableRangeError:
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            await super().__call__({**scope, "headers": headers}, receive, send)


def report_file(files: ReportFiles, job: Job) -> FileResponse:
    """Send the file of a report, with its digest (``Repr-Digest``, RFC 9530).

    Raises:
        ProblemError: 409, the report is not done; 410, the file is not there any more.
    """
    if job.result is None:
        raise ProblemError(
            409,
            "file-not-ready",
            "The report has no file",
            f"Report {job.job_id!r} is {job.status}; only a report that is done has a file.",
        )
    found = files.find(job.job_id)
    if found is None:
        raise ProblemError(
            410,
            "file-gone",
            "The file is gone",
            f"Report {job.job_id!r} was finished, but its file is no longer kept; order it again.",
        )
    path, report_format = found
    digest = b64encode(bytes.fromhex(job.result.sha256)).decode()
    return _RangedFile(
        path,
        media_type=report_format.media_type,
        filename=path.name,
        headers={"Repr-Digest": f"sha-256=:{digest}:"},
    )
