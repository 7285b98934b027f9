"""How a report's file is sent, in both apps."""

from base64 import b64encode

from fastapi.responses import FileResponse

from reports.storage import ReportFiles
from web.problems import ProblemError


def report_file(
    files: ReportFiles, job_id: str, headers: dict[str, str] | None = None
) -> FileResponse:
    """Send the file of a report that is known to be finished.

    Raises:
        ProblemError: 410, the file is not there any more.
    """
    found = files.find(job_id)
    if found is None:
        raise ProblemError(
            410,
            "file-gone",
            "The file is gone",
            f"Report {job_id!r} was finished, but its file is no longer kept; order it again.",
        )
    path, report_format = found
    return FileResponse(
        path, media_type=report_format.media_type, filename=path.name, headers=headers
    )


def repr_digest(sha256: str) -> str:
    """Return the ``Repr-Digest`` header (RFC 9530) for a hexadecimal SHA-256."""
    return f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"
