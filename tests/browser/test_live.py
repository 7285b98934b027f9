"""The live page in a real browser: one sees the stall, and the buttons work."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as BrowserPage

from tests.live.test_live import Page, page

pytestmark = pytest.mark.slow

__all__ = ["page"]

HANG_MS = 60_000


@pytest.fixture
def shown(browser: Browser, page: Page) -> Iterator[tuple[BrowserPage, list[str]]]:
    # Playwright evaluates what it waits for, which the page itself may not do.
    tab = browser.new_page(bypass_csp=True)
    seen: list[str] = []
    tab.on("console", lambda message: seen.append(message.text))
    tab.on("pageerror", lambda error: seen.append(str(error)))
    try:
        tab.goto(page.url)
        tab.wait_for_function("window.offloop.lanes.naive.pings.length > 20", timeout=HANG_MS)
        yield tab, seen
    finally:
        tab.close()


def stall_of_next_report(tab: BrowserPage, lane: str) -> float:
    """Order a report by the button; the slowest ping that was due while it was built, over that."""
    tab.select_option("#size", "three years")
    tab.click(f"button[data-lane={lane}][data-count='1']")
    tab.wait_for_function(
        f"[...window.offloop.lanes.{lane}.reports.values()].some((each) => each.state === 'ready')",
        timeout=HANG_MS,
    )
    tab.wait_for_timeout(1000)
    found: dict[str, Any] = tab.evaluate(
        f"""() => {{
          const lane = window.offloop.lanes.{lane};
          const report = [...lane.reports.values()].at(-1);
          const during = lane.pings.filter(
            ([dueS]) => dueS >= report.started_s && dueS <= report.finished_s);
          return {{ ms: Math.max(...during.map(([, ms]) => ms)),
                    built_ms: 1000 * (report.finished_s - report.started_s) }};
        }}"""
    )
    return float(found["ms"]) / float(found["built_ms"])


def test_one_sees_the_stall_in_the_naive_lane_only(
    shown: tuple[BrowserPage, list[str]],
) -> None:
    tab, seen = shown

    naive, fixed = (stall_of_next_report(tab, lane) for lane in ("naive", "fixed"))

    assert naive >= 0.3
    assert fixed <= naive / 3
    assert seen == []


def test_the_worker_can_be_killed_by_the_keyboard(shown: tuple[BrowserPage, list[str]]) -> None:
    tab, _ = shown

    tab.keyboard.press("k")

    tab.wait_for_function("document.getElementById('said').textContent.includes('killed')")
