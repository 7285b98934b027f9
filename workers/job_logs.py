"""Every line that a slot logs while it works says for which job."""

import dramatiq
from dramatiq.middleware import Middleware
from structlog.contextvars import bind_contextvars, clear_contextvars


def begin_attempt(number: int, request_id: str | None) -> None:
    """Put an attempt into the lines that are logged from now on, and the request that ordered it.

    Args:
        number: Of the attempt.
        request_id: Of the request; None if it had none.
    """
    bind_contextvars(attempt=number, **({"request_id": request_id} if request_id else {}))


class JobLogs(Middleware):
    """Puts the job into the lines that are logged while its message is worked on."""

    def before_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        message: dramatiq.MessageProxy,
    ) -> None:
        """The job begins."""
        bind_contextvars(job_id=message.args[0], queue=message.queue_name)

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes them
        message: dramatiq.MessageProxy,  # noqa: ARG002
        *,
        result: object = None,  # noqa: ARG002
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        """It is over."""
        clear_contextvars()
