"""Why a job came to nothing, as its customer reads it."""

from reports.models import Problem

_PREFIX = "urn:offloop:problem:"


def report_failed(error: Exception) -> Problem:
    """Describe an error that is no use retrying. The log has the traceback; customers do not."""
    return Problem(
        type=_PREFIX + "report-failed",
        title="The report could not be built",
        status=500,
        detail=f"{type(error).__name__} while building the report",
    )


def too_many_attempts(limit: int) -> Problem:
    """Describe a job that has ended its workers, or outlasted the time limit, again and again."""
    return Problem(
        type=_PREFIX + "too-many-attempts",
        title="The report could not be built",
        status=500,
        detail=f"None of {limit} attempts came to an end; the job is not tried again.",
    )
