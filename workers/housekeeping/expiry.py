"""Delete report files that are too old, or more than there is room for."""

import logging
import time
from contextlib import suppress
from pathlib import Path

from redis import Redis

from reports.models import JobStatus
from reports.publish import PART_SUFFIX, target_name
from workers.records import record_key
from workers.settings import TierSettings

_log = logging.getLogger(__name__)


class Expiry:
    """Looks after the folder of report files. Run it in any number of processes.

    Args:
        settings: How long files are kept, and how many bytes of them.
        folder: Holds the files of all reports.
    """

    def __init__(self, settings: TierSettings, folder: Path) -> None:
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)
        self._max_age_s = settings.file_ttl_s
        self._max_bytes = settings.files_max_bytes
        self._folder = folder

    def run(self) -> list[Path]:
        """Delete finished files beyond an age, then the oldest until the rest fits; and leftovers.

        Returns:
            What was deleted.

        Raises:
            RedisError: the broker did not answer.
            OSError: the folder is away.
        """
        parts: list[Path] = []
        finished: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another process has deleted it
                status = path.stat()
                if path.name.endswith(PART_SUFFIX):
                    parts.append(path)
                else:
                    finished.append((status.st_mtime, status.st_size, path))
        expired = [*filter(self._is_left_over, parts), *self._beyond_limits(finished)]
        for path in expired:
            path.unlink(missing_ok=True)
            _log.info("file expired", extra={"file": path.name})
        return expired

    def _is_left_over(self, part: Path) -> bool:
        """Whether a partial file, seen a moment ago, is one that no running attempt writes.

        What an earlier attempt has left of a job that runs is deleted by the attempt itself.
        """
        job_id = target_name(part).partition(".")[0]
        return self._redis.hget(record_key(job_id), "status") != JobStatus.RUNNING

    def _beyond_limits(self, files: list[tuple[float, int, Path]]) -> list[Path]:
        now = time.time()
        room = self._max_bytes
        expired = []
        for modified, size, path in sorted(files, reverse=True):
            if size > room or now - modified > self._max_age_s:
                expired.append(path)
            else:
                room -= size
        return expired
