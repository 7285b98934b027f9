"""The client's percentiles against a server that logs when each answer left."""

import subprocess
import sys
from pathlib import Path

import pytest

from offloop.load.arrivals import constant, poisson
from offloop.load.generator import Generator
from offloop.load.log import RequestLog
from offloop.load.percentiles import Percentiles
from offloop.load.plan import Plan, Stream

SERVER = Path(__file__).with_name("stalling_server.py")

#: The greater of the two is the agreement that is promised.
TOLERANCE_MS = 2.0
TOLERANCE_SHARE = 0.02


def measured_and_true(
    generator: Generator, directory: Path, due_s: list[float], *, stall_s: float, every_s: float
) -> tuple[RequestLog, Percentiles, Percentiles]:
    left_log = directory / "left.csv"
    command = [
        sys.executable,
        str(SERVER),
        str(left_log),
        f"--stall={stall_s}",
        f"--every={every_s}",
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        stream = Stream(name="ping", path="/ping", base_url=url, due_s=due_s)
        plan = Plan(streams=[stream], duration_s=due_s[-1] + 0.001, drain_s=5, seed=7)
        log = generator.run(plan, directory)
        server.communicate()
    left = dict(line.split(",") for line in left_log.read_text().split())
    assert len(left) == len(due_s), "every request was answered once"
    true = Percentiles.of(
        (float(left[f"7-{index}"]) - log.start_monotonic_s - row.due_s) * 1000
        for index, row in enumerate(log.requests)
    )
    measured = log.summary()["ping"].response_ms
    assert true is not None
    assert measured is not None
    return log, measured, true


@pytest.mark.slow
@pytest.mark.parametrize(
    ("due_s", "stall_s", "every_s"),
    [
        pytest.param(constant(50, 10, 7), 1.0, 5.0, id="1 s in every 5 at 50 requests a second"),
        pytest.param(poisson(500, 6, 7), 0.2, 1.0, id="0.2 s in every 1 at 500 requests a second"),
    ],
)
def test_response_times_agree_with_the_moments_at_which_answers_left(
    generator: Generator, tmp_path: Path, due_s: list[float], stall_s: float, every_s: float
) -> None:
    log, measured, true = measured_and_true(
        generator, tmp_path, due_s, stall_s=stall_s, every_s=every_s
    )

    summary = log.summary()["ping"]
    assert summary.sent == summary.answered == len(due_s)
    assert true.p99 > stall_s / 2 * 1000, "the stalls are in the tail"
    for name in ("p50", "p90", "p95", "p99"):
        seen, truth = getattr(measured, name), getattr(true, name)
        allowed = max(TOLERANCE_MS, TOLERANCE_SHARE * truth)
        assert abs(seen - truth) <= allowed, f"{name}: measured {seen:.2f} ms, true {truth:.2f} ms"
