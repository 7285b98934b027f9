"""Whatever is sent, both apps answer as their OpenAPI documents say, and nothing breaks them."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.shop import Json

pytestmark = pytest.mark.slow

HOOKS = Path(__file__).with_name("fuzzing.py")

#: Requests made up for each route and phase; a minute in all, most of it for reports of years.
EXAMPLES = 20


def fuzz(
    document: str, folder: Path, *options: str, examples: int = EXAMPLES
) -> subprocess.CompletedProcess[str]:
    """Send what Schemathesis makes of a document, the same each time, and apply all checks."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", document, "--no-color"),
            *("--checks", "all", "--generation-deterministic", "--max-examples", str(examples)),
            *("--continue-on-failure", "--report-har-path", str(folder / "har.json"), *options),
        ],
        cwd=folder,  # it leaves files behind
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        check=False,
    )


def answers(folder: Path) -> Counter[tuple[str, int]]:
    """How often which method was answered with which status."""
    entries: list[Json] = json.loads((folder / "har.json").read_text())["log"]["entries"]
    return Counter((each["request"]["method"], each["response"]["status"]) for each in entries)


def test_every_answer_is_as_documented(app: httpx.Client, tmp_path: Path) -> None:
    run = fuzz(f"{app.base_url}/openapi.json", tmp_path)

    assert run.returncode == 0, run.stdout + run.stderr
    seen = answers(tmp_path)
    assert {status for _, status in seen if status >= 500} <= {503}
    # It got beyond what is refused.
    assert seen["POST", 201] + seen["POST", 202] >= 5
    assert seen["GET", 200] >= EXAMPLES


def test_an_answer_that_is_not_documented_is_found(fixed: httpx.Client, tmp_path: Path) -> None:
    document = fixed.get("/openapi.json").json()
    del document["paths"]["/reports"]["post"]["responses"]["422"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))

    post = ("--include-path", "/reports", "--include-method", "POST", "--phases", "fuzzing")
    run = fuzz("openapi.json", tmp_path, "--url", str(fixed.base_url), *post, examples=5)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "Undocumented status code" in run.stdout
