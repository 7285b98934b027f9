import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil
import pytest

from offloop.load.generator import Generator, GeneratorError, start_process
from offloop.load.log import NEVER, RequestLog
from offloop.load.plan import Plan, Stream
from offloop.load.protocol import Progress
from offloop.load.records import UNANSWERED, RequestRow

pytestmark = pytest.mark.medium


def plan(base_url: str, path: str, due_s: Sequence[float] = (0.0,), **changes: object) -> Plan:
    stream = Stream.model_validate(
        {"name": "r", "path": path, "base_url": base_url, "due_s": list(due_s), **changes}
    )
    return Plan(streams=[stream], duration_s=max(due_s, default=0) + 0.1, drain_s=1, seed=7)


def one_request(generator: Generator, out: Path, plan: Plan) -> RequestRow:
    (row,) = generator.run(plan, out).requests
    return row


def order(base_url: str, path: str, due_s: Sequence[float] = (0.0,), **changes: object) -> Plan:
    return plan(base_url, path, due_s, method="POST", body={}, follow=True, **changes)


def test_the_lab_imports_neither_gevent_nor_locust() -> None:
    script = (
        "import sys, offloop.commands.load, offloop.load.generator, offloop.load.log\n"
        "print([name for name in ('gevent', 'locust', 'geventhttpclient') if name in sys.modules])"
    )

    out = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

    assert out.stdout.strip() == "[]"


