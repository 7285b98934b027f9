import json
import threading
import time
from pathlib import Path

from offloop.telemetry.culprit import Site, current_site, most_common


def test_the_function_seen_most_often_wins_with_its_commonest_line() -> None:
    sites = [Site("a.py", "slow", 1), Site("a.py", "slow", 2), Site("a.py", "slow", 2)]
    others = [Site("b.py", "other", 9)] * 2

    assert most_common([*others, *sites]) == Site("a.py", "slow", 2)


def test_without_sites_there_is_no_culprit() -> None:
    assert most_common([]) is None


def test_a_thread_that_has_ended_is_nowhere() -> None:
    thread = threading.Thread(target=time.monotonic)
    thread.start()
    thread.join()
    assert thread.ident is not None

    assert current_site(thread.ident) is None


def test_it_is_the_innermost_application_frame_not_the_library_it_called() -> None:
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
