"""Short reports and long ones, in pools of their own."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from offloop.stack.failpoints import FailpointServer, Trap
from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint
from tests.shop import DAY, EVERYTHING, FIXED, HANG_S, client_of, follow, open_shop, order

pytestmark = pytest.mark.medium


def test_short_reports_are_built_while_a_long_one_is_and_another_waits(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        at_work.set()
        assert go_on.wait(HANG_S)

    with (
        open_shop(tmp_path, data_set) as shop,
        FailpointServer(shop.stack.folder / "steps") as steps,
    ):
        steps.set(Trap(Failpoint.WRITE, hold))
        api, (short, long) = shop.api(FIXED), shop.workers()
        long = replace(long, env={**long.env, FAILPOINTS_VARIABLE: str(steps.path)})
        shop.stack.start(api, short, long)
        with client_of(api) as client:
            accepted = [client.post("/reports", json=EVERYTHING) for _ in range(2)]
            assert at_work.wait(HANG_S)

            short_jobs = [order(client, DAY) for _ in range(3)]
            meanwhile = [client.get(answer.headers["Location"]).json() for answer in accepted]
            go_on.set()
            long_jobs = [follow(client, answer) for answer in accepted]

    assert [(job["queue"], job["status"]) for job in short_jobs] == [("short", "done")] * 3
    assert [(job["queue"], job["status"]) for job in meanwhile] == [
        ("long", "running"),
        ("long", "queued"),
    ]
    assert [job["status"] for job in long_jobs] == ["done", "done"]
