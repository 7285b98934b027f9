"""`results.html` in a real browser: readable, accessible, and nothing is fetched."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from offloop.measuring.verdicts import Verdict
from tests.bench.support import block, result
from tests.pages.test_results_page import REQUESTS, SOUND, page_of, run_with

pytestmark = pytest.mark.slow

RUNS = {
    "pass": run_with(Verdict.PASS, SOUND),
    "fail": run_with(Verdict.FAIL, result([block(fixed={"bystander.failed": 3})])),
    "no verdict": run_with(
        Verdict.NO_VERDICT, SOUND.model_copy(update={"verdict": Verdict.NO_VERDICT})
    ),
    "interrupted": run_with(Verdict.NO_VERDICT, interrupted=True),
    "all": run_with(Verdict.PASS, *[SOUND] * 10),
}

#: The most bytes that a page of three experiments may have, and of all.
MOST_BYTES = {"all": 5_000_000}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, run in RUNS.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(page_of(run, folder / "runs" / name, REQUESTS))
    return found


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> object:
    return request.param


@pytest.fixture(params=[1280, 400])
def opened(
    browser: Browser, scheme: Literal["light", "dark"], request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str]]]:
    """A page that is about to be opened, and what it complains of or fetches."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": request.param, "height": 900})
    seen: list[str] = []
    page.on("console", lambda message: seen.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))
    page.on("request", lambda each: seen.append(each.url) if each.url[:5] != "file:" else None)
    yield page, seen
    page.close()


@pytest.mark.parametrize("name", RUNS)
def test_a_page_is_readable_and_fetches_nothing(
    opened: tuple[Page, list[str]], pages: Mapping[str, Path], name: str
) -> None:
    page, seen = opened
    page.goto(pages[name].as_uri())

    assert seen == []
    # Nothing sticks out at the side: what is wide scrolls by itself.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    violations = Axe().run(page).response["violations"]
    serious = [each for each in violations if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in serious] == []
    assert pages[name].stat().st_size <= MOST_BYTES.get(name, 1_500_000)
