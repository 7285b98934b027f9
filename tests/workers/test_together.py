"""The tier as a whole, from the order to the callback, with housekeeping twice by mistake."""

import signal
import sqlite3
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.receiver import Receiver, status
from tests.shop import DAY, EVERYTHING, FIXED, client_of, follow, open_shop, wait_for

pytestmark = pytest.mark.slow

SECRET = "whsec_" + b64encode(b"twenty-four random bytes").decode()


def test_with_housekeeping_twice_jobs_are_done_billed_and_told_of_once(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    receiver = Receiver()
    receiver.answer(status(500))  # the first time
    environment = {
        **data_set,
        "OFFLOOP_CALLBACK_HOSTS": receiver.host,
        "OFFLOOP_WEBHOOK_SECRET": SECRET,
        "OFFLOOP_CALLBACK_FIRST_RETRY_S": "0.1",
    }
    with closing(receiver), open_shop(tmp_path, environment) as shop:
        api, slot = shop.api(FIXED), shop.worker("long")
        twin = replace(shop.housekeeping(), name="housekeeping-twin")
        shop.stack.start(api, slot, shop.worker("short"), shop.housekeeping(), twin)
        with client_of(api) as client:
            specs = (EVERYTHING, DAY, DAY, DAY)
            orders = [{**spec, "callback_url": f"{receiver.url}/hook"} for spec in specs]
            accepted = [client.post("/reports", json=order) for order in orders]
            location = accepted[0].headers["Location"]
            wait_for(lambda: client.get(location).json()["status"] == "running")
            shop.stack.signal(slot.name, signal.SIGKILL)
            shop.stack.start(shop.worker("long", 2))
            jobs = [follow(client, answer) for answer in accepted]
            wait_for(lambda: len(receiver.deliveries) == len(jobs) + 1)

        with closing(sqlite3.connect(shop.site.files / "ledger.sqlite")) as ledger:
            billed = [job_id for (job_id,) in ledger.execute("select job_id from ledger")]

    assert [(job["status"], job["attempt"]) for job in jobs] == [("done", 2), *[("done", 1)] * 3]
    job_ids = sorted(job["job_id"] for job in jobs)
    assert sorted(billed) == job_ids
    # One was refused and sent again, under the same id.
    assert len(set(receiver.event_ids)) == len(jobs)
    told = [delivery.verified(SECRET) for delivery in receiver.deliveries]
    assert sorted({event["data"]["job_id"] for event in told if isinstance(event, dict)}) == job_ids
