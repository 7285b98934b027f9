"""What happened, in the order in which it did: to find the cause of a violation."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Journal:
    """A file with a line for each event, and the seconds since it was opened."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._begin = time.monotonic()

    def note(self, words: str) -> None:
        """Write down an event."""
        with self._lock:
            if not self._file.closed:
                self._file.write(f"{time.monotonic() - self._begin:9.3f} {words}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._file.close()
