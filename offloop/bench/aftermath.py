"""Reading what a block has left behind: the ledger, the jobs and their files."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from offloop.bench.asking import NoAnswerError, NotFoundError, ask
from offloop.bench.effects import Effects, Entry, Served, ServedFile
from offloop.bench.stage import Setting
from offloop.load.records import ReportRow
from offloop.stack.service import Service

_TIMEOUT_S = 30.0

#: Seconds to wait for somebody who is writing to the ledger.
_BUSY_S = 5.0


class Aftermath:
    """What one arm leaves behind in one block; made before the block, because ledgers only grow.

    Args:
        setting: The services behind the arm.
        whole: The SHA-256 of what is ordered, as it is when nothing disturbs the work.
    """

    def __init__(self, setting: Setting, whole: Collection[str]) -> None:
        self._setting = setting
        self._whole = whole
        self._begin = len(read_ledger(setting.site.ledger) or ())

    def read(self, reports: Iterable[ReportRow]) -> Effects:
        """Wait until no job is left that waits or is worked on, and look what there is.

        Args:
            reports: Those of the block that were followed.

        Raises:
            NotIdleError: there are still jobs after a minute.
            NoAnswerError: the API does not answer.
        """
        self._setting.wait_until_empty()
        ledger = read_ledger(self._setting.site.ledger)
        entries = None if ledger is None else ledger[self._begin :]
        # Nobody follows an order that was taken for another one, but it was billed.
        known = {row.job_id for row in reports if row.job_id is not None}
        billed = {entry.job_id for entry in entries or ()}
        jobs = [look_at(self._setting.api, job_id) for job_id in sorted(known | billed)]
        return Effects(self._whole, jobs, entries)


def read_ledger(path: Path) -> list[Entry] | None:
    """Return the billing ledger, oldest entry first; None where there is none.

    It belongs to the job tier, of which the lab imports nothing; a test compares the two.
    """
    if not path.exists():
        return None
    address = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as ledger:
        found = ledger.execute("select job_id, request_ref from ledger order by rowid")
        return [Entry(*row) for row in found]


def look_at(api: Service, job_id: str) -> Served:
    """Ask for a job and, if it is done, for its file, as any client would.

    A job that the API does not know any more is not done: a finding, and no fault of the lab.

    Raises:
        NoAnswerError: the API does not answer.
    """
    url = f"{api.url}/reports/{job_id}"
    try:
        job: dict[str, Any] = json.loads(ask(api, url, timeout_s=_TIMEOUT_S))
    except NotFoundError:
        return Served(job_id, 0, is_done=False, file=None)
    is_done = job["status"] == "done"
    file = _fetch(api, f"{url}/file") if is_done else None
    return Served(job_id, job["attempt"], is_done, file)


def _fetch(api: Service, url: str) -> ServedFile | None:
    try:
        content = ask(api, url, timeout_s=_TIMEOUT_S)
    except NoAnswerError:
        return None  # a finding, not a fault of the lab: the job is said to be done
    return ServedFile(len(content), sha256(content).hexdigest())
