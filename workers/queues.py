"""Names that the API and the workers must agree on. Importing them imports no work."""

from enum import StrEnum


class Queue(StrEnum):
    """The queues of the tier."""

    REPORTS = "reports"


#: The actor that builds reports; `workers.fixed` declares it under this name.
BUILD_REPORT = "build_report"

#: Dramatiq's prefix for its keys (its default).
NAMESPACE = "dramatiq"
