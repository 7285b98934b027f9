"""Messages as Dramatiq writes them, made without declaring the actor they are for.

The API must not import the actor: with it would come the report builder and all it needs.
A contract test holds these bytes against those of ``actor.send()``.
"""

from importlib.metadata import version
from uuid import uuid4

from dramatiq import Message

from workers.queues import BUILD_REPORT, Queue

#: The versions whose wire format the contract test has seen.
TESTED_DRAMATIQ = frozenset({"2.2.1"})


class UntestedDramatiqError(RuntimeError):
    """The installed Dramatiq may read messages in another way than this module writes them."""


def check_dramatiq_version(installed: str | None = None) -> None:
    """Refuse to start with a Dramatiq whose wire format was never compared with ours.

    Raises:
        UntestedDramatiqError: the version is not in `TESTED_DRAMATIQ`.
    """
    installed = installed or version("dramatiq")
    if installed not in TESTED_DRAMATIQ:
        raise UntestedDramatiqError(
            f"dramatiq {installed} is installed, but jobs are enqueued in the wire format of "
            f"{', '.join(sorted(TESTED_DRAMATIQ))}. Install one of these, or run "
            "tests/contract/test_messages.py against it and add it to TESTED_DRAMATIQ."
        )


def build_report_message(job_id: str, queue: Queue) -> Message[None]:
    """Return the message that makes a worker build the report of ``job_id``."""
    return Message(
        queue_name=queue,
        actor_name=BUILD_REPORT,
        args=(job_id,),
        kwargs={},
        # The id under which RedisBroker files a message; a retry gets a new one.
        options={"redis_message_id": str(uuid4())},
    )
