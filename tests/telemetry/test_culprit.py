import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from offloop.telemetry.culprit import Site, current_site, most_common, short_path

#: A guard against hanging.
HANG_S = 30.0


def test_the_function_seen_most_often_wins_with_its_commonest_line() -> None:
    sites = [Site("a.py", "slow", 1), Site("a.py", "slow", 2), Site("a.py", "slow", 2)]
    others = [Site("b.py", "other", 9)] * 2

    assert most_common([*others, *sites]) == Site("a.py", "slow", 2)


def test_without_sites_there_is_no_culprit() -> None:
    assert most_common([]) is None


def test_a_thread_that_has_ended_has_no_site() -> None:
    thread = threading.Thread(target=time.monotonic)
    thread.start()
    thread.join()
    assert thread.ident is not None

    assert current_site(thread.ident) is None


def test_the_culprit_is_the_innermost_frame_of_the_application() -> None:
    """The object hook runs inside the standard library's decoder."""
    seen: list[Site | None] = []
    here = threading.get_ident()

    def look() -> None:
        thread = threading.Thread(target=lambda: seen.append(current_site(here)))
        thread.start()
        thread.join()

    def application() -> None:
        # `json` calls back from within its own frames; joining a thread waits in more of them.
        json.loads("{}", object_hook=lambda _: look())

    application()

    assert len(seen) == 1
    assert seen[0] is not None
    assert Path(seen[0].file) == Path(__file__)
    assert seen[0].function.endswith("look")


def site_during(waits: Callable[[threading.Event], object]) -> Site | None:
    """Where this thread is while it waits, in `waits`, for the event that it gives that."""
    here, seen = threading.get_ident(), threading.Event()
    sites: list[Site | None] = []

    def is_waiting() -> bool:
        # In `waits`, and not for the other thread to start.
        frame = sys._current_frames()[here]  # noqa: SLF001 - as the module does
        names = [each.f_code.co_name for each, _ in traceback.walk_stack(frame)]
        return names[0] == "wait" and "start" not in names

    def look() -> None:
        while not is_waiting():
            time.sleep(0.001)
        sites.append(current_site(here))
        seen.set()

    threading.Thread(target=look, daemon=True).start()
    waits(seen)
    assert len(sites) == 1
    return sites[0]


def test_a_comprehension_is_a_part_of_the_function_that_it_is_written_in() -> None:
    def work(seen: threading.Event) -> list[bool]:
        return [seen.wait(HANG_S) for _ in range(1)]

    site = site_during(work)

    assert site is not None
    assert site.function.endswith("<locals>.work")


@dataclass
class Route:
    path: str


class BadRoute:
    @property
    def path(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("scope", "endpoint"),
    [
        ({"type": "http", "method": "GET", "route": Route("/a/{b}"), "path": "/a/7"}, "GET /a/{b}"),
        ({"type": "websocket", "route": Route("/live")}, "websocket /live"),
        ({"type": "http", "method": "GET", "endpoint": site_during}, "GET site_during"),
        ({"type": "http", "method": "GET", "endpoint": Route("/")}, "GET Route"),
        ({"type": "http", "method": "GET", "path": "/a/7"}, None),
        ({"type": "http", "method": "GET", "route": BadRoute()}, None),
        ({"type": "lifespan"}, None),
        ("no request", None),
    ],
)
def test_the_request_is_named_by_its_template_and_never_by_its_path(
    scope: object, endpoint: str | None
) -> None:
    def app(scope: object, seen: threading.Event) -> None:
        seen.wait(HANG_S)

    site = site_during(lambda seen: app(scope, seen))

    assert site is not None
    assert site.endpoint == endpoint
    assert site.function.endswith("app")


def test_the_innermost_request_is_named_that_has_a_name() -> None:
    outer, inner = (
        {"type": "http", "method": "GET", "route": Route(path)} for path in ("/outer", "/inner")
    )
    unknown: dict[str, object] = {"type": "http", "method": "GET"}

    def app(scopes: list[dict[str, object]], seen: threading.Event) -> None:
        scope, *rest = scopes
        assert scope
        if rest:
            app(rest, seen)
        else:
            seen.wait(HANG_S)

    site = site_during(lambda seen: app([outer, inner, unknown], seen))

    assert site is not None
    assert site.endpoint == "GET /inner"


def test_a_file_is_named_as_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "packages"
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(inside), "relative"])

    assert short_path(str(tmp_path / "app" / "slow.py")) == "app/slow.py"
    assert short_path(str(inside / "lib" / "slow.py")) == "lib/slow.py"
    assert short_path(str(tmp_path.parent / "slow.py")) == "slow.py"
    assert short_path("<string>") == "<string>"
