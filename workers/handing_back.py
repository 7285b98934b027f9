"""A slot that is told to stop finishes its job in time, or hands it back."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import dramatiq
from dramatiq.middleware import Middleware, Shutdown
from dramatiq.threading import raise_thread_exception


class HandingBack(Middleware):
    """Interrupts the slot's job once its time is over.

    Dramatiq's own notification interrupts at once, which throws away work that would have been
    finished a moment later.

    Args:
        grace_s: Seconds a job may go on after SIGTERM.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._over = False

    def after_process_boot(self, broker: dramatiq.Broker) -> None:  # noqa: ARG002 - Dramatiq passes it
        """Let a process be told to stop as often as anyone likes.

        To Dramatiq the second SIGTERM means "at once", but every stop comes twice where a
        supervisor signals all processes of a service, as systemd does by default: the main process
        passes on its own.
        """
        stop = signal.getsignal(signal.SIGTERM)
        told = False

        def stop_once(number: int, frame: FrameType | None) -> None:
            nonlocal told
            if not told and callable(stop):
                told = True
                stop(number, frame)

        signal.signal(signal.SIGTERM, stop_once)

    def before_worker_shutdown(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        worker: dramatiq.Worker,  # noqa: ARG002
    ) -> None:
        """Start the clock."""
        clock = threading.Timer(self._grace_s, self._interrupt)
        clock.daemon = True
        clock.start()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the block be interrupted.

        Raises:
            Shutdown: The slot was told to stop, and its time is over.
        """
        with self._lock:
            if self._over:
                raise Shutdown
            self._thread = threading.get_ident()
        try:
            yield
        finally:
            with self._lock:
                self._thread = None

    def _interrupt(self) -> None:
        # Under the lock, so that nothing is interrupted that has left the block.
        with self._lock:
            self._over = True
            if self._thread is not None:
                raise_thread_exception(self._thread, Shutdown)  # type: ignore[no-untyped-call]
