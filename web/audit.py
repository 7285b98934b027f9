"""The audit log: one line for each report ordered.

This is what BackgroundTasks is for: work that takes next to no time, and whose loss is acceptable
if the process dies before the line is written.
"""

import logging

from reports.spec import ReportSpec

_log = logging.getLogger("offloop.audit")


async def audit(job_id: str, spec: ReportSpec) -> None:
    """Write down who ordered what. ``async``, so that it takes no thread of the pool."""
    order = spec.model_dump(mode="json", include=set(ReportSpec.model_fields))
    _log.info("report ordered", extra={"job_id": job_id, **order})
