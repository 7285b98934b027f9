import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from offloop.load.generator import Generator

HERE = Path(__file__).parent


@contextmanager
def run_server(script: str, *arguments: str) -> Iterator[str]:
    """Run a server of this directory and give its URL; it ends when its input does."""
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def generator() -> Iterator[Generator]:
    with Generator() as generator:
        yield generator


@pytest.fixture(scope="session")
def odd_server() -> Iterator[str]:
    with run_server("odd_server.py") as url:
        yield url
