"""The queues of the job tier as the lab sees them: by name, from outside."""

from redis import Redis

#: The queues of the tier. The lab imports nothing of it; a test compares the two.
QUEUES = ("short", "long")


def unfinished(redis: Redis) -> dict[str, int]:
    """Count the messages of each queue that are waiting or being worked on; only those above 0."""
    # Dramatiq keeps a message in this hash until it is acknowledged.
    counts = {queue: int(redis.hlen(f"dramatiq:{queue}.msgs")) for queue in QUEUES}
    return {queue: count for queue, count in counts.items() if count}
