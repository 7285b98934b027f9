"""Delete report files that are too old, or more than there is room for."""

import time
from contextlib import suppress
from pathlib import Path

from reports.publish import PART_SUFFIX

#: Seconds after which a file that is still being written belongs to a process that was killed:
#: the largest report takes less than two minutes, and writes all the time.
ABANDONED_S = 600


def expire_files(folder: Path, *, max_age_s: float, max_bytes: int) -> list[Path]:
    """Delete finished files beyond an age, then the oldest until the rest fits; and leftovers.

    Safe to run in several processes at once: a file that another one has deleted is no error.

    Args:
        folder: Holds the files of all reports.
        max_age_s: Seconds a finished file is kept.
        max_bytes: What all finished files may take together.

    Returns:
        What was deleted.
    """
    now = time.time()
    finished: list[tuple[float, int, Path]] = []
    deleted: list[Path] = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            status = path.stat()
            if path.name.endswith(PART_SUFFIX):
                if now - status.st_mtime > ABANDONED_S:
                    deleted.append(path)
            else:
                finished.append((status.st_mtime, status.st_size, path))
    room = max_bytes
    for modified, size, path in sorted(finished, reverse=True):
        room -= size
        if room < 0 or now - modified > max_age_s:
            deleted.append(path)
    for path in deleted:
        path.unlink(missing_ok=True)
    return deleted
