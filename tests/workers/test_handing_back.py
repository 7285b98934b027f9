"""A slot that is told to stop: real SIGTERM, real slots."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from offloop.stack.failpoints import FailpointServer, Trap
from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint
from tests.shop import EVERYTHING, FIXED, HANG_S, Shop, client_of, follow, open_shop, wait_for

pytestmark = pytest.mark.medium

SLOT = "worker-long-1"

#: One attempt only: one that counted could not be followed by another.
ONE_ATTEMPT = {"OFFLOOP_MAX_ATTEMPTS": "1"}

#: Dramatiq's own deadline, which is short in the lab, must not end the slot before.
PATIENT = ("--worker-shutdown-timeout", "60000")


@dataclass(frozen=True)
class Stopping:
    """A tier whose one slot was told to stop while it was at work on a job, and is gone."""

    shop: Shop
    client: httpx.Client
    accepted: httpx.Response

    def job(self) -> dict[str, object]:
        job: dict[str, object] = self.client.get(self.accepted.headers["Location"]).json()
        return job


@contextmanager
def slot_told_to_stop(
    folder: Path, data_set: Mapping[str, str], *, grace_s: int
) -> Iterator[Stopping]:
    environment = {**data_set, **ONE_ATTEMPT, "OFFLOOP_SHUTDOWN_GRACE_S": str(grace_s)}
    at_work, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        at_work.set()
        assert go_on.wait(HANG_S)

    with (
        open_shop(folder / "logs", environment) as shop,
        FailpointServer(shop.stack.folder / "steps") as steps,
    ):
        steps.set(Trap(Failpoint.WRITE, hold))
        api, slot = shop.api(FIXED), shop.worker("long")
        here = {**slot.env, FAILPOINTS_VARIABLE: str(steps.path)}
        slot = replace(slot, env=here, command=(*slot.command, *PATIENT))
        shop.stack.start(api, shop.housekeeping(), slot)
        with client_of(api) as client:
            accepted = client.post("/reports", json=EVERYTHING)
            assert at_work.wait(HANG_S)
            # To all processes of the slot, as systemd does.
            os.killpg(shop.stack.pids()[SLOT][0], signal.SIGTERM)
            wait_for(lambda: "Shutting down" in shop.log(SLOT))
            go_on.set()
            wait_for(lambda: not shop.stack.pids().get(SLOT))
            yield Stopping(shop, client, accepted)


def test_a_job_that_ends_in_time_is_finished(tmp_path: Path, data_set: Mapping[str, str]) -> None:
    with slot_told_to_stop(tmp_path, data_set, grace_s=60) as stopping:
        job = stopping.job()

        assert (job["status"], job["attempt"]) == ("done", 1)
        assert "job handed back" not in stopping.shop.log(SLOT)


@pytest.mark.slow
def test_a_job_that_would_take_longer_is_handed_back_and_loses_no_attempt(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    with slot_told_to_stop(tmp_path, data_set, grace_s=0) as stopping:
        shop, handed_back = stopping.shop, stopping.job()
        files = list((shop.site.files / "fixed").iterdir())
        shop.stack.start(shop.worker("long", 2))
        job = follow(stopping.client, stopping.accepted)

        assert (handed_back["status"], handed_back["problem"]) == ("queued", None)
        assert files == []
        assert (job["status"], job["attempt"]) == ("done", 2)
        event = "job handed back: the slot stops"
        assert len(shop.events(SLOT, event=event, job_id=job["job_id"], attempt=1)) == 1
