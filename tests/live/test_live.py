"""`offloop live`: what the page is told, and who may press its buttons."""

import json
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.cli.checkout import COMMAND_HANG_S, END_HANG_S, make_checkout, read_until
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

Json = dict[str, Any]


@dataclass
class Page:
    """A page that listens, as a browser's would.

    Attributes:
        url: Where it is.
        token: Which it was given.
        pings: Of each lane, those that have ended: when they were due, and their milliseconds.
        reports: Of each lane, the latest that was told of each.
    """

    url: str
    token: str
    pings: dict[str, list[tuple[float, float | None]]] = field(default_factory=dict)
    reports: dict[str, dict[int, Json]] = field(default_factory=dict)

    def listen(self) -> None:
        """Read events until the server ends."""
        try:
            with httpx.stream(
                "GET", f"{self.url}events", timeout=COMMAND_HANG_S, trust_env=False
            ) as events:
                for line in events.iter_lines():
                    if line.startswith("data: "):
                        self._hear(json.loads(line.removeprefix("data: ")))
        except httpx.HTTPError:
            pass  # the server has ended

    def _hear(self, event: Json) -> None:
        for lane, pings in event.get("pings", {}).items():
            self.pings.setdefault(lane, []).extend(tuple(each) for each in pings["ended"])
        if report := event.get("report"):
            self.reports.setdefault(report["lane"], {})[report["number"]] = report

    def press(self, button: str, body: Mapping[str, object], **headers: str) -> httpx.Response:
        sent = {"x-offloop-token": self.token, **headers}
        return httpx.post(f"{self.url}{button}", json=body, headers=sent, trust_env=False)

    def ready(self, lane: str, number: int) -> Json:
        """The report, once it is ready."""

        def is_ready() -> Json | None:
            report = self.reports.get(lane, {}).get(number, {})
            assert report.get("state") != "failed", report
            return report if report.get("state") == "ready" else None

        return wait_for(is_ready, hang_s=COMMAND_HANG_S) or {}

    def slowest_ms(self, lane: str, from_s: float, until_s: float) -> float:
        """The slowest ping that was due in this time; all of them have been answered."""
        times = [ms for due_s, ms in self.pings[lane] if from_s <= due_s <= until_s]
        assert times
        assert None not in times
        return max(ms for ms in times if ms is not None)

    def waits_until(self, lane: str, due_s: float) -> None:
        """Return once pings that were due later have ended."""
        wait_for(lambda: self.pings.get(lane) and self.pings[lane][-1][0] > due_s)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]) -> Iterator[Page]:
    checkout = make_checkout(tmp_path_factory.mktemp("live") / "checkout")
    process = checkout.start("live", env=data_set)
    (line,) = [line for line in read_until(process, "Watch: ") if "Watch: " in line]
    (url,) = re.findall(r"http://\S+/", line)
    text = wait_for(lambda: served(url), hang_s=COMMAND_HANG_S)
    (token,) = re.findall(r'name="token" content="([^"]+)"', text)
    found = Page(url, token)
    threading.Thread(target=found.listen, daemon=True).start()
    found.waits_until("naive", 0.5)
    yield found
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=END_HANG_S)
    assert process.returncode in {0, 130}
    wait_for(lambda: not checkout.running())


def served(url: str) -> str:
    try:
        return httpx.get(url, trust_env=False).raise_for_status().text
    except httpx.ConnectError:
        return ""


def order(page: Page, lane: str, size: str = "three years", count: int = 1) -> None:
    asked = {"lane": lane, "size": size, "count": count}
    assert page.press("order", asked).status_code == 200


def test_a_report_stalls_the_pings_of_the_naive_lane_and_not_those_of_the_fixed_one(
    page: Page,
) -> None:
    stalls = {}
    for lane in ("naive", "fixed"):
        number = len(page.reports.get(lane, {})) + 1
        order(page, lane)
        report = page.ready(lane, number)
        began_s, ended_s = report["started_s"], report["finished_s"]
        page.waits_until(lane, ended_s)
        # Where rows are fetched first, the loop is held for the rest of the time.
        stalls[lane] = page.slowest_ms(lane, began_s, ended_s) / (1000 * (ended_s - began_s))

    assert stalls["naive"] >= 0.3
    assert stalls["fixed"] <= stalls["naive"] / 3


def test_killing_the_worker_loses_no_report(page: Page) -> None:
    first = len(page.reports.get("fixed", {})) + 1
    order(page, "fixed", count=10)
    numbers = range(first, first + 10)
    wait_for(
        lambda: any(page.reports["fixed"].get(each, {}).get("state") == "ready" for each in numbers)
    )

    assert page.press("kill", {}).json() == {"killed": True}

    assert [page.ready("fixed", number)["state"] for number in numbers] == ["ready"] * 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"origin": "http://evil.example"}, "Another page may not press"),
        ({"x-offloop-token": "guessed"}, "token is missing"),
        ({"host": "evil.example"}, "loopback only"),
    ],
)
def test_nothing_but_the_page_may_press_its_buttons(
    page: Page, change: dict[str, str], said: str
) -> None:
    refused = page.press("kill", {}, **change)

    assert refused.status_code == 403
    assert said in refused.text


@pytest.mark.parametrize(
    "body", [{"lane": "naive", "size": "a year", "count": 11}, {"lane": "other"}, {}]
)
def test_an_order_that_the_page_does_not_offer_is_refused(page: Page, body: Json) -> None:
    assert page.press("order", body).status_code == 400


def test_another_first_fix_can_play_naive(page: Page) -> None:
    way = "naive_app.attempts.to_thread"

    assert page.press("way", {"way": way}).json() == {"way": way}

    number = len(page.reports.get("naive", {})) + 1
    order(page, "naive", "one month")
    assert page.ready("naive", number)["state"] == "ready"
