"""Where the files of finished reports are: one folder, one name a report."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reports.spec import ReportFormat, ReportResult

_JOB_ID = re.compile(r"[0-9a-f]{32}")


def is_job_id(text: str) -> bool:
    """Whether ``text`` could be the id of a report: 32 lower-case hexadecimal digits.

    Ids reach file names and keys, so whatever does not look like one is an unknown id.
    """
    return _JOB_ID.fullmatch(text) is not None


def result_as_found(path: Path, rows: int) -> ReportResult:
    """Describe a report by the file that is there, without its summary.

    The file is assumed to be complete.
    """
    content = path.read_bytes()
    digest = sha256(content).hexdigest()
    return ReportResult(rows=rows, bytes=len(content), sha256=digest, summary=())


@dataclass(frozen=True)
class ReportFiles:
    """The folder that holds the files of all reports."""

    folder: Path

    def path(self, job_id: str, report_format: ReportFormat) -> Path:
        """Return where the file of a report is, or is to be."""
        return self.folder / f"{job_id}{report_format.suffix}"

    def find(self, job_id: str) -> tuple[Path, ReportFormat] | None:
        """Return the file of a report and its format, or None where there is no such file."""
        if not is_job_id(job_id):
            return None
        for report_format in ReportFormat:
            path = self.path(job_id, report_format)
            if path.exists():
                return path, report_format
        return None
