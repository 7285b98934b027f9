"""Files appear whole or not at all, also when the machine loses power."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from reports.failpoints import Failpoint, reached

#: Ending of a file that is still being written. A killed process leaves one behind;
#: nothing reads it, and anyone may delete it when it is old.
PART_SUFFIX = ".part"


@contextmanager
def published(target: Path) -> Iterator[BinaryIO]:
    """Open a file that becomes `target` when the block ends without an error.

    It is written beside `target` under another name, because a rename is atomic only within a
    file system. After any error the partial file is gone and `target` is as it was.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    part = target.with_name(f"{_part_prefix(target)}{uuid4().hex}{PART_SUFFIX}")
    try:
        with part.open("xb") as file:
            yield file
        publish_file(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def discard_parts(target: Path, *, before: float) -> None:
    """Delete the partial files of `target` that no process has written to since a moment.

    If a very slow process still writes one of them, its rename will fail.

    Args:
        target: The file that they were to become.
        before: Unix time, s. Files that were written to later are not touched.
    """
    for part in target.parent.glob(f"{_part_prefix(target)}*{PART_SUFFIX}"):
        with suppress(FileNotFoundError):
            if part.stat().st_mtime < before:
                part.unlink()


def target_name(part: Path) -> str:
    """Return the name of the file that a partial file was to become."""
    return part.name.removeprefix(".").rsplit(".", 2)[0]


def publish_file(part: Path, target: Path) -> None:
    """Rename a finished file to `target` in the same folder, its content durable first."""
    _fsync(part)
    reached(Failpoint.BEFORE_RENAME)
    part.replace(target)
    _fsync(target.parent)
    reached(Failpoint.AFTER_RENAME)


def _part_prefix(target: Path) -> str:
    return f".{target.name}."


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
