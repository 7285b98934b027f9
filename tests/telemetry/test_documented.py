"""`docs/telemetry.md`: the app runs as it is printed, and prints what the page says."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from offloop.stack.ports import free_port

pytestmark = pytest.mark.medium

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()

HANG_S = 30.0


def block(kind: str) -> str:
    """The first block of code of a kind that has several lines, or is long."""
    found: list[str] = re.findall(rf"(?ms)^```{kind}\n(.*?)^```", PAGE)
    return max(found, key=len)


class Served:
    """The documented app, served by uvicorn in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        (folder / "app.py").write_text(block("python").replace("9100", str(self.metrics_port)))
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "app:app", "--port", str(self.port)],
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def get(self, port: int, path: str) -> httpx.Response:
        """Ask until the app has started."""
        deadline = time.monotonic() + HANG_S
        while True:
            try:
                return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=HANG_S, trust_env=False)
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    app = Served(tmp_path_factory.mktemp("app"))
    yield app
    app.process.terminate()
    app.process.wait(HANG_S)


def test_the_stall_is_logged_as_the_page_shows(served: Served) -> None:
    served.get(served.port, "/export")

    deadline = time.monotonic() + HANG_S
    while "event loop stalled" not in served.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (line,) = [line for line in served.log.read_text().splitlines() if "event loop stalled" in line]

    (documented,) = re.findall(r"(?m)^event loop stalled .*$", PAGE)
    # How long it was differs, and so does the folder of the file.
    for pattern in (r"stall_s=\S+", r"file=\S+"):
        line, documented = (re.sub(pattern, "", text) for text in (line, documented))
    assert documented in line


def test_every_metric_of_the_page_is_served(served: Served) -> None:
    served.get(served.port, "/export")
    text = served.get(served.metrics_port, "/metrics").text

    named = re.findall(r"`((?:offloop|http_server)_\w+)`", PAGE)
    assert len(named) >= 8
    missing = [
        name for name in named if not re.search(rf"(?m)^{name}(_sum|_count|_bucket)?[{{ ]", text)
    ]
    assert missing == []
