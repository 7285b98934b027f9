"""How many orders an API process has accepted and refused."""

from enum import StrEnum

from prometheus_client import Counter

from workers.queues import Queue


class Rejection(StrEnum):
    """Why an order was refused."""

    QUEUE_FULL = "queue_full"
    KEY_REUSED = "key_reused"
    BROKER_UNAVAILABLE = "broker_unavailable"


ACCEPTED = Counter("offloop_jobs_accepted", "Jobs that were accepted.", labelnames=("queue",))
REJECTED = Counter(
    "offloop_jobs_rejected",
    "Orders that were refused, and nothing promised.",
    labelnames=("queue", "reason"),
)

# There from the start: whoever counts what is gained would miss the first of a series.
for _queue in Queue:
    ACCEPTED.labels(_queue)
    for _reason in Rejection:
        REJECTED.labels(_queue, _reason)
