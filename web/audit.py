"""The audit log: one line for each report ordered.

This is what BackgroundTasks is for: work so light that nobody would miss the time, and so
unimportant that nobody would miss the line if the process died before writing it.
"""

import logging

from reports.spec import ReportSpec

_log = logging.getLogger("offloop.audit")


async def audit(job_id: str, spec: ReportSpec) -> None:
    """Write down who ordered what. ``async``, so that it takes no thread of the pool."""
    order = spec.model_dump(mode="json", include=set(ReportSpec.model_fields))
    _log.info("report ordered", extra={"job_id": job_id, **order})