def test_requests_are_sent_whether_or_not_answers_come_back(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(plan(odd_server, "/slow/0.8", [i / 100 for i in range(50)]), tmp_path)

    first_answer_s = min(row.done_s for row in log.requests if row.done_s is not None)
    assert all(row.sent_s is not None and row.sent_s < first_answer_s for row in log.requests)
    assert log.summary()["r"].failed == 0


def test_no_request_is_sent_before_it_is_due(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(plan(odd_server, "/ok", [i / 100 for i in range(50)]), tmp_path)

    assert all(row.sent_s is not None and row.sent_s >= row.due_s for row in log.requests)


def test_an_answer_that_never_comes_is_counted_and_not_waited_for(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(plan(odd_server, "/never", [0.0, 0.1]), tmp_path)

    assert [(row.done_s, row.status, row.error) for row in log.requests] == [
        (None, None, UNANSWERED)
    ] * 2
    figures = log.summary()["r"]
    assert (figures.offered, figures.sent, figures.answered, figures.failed) == (2, 2, 0, 2)
    assert figures.response_ms is not None
    assert figures.response_ms.p50 == NEVER


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/ok", 200, ""),
        ("/status/206", 206, ""),
        ("/status/500", 500, "status 500"),
        ("/redirect", 302, "status 302"),
        ("/close", None, "connection closed"),
    ],
)
def test_the_outcome_of_a_request_is_in_its_row(  # noqa: PLR0913 - fixtures
    generator: Generator,
    odd_server: str,
    tmp_path: Path,
    path: str,
    status: int | None,
    error: str,
) -> None:
    row = one_request(generator, tmp_path, plan(odd_server, path))

    assert (row.status, row.error) == (status, error)
    assert (row.done_s is None) is (status is None)


def test_an_expected_status_is_no_failure_and_an_unexpected_one_is(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    expected = plan(odd_server, "/status/503", expect=[503])
    unexpected = plan(odd_server, "/ok", expect=[503])

    assert not one_request(generator, tmp_path, expected).error
    assert one_request(generator, tmp_path, unexpected).error == "status 200"


def test_a_broken_answer_is_a_failure(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    row = one_request(generator, tmp_path, plan(odd_server, "/half"))

    assert row.error


def test_every_request_to_a_missing_server_fails(generator: Generator, tmp_path: Path) -> None:
    row = one_request(generator, tmp_path, plan("http://127.0.0.1:9", "/ok"))

    assert row.error == "connection refused"
    assert row.sent_s is not None
    assert row.done_s is None


def test_a_request_that_fails_is_not_sent_again(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    before = connections_seen(odd_server)

    one_request(generator, tmp_path, plan(odd_server, "/close"))

    # One connection for the failed request, one for the question itself.
    assert connections_seen(odd_server) == before + 2


def connections_seen(base_url: str) -> int:
    """How many connections the server has had, this one included."""
    with urllib.request.urlopen(f"{base_url}/connections") as answer:  # noqa: S310 - loopback
        return int(answer.read())


def test_a_connection_is_used_again(generator: Generator, odd_server: str, tmp_path: Path) -> None:
    before = connections_seen(odd_server)

    generator.run(plan(odd_server, "/ok", [i / 20 for i in range(10)]), tmp_path)

    assert connections_seen(odd_server) < before + 10


def test_clients_take_turns_and_each_keeps_a_connection_of_its_own(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    before = connections_seen(odd_server)
    due_s = [0.02 * number for number in range(12)]

    generator.run(plan(odd_server, "/ok", due_s, clients=4), tmp_path)

    # The question about it has one of its own, too.
    assert 4 <= connections_seen(odd_server) - before - 1 < len(due_s)


def test_a_client_whose_connection_is_in_use_opens_another_one(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    before = connections_seen(odd_server)

    generator.run(plan(odd_server, "/slow/0.5", [0.0, 0.1], clients=1), tmp_path)

    assert connections_seen(odd_server) - before - 1 == 2


def test_a_request_is_sent_as_its_stream_describes_it(generator: Generator, tmp_path: Path) -> None:
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                while not received.endswith(b'{"a": 1}'):
                    received.extend(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        server = threading.Thread(target=answer)
        server.start()
        port = listening.getsockname()[1]
        generator.run(
            plan(
                f"http://127.0.0.1:{port}/base",
                "/x?y=1",
                method="PUT",
                body={"a": 1},
                headers={"Accept": "text/csv"},
            ),
            tmp_path,
        )
        server.join()

    assert bytes(received) == (
        b"PUT /base/x?y=1 HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"Accept: text/csv\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: 8\r\n"
        b"X-Request-Id: 7-0\r\n\r\n"
        b'{"a": 1}' % port
    )


def test_an_accepted_report_is_followed_until_it_is_done(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(order(odd_server, "/reports", [0.0, 0.1]), tmp_path)

    for request, report in zip(log.requests, log.reports, strict=True):
        assert request.status == 202
        assert report.due_s == request.due_s
        assert report[3:] == ("j", "done", "A", "S", "F", 12, 345, "abc")
        assert report.seen_s is not None
        assert request.done_s is not None
        assert report.seen_s > request.done_s


def test_a_report_that_comes_with_the_answer_is_ready_at_that_moment(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(order(odd_server, "/reports/now"), tmp_path)

    assert log.requests[0].status == 201
    assert log.reports[0].seen_s == log.requests[0].done_s
    assert log.reports[0][3:] == ("j", "done", "A", "S", "F", 12, 345, "abc")


@pytest.mark.parametrize(
    ("path", "status", "seen"),
    [
        ("/reports/failing", "failed", True),
        ("/reports/lost", "missing", True),
        ("/reports/endless", "queued", False),
    ],
)
def test_a_report_that_is_not_built_is_logged_with_its_last_status(  # noqa: PLR0913 - fixtures
    generator: Generator, odd_server: str, tmp_path: Path, path: str, status: str, seen: bool
) -> None:
    log = generator.run(order(odd_server, path), tmp_path)

    (report,) = log.reports
    assert (report.status, report.seen_s is not None) == (status, seen)
    assert report.sha256 is None
    assert log.summary()["r"].failed == 0, "the request itself was answered as expected"


def test_a_refused_order_has_no_report(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(order(odd_server, "/status/503"), tmp_path)

    assert log.requests[0].error == "status 503"
    assert log.reports[0][2:] == (None,) * 9


def test_a_refused_order_is_retried_after_retry_after_until_accepted(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    stubborn = order(odd_server, "/busy/2/1/accepted", retry_refused=True, expect=[202])

    log = generator.run(stubborn.model_copy(update={"drain_s": 30}), tmp_path)

    (request,), (report,) = log.requests, log.reports
    assert (request.status, request.error, report.status) == (202, "", "done")
    sent = [request.sent_s, *(refusal.again_s for refusal in log.refusals)]
    assert len(log.refusals) == 2
    for refusal, sent_s in zip(log.refusals, sent, strict=False):
        assert (refusal.name, refusal.due_s, refusal.retry_after_s) == ("r", request.due_s, 1)
        assert refusal.sent_s == sent_s
        assert refusal.again_s is not None
        assert refusal.again_s >= refusal.done_s + refusal.retry_after_s
    assert request.done_s is not None
    assert request.done_s >= 2
    assert log.summary()["r"].answered == 1, "one order, however often it was sent"


def test_an_order_is_not_retried_if_retry_after_is_beyond_the_end(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(order(odd_server, "/busy/9/60/late", retry_refused=True), tmp_path)

    (request,), (refusal,) = log.requests, log.refusals
    assert (request.status, request.error) == (503, "status 503")
    assert (refusal.retry_after_s, refusal.again_s) == (60, None)
    assert log.reports[0].job_id is None


@pytest.mark.parametrize("path", ["/status/503", "/busy/9/soon/nonsense", "/busy/0/1/accepted"])
def test_an_order_is_retried_only_after_a_503_with_retry_after(
    generator: Generator, odd_server: str, tmp_path: Path, path: str
) -> None:
    log = generator.run(order(odd_server, path, retry_refused=True), tmp_path)

    assert len(log.requests) == 1
    assert log.refusals == []


def test_a_stream_without_retry_refused_does_not_retry(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(order(odd_server, "/busy/1/0/once"), tmp_path)

    assert log.requests[0].error == "status 503"
    assert log.refusals == []


def test_one_generator_runs_many_plans(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    pid = generator.pid
    for number in range(20):
        log = generator.run(plan(odd_server, "/ok", [0.0, 0.01]), tmp_path / str(number))

        assert log.summary()["r"].failed == 0
        assert RequestLog.read(tmp_path / str(number)) == log
    assert generator.pid == pid


def test_a_plan_with_nothing_due_gives_an_empty_log(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    log = generator.run(plan(odd_server, "/ok", []), tmp_path)

    assert log.requests == []
    assert log.summary()["r"].offered == 0
    assert RequestLog.read(tmp_path).names == ("r",)


def test_progress_is_told_from_the_start_to_the_end(
    generator: Generator, odd_server: str, tmp_path: Path
) -> None:
    told: list[Progress] = []

    log = generator.run(plan(odd_server, "/ok", [i / 10 for i in range(20)]), tmp_path, told.append)

    assert [each.sent for each in told] == sorted(each.sent for each in told)
    assert told[0].sent == 0
    assert (told[-1].sent, told[-1].answered, told[-1].total) == (20, 20, 20)
    assert {each.start_monotonic_s for each in told} == {log.start_monotonic_s}
    assert len(told) >= 3


def test_a_plan_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    with (
        Generator() as own,
        pytest.raises(GeneratorError, match=r"could not run the plan: gaierror"),
    ):
        own.run(plan("http://no-such-host.invalid", "/ok"), tmp_path)


def test_the_death_of_the_generator_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    def start(_command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        script = (
            'import sys; print(\'{"event": "ready"}\', flush=True); sys.stdin.readline();'
            "sys.exit('out of luck')"
        )
        return start_process([sys.executable, "-c", script], log)

    with (
        Generator(start=start) as dying,
        pytest.raises(GeneratorError, match=r"died \(exit code 1\)[^$]*out of luck"),
    ):
        dying.run(plan("http://127.0.0.1:9", "/ok"), tmp_path)


def test_a_generator_killed_in_the_middle_of_a_plan_is_reported(
    odd_server: str, tmp_path: Path
) -> None:
    with Generator() as killed:

        def kill(_progress: Progress) -> None:
            os.kill(killed.pid, signal.SIGKILL)

        with pytest.raises(GeneratorError, match="died \\(signal 9\\)"):
            killed.run(plan(odd_server, "/ok", [0.0, 30.0]), tmp_path, kill)


def test_a_generator_that_does_not_start_is_reported() -> None:
    def start(_command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return start_process([sys.executable, "-c", "import no_such_module"], log)

    with (
        pytest.raises(GeneratorError, match="No module named 'no_such_module'"),
        Generator(start=start),
    ):
        pass


def test_leaving_in_the_middle_of_a_plan_ends_the_process(odd_server: str, tmp_path: Path) -> None:
    class LabError(Exception):
        pass

    def interrupt(_progress: Progress) -> None:
        raise LabError

    left = Generator()
    with contextlib.suppress(LabError), left:
        process = psutil.Process(left.pid)
        left.run(plan(odd_server, "/ok", [0.0, 30.0]), tmp_path, interrupt)

    assert not process.is_running()


def test_the_generator_ends_when_the_lab_is_killed_in_the_middle_of_a_plan(
    odd_server: str, tmp_path: Path
) -> None:
    plan_file = tmp_path / "plan.json"
    plan_file.write_text(
        plan(odd_server, "/ok", [0.0, 60.0]).model_dump_json(by_alias=True), encoding="utf-8"
    )
    script = f"""
from pathlib import Path
from offloop.load.generator import Generator
from offloop.load.plan import Plan
with Generator() as generator:
    plan = Plan.model_validate_json(Path({str(plan_file)!r}).read_bytes())
    generator.run(plan, Path({str(tmp_path / "out")!r}), lambda _: print(generator.pid, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        process = psutil.Process(int(lab.stdout.readline()))
        lab.kill()

    # 5 s is what the lab promises; a guard against hanging, so five times that.
    psutil.wait_procs([process], timeout=25)
    assert not process.is_running()
