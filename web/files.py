"""How a report's file is sent, in both apps."""

from base64 import b64encode

from fastapi.responses import FileResponse

from reports.models import Job
from reports.storage import ReportFiles
from web.problems import ProblemError


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
    return FileResponse(
        path,
        media_type=report_format.media_type,
        filename=path.name,
        headers={"Repr-Digest": f"sha-256=:{digest}:"},
    )
