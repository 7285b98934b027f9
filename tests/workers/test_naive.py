"""The naive tier: as good as the other while nothing goes wrong, and only then."""

import signal
import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from offloop.stack.failpoints import FailpointServer, Trap
from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint
from tests.shop import (
    DAY,
    EVERYTHING,
    FIXED,
    HANG_S,
    Json,
    Shop,
    client_of,
    deliver,
    follow,
    open_shop,
    order,
)

pytestmark = pytest.mark.medium

NAIVE_TIER = "workers.naive"
SLOT = "worker-long-1"


def entries(shop: Shop, job: Json) -> int:
    """How often a job was billed."""
    with closing(sqlite3.connect(shop.site.files / "ledger.sqlite")) as ledger:
        count = ledger.execute("select count(*) from ledger where job_id = ?", (job["job_id"],))
        return int(count.fetchone()[0])


@pytest.fixture(scope="module")
def calm(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[tuple[Shop, httpx.Client]]:
    """The naive tier, left in peace."""
    with open_shop(tmp_path_factory.mktemp("calm"), data_set) as shop:
        api = shop.api(FIXED)
        shop.stack.start(api, shop.housekeeping(), *shop.workers(NAIVE_TIER))
        with client_of(api) as client:
            yield shop, client


@pytest.mark.parametrize("spec", [DAY, EVERYTHING], ids=["short", "long"])
def test_left_in_peace_it_makes_the_same_report_as_the_other_tier(
    calm: tuple[Shop, httpx.Client], fixed: httpx.Client, spec: Mapping[str, str]
) -> None:
    shop, client = calm

    job, other = order(client, spec), order(fixed, spec)

    assert job["status"] == "done"
    assert job["result"] == other["result"]
    assert (
        sha256(client.get(f"/reports/{job['job_id']}/file").content).hexdigest()
        == (job["result"]["sha256"])
    )
    assert entries(shop, job) == 1


def test_a_message_delivered_again_bills_the_job_again(calm: tuple[Shop, httpx.Client]) -> None:
    shop, client = calm
    job = order(client, DAY)

    deliver(shop, job["job_id"])

    assert client.get(f"/reports/{job['job_id']}").json()["attempt"] == 2
    assert entries(shop, job) == 2


@dataclass(frozen=True)
class Killed:
    """What came of a job whose slot was killed at a step, and started again."""

    shop: Shop
    client: httpx.Client
    job: Json


@contextmanager
def killed_at(
    step: Failpoint, tier: str, folder: Path, data_set: Mapping[str, str]
) -> Iterator[Killed]:
    with (
        open_shop(folder / "logs", data_set) as shop,
        FailpointServer(shop.stack.folder / "steps") as steps,
    ):

        def kill(_: int) -> None:
            shop.stack.signal(SLOT, signal.SIGKILL)

        trap = steps.set(Trap(step, kill))
        api, slot = shop.api(FIXED), shop.worker("long", tier=tier)
        slot = replace(slot, env={**slot.env, FAILPOINTS_VARIABLE: str(steps.path)})
        shop.stack.start(api, shop.housekeeping(), slot)
        with client_of(api) as client:
            accepted = client.post("/reports", json=EVERYTHING)
            assert trap.sprung.wait(HANG_S)
            shop.stack.stop(SLOT)  # and see that nothing of it is left
            shop.stack.start(slot)
            yield Killed(shop, client, follow(client, accepted))


@pytest.mark.slow
@pytest.mark.parametrize(("tier", "times"), [(NAIVE_TIER, 2), ("workers.fixed", 1)])
def test_killed_after_billing_the_naive_tier_bills_twice_and_the_fixed_one_once(
    tmp_path: Path, data_set: Mapping[str, str], tier: str, times: int
) -> None:
    with killed_at(Failpoint.AFTER_BILLING, tier, tmp_path, data_set) as killed:
        assert killed.job["status"] == "done"
        assert entries(killed.shop, killed.job) == times


@pytest.mark.slow
def test_killed_while_it_writes_the_naive_tier_serves_the_torn_file_as_if_it_were_whole(
    tmp_path: Path, data_set: Mapping[str, str], fixed: httpx.Client
) -> None:
    whole = order(fixed, EVERYTHING)
    with killed_at(Failpoint.WRITE, NAIVE_TIER, tmp_path, data_set) as killed:
        answer = killed.client.get(f"/reports/{killed.job['job_id']}/file")

        assert killed.job["status"] == "done"
        assert killed.job["result"]["rows"] == whole["result"]["rows"]
        assert 0 < len(answer.content) < whole["result"]["bytes"]
        digest = b64encode(sha256(answer.content).digest()).decode()
        assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


@pytest.mark.slow
def test_killed_while_it_writes_the_fixed_tier_serves_the_whole_file_and_leaves_no_other(
    tmp_path: Path, data_set: Mapping[str, str], fixed: httpx.Client
) -> None:
    with killed_at(Failpoint.WRITE, "workers.fixed", tmp_path, data_set) as killed:
        answer = killed.client.get(f"/reports/{killed.job['job_id']}/file")
        files = list((killed.shop.site.files / "fixed").iterdir())

    assert killed.job["result"] == order(fixed, EVERYTHING)["result"]
    assert sha256(answer.content).hexdigest() == killed.job["result"]["sha256"]
    assert [file.name for file in files] == [f"{killed.job['job_id']}.csv.gz"]
