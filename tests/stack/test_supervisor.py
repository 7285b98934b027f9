import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import psutil
import pytest

from offloop.stack import lab, processes
from offloop.stack.errors import PortTaken, ServiceDied, ServiceFailed, StackError
from offloop.stack.ports import LOOPBACK, free_port
from offloop.stack.priorities import NICE_API, NICE_WORKER
from offloop.stack.service import HttpOk, Service
from offloop.stack.supervisor import Stack
from tests.stack.support import has_ended, stubborn, working_in
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

SLEEPER = ("sleep", "600")


def http_server(name: str, folder: Path, port: int) -> Service:
    command = (sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK)
    return Service(
        name,
        (*command, "--directory", str(folder)),
        ready=HttpOk(f"http://{LOOPBACK}:{port}/"),
    )


def python(name: str, program: str) -> Service:
    return Service(name, (sys.executable, "-c", program))


def started_stubborn(stack: Stack, name: str = "stubborn") -> list[psutil.Process]:
    """A service and its child, once neither heeds SIGTERM."""
    folder = stack.folder / name
    folder.mkdir()
    stack.start(Service(name, stubborn(folder)))
    wait_for(lambda: "child" in (stack.log_dir / f"{name}.log").read_text())
    family = working_in(folder)
    assert len(family) == 2
    return family


def test_a_started_service_answers(stack: Stack, tmp_path: Path) -> None:
    service = http_server("web", tmp_path, free_port())

    stack.start(service)

    assert service.ready.missing() is None
    stack.check()


def test_services_are_started_all_at_once(stack: Stack, tmp_path: Path) -> None:
    """Each becomes ready only when the other has been started."""
    meet = (
        "import pathlib, sys, time\n"
        "here, there = map(pathlib.Path, sys.argv[1:3]); here.touch()\n"
        "while not there.exists(): time.sleep(0.01)\n"
        "import os; os.execv(sys.executable, [sys.executable, *sys.argv[3:]])\n"
    )
    names = ("one", "two")
    services = []
    for name, other in zip(names, reversed(names), strict=True):
        port = free_port()
        files = (str(tmp_path / name), str(tmp_path / other))
        services.append(
            Service(
                name,
                (
                    sys.executable,
                    "-c",
                    meet,
                    *files,
                    *http_server(name, tmp_path, port).command[1:],
                ),
                ready=HttpOk(f"http://{LOOPBACK}:{port}/"),
            )
        )

    stack.start(*services)

    assert set(stack.pids()) == set(names)


def test_a_service_that_ends_while_starting_shows_the_end_of_its_log(stack: Stack) -> None:
    program = "for n in range(40): print('line', n)\nraise SystemExit('no disk')"
    ready = HttpOk(f"http://{LOOPBACK}:{free_port()}/")

    with pytest.raises(ServiceFailed) as failure:
        stack.start(
            Service("sleeper", SLEEPER),
            Service("broken", (sys.executable, "-c", program), ready=ready),
        )

    message = str(failure.value)
    assert "broken exited with status 1 while it was being started" in message
    assert message.endswith("line 39\nno disk")
    assert "line 21\n" in message
    assert "line 20\n" not in message
    assert stack.pids() == {}, "what was started with it has been stopped"


def test_a_service_killed_while_starting_names_the_signal(stack: Stack) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    ready = HttpOk(f"http://{LOOPBACK}:{free_port()}/")

    with pytest.raises(ServiceFailed, match="was ended by SIGSEGV"):
        stack.start(Service("broken", (sys.executable, "-c", program), ready=ready))


def test_a_service_that_misses_its_deadline_says_what_was_missing(stack: Stack) -> None:
    ready = HttpOk(f"http://{LOOPBACK}:{free_port()}/", deadline_s=0.1)

    with pytest.raises(ServiceFailed, match=r"late was not ready within 0\.1 s: GET .* no answer"):
        stack.start(Service("late", SLEEPER, ready=ready))

    assert stack.pids() == {}


def test_an_answer_other_than_200_is_not_ready(stack: Stack, tmp_path: Path) -> None:
    port = free_port()
    stack.start(http_server("web", tmp_path, port))

    assert "answered 404" in str(HttpOk(f"http://{LOOPBACK}:{port}/absent").missing())


def test_a_taken_port_is_named_before_anything_answers_in_its_place(
    stack: Stack, tmp_path: Path
) -> None:
    port = free_port()
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(PortTaken, match=f"web cannot listen on {LOOPBACK}:{port}.*another port"),
    ):
        stack.start(http_server("web", tmp_path, port))


def test_a_program_that_does_not_exist_is_named(stack: Stack) -> None:
    with pytest.raises(StackError, match="no program 'no-such-program'"):
        stack.start(Service("ghost", ("no-such-program",)))


def test_a_name_is_used_once(stack: Stack) -> None:
    stack.start(Service("sleeper", SLEEPER))

    with pytest.raises(StackError, match="already has a process named 'sleeper'"):
        stack.start(Service("sleeper", SLEEPER))

    assert set(stack.pids()) == {"sleeper"}


def test_an_unknown_name_is_answered_with_the_known_ones(stack: Stack) -> None:
    stack.start(Service("sleeper", SLEEPER))

    with pytest.raises(StackError, match="no process named 'sleepy'; it has sleeper"):
        stack.stop("sleepy")


def test_a_service_that_dies_is_reported_with_the_end_of_its_log(stack: Stack) -> None:
    stack.start(python("mayfly", "print('goodbye'); raise SystemExit(3)"))
    process = stack._processes["mayfly"].popen  # noqa: SLF001 - the moment of death is not public
    process.wait()

    with pytest.raises(ServiceDied, match="mayfly ended unasked: it exited with status 3") as death:
        stack.check()

    assert death.value.log_tail == "goodbye"
    assert death.value.status == "exited with status 3"


def test_a_service_that_was_killed_by_the_lab_is_not_reported(stack: Stack) -> None:
    stack.start(Service("sleeper", SLEEPER))

    stack.signal("sleeper", signal.SIGKILL)

    wait_for(lambda: not stack.pids())
    stack.check()
    with pytest.raises(StackError, match="sleeper was ended by SIGKILL"):
        stack.signal("sleeper", signal.SIGTERM)


def test_a_service_that_heeds_sigterm_may_finish(stack: Stack) -> None:
    program = (
        "import signal, time\n"
        "def finish(*_): time.sleep(0.05); print('finished'); raise SystemExit\n"
        "signal.signal(signal.SIGTERM, finish); print('ready')\n"
        "time.sleep(600)"
    )
    stack.start(python("worker", program))
    log = stack.log_dir / "worker.log"
    wait_for(lambda: log.read_text() == "ready\n")

    stack.stop("worker")

    assert log.read_text() == "ready\nfinished\n"


@pytest.mark.parametrize("how", ["stop", "signal"])
def test_only_the_service_itself_gets_sigterm_and_stops_its_children(
    stack: Stack, how: str
) -> None:
    """A worker that is told twice, by its parent and by the lab, would drop its job."""
    child = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('told'))\n"
        "print('ready'); sys.stdin.read(); print('finished')"
    )
    program = (
        "import signal, subprocess, sys, time\n"
        "def finish(*_): child.communicate(); raise SystemExit\n"
        "signal.signal(signal.SIGTERM, finish)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE)\n"
        "time.sleep(600)"
    )
    stack.start(python("worker", program))
    log = stack.log_dir / "worker.log"
    wait_for(lambda: log.read_text() == "ready\n")

    if how == "stop":
        stack.stop("worker")
    else:
        stack.signal("worker", signal.SIGTERM)
        wait_for(lambda: not stack.pids())

    assert log.read_text() == "ready\nfinished\n"


def test_stop_ends_grandchildren_that_ignore_sigterm_in_groups_of_their_own(stack: Stack) -> None:
    family = started_stubborn(stack)

    stack.stop("stubborn")

    assert all(has_ended(process) for process in family)


def test_stop_ends_an_orphan_whose_parent_has_ended(stack: Stack) -> None:
    family = started_stubborn(stack)
    stack.signal("stubborn", signal.SIGKILL)
    wait_for(lambda: not stack.pids())
    orphans = [process for process in family if not has_ended(process)]
    assert len(orphans) == 1

    stack.stop("stubborn")

    assert has_ended(orphans[0])


def test_stop_leaves_the_other_services_alone(stack: Stack) -> None:
    stack.start(*(Service(name, SLEEPER) for name in ("one", "two", "three")))

    stack.stop("one", "three")

    assert set(stack.pids()) == {"two"}
    stack.check()


def test_a_paused_service_can_be_stopped(stack: Stack) -> None:
    family = started_stubborn(stack)
    for process in family:
        process.suspend()

    stack.stop("stubborn")

    assert all(has_ended(process) for process in family)


def test_leaving_the_stack_ends_everything_and_removes_its_folder(tmp_path: Path) -> None:
    with Stack(tmp_path / "logs") as stack:
        family = started_stubborn(stack, "one") + started_stubborn(stack, "two")
        folder = stack.folder

    assert all(has_ended(process) for process in family)
    assert not folder.exists()


def test_a_restarted_service_is_another_process_and_appends_to_its_log(stack: Stack) -> None:
    stack.start(python("worker", "import time; print('here'); time.sleep(600)"))
    log = stack.log_dir / "worker.log"
    wait_for(lambda: log.read_text().count("here") == 1)
    before = stack.pids()["worker"]

    stack.restart("worker")

    wait_for(lambda: log.read_text().count("here") == 2)
    assert stack.pids()["worker"] != before
    stack.check()


def test_a_dead_service_can_be_restarted_on_its_port(stack: Stack, tmp_path: Path) -> None:
    stack.start(http_server("web", tmp_path, free_port()))
    stack.signal("web", signal.SIGKILL)

    stack.restart("web")

    stack.check()
    assert set(stack.pids()) == {"web"}


def test_sigstop_and_sigcont_reach_the_whole_process_group(stack: Stack) -> None:
    stack.start(Service("pair", ("sh", "-c", "sleep 600 & sleep 600")))
    wait_for(lambda: len(stack.pids()["pair"]) == 3)
    family = [psutil.Process(pid) for pid in stack.pids()["pair"]]

    stack.signal("pair", signal.SIGSTOP)
    assert all(process.status() == psutil.STATUS_STOPPED for process in family)
    stack.signal("pair", signal.SIGCONT)
    wait_for(lambda: all(process.status() != psutil.STATUS_STOPPED for process in family))

    stack.check()


@pytest.mark.skipif(shutil.which("chrt") is None, reason="chrt, of util-linux, is not installed")
def test_only_workers_have_the_idle_scheduling_policy(stack: Stack) -> None:
    """From one that is merely nice, the processor is taken at the end of a slice."""
    stack.start(
        Service("worker", SLEEPER, nice=NICE_WORKER), Service("api", SLEEPER, nice=NICE_API)
    )

    def policy(name: str) -> int:
        return os.sched_getscheduler(stack.pids()[name][0])

    wait_for(lambda: policy("worker") == os.SCHED_IDLE)
    assert policy("api") == os.SCHED_OTHER


def test_niceness_is_added_to_the_labs_own_within_the_same_session(stack: Stack) -> None:
    """In a session of its own a process would not feel its niceness (autogroup)."""
    stack.start(Service("nice", SLEEPER, nice=15))
    pid = stack.pids()["nice"][0]
    expected = min(19, psutil.Process().nice() + 15)

    wait_for(lambda: psutil.Process(pid).nice() == expected)

    assert os.getsid(pid) == os.getsid(0)
    assert os.getpgid(pid) == pid


def test_pids_are_those_of_the_service_first_then_of_its_descendants(stack: Stack) -> None:
    family = started_stubborn(stack)

    pids = stack.pids()["stubborn"]

    assert set(pids) == {process.pid for process in family}
    assert psutil.Process(pids[1]).ppid() == pids[0]


def test_output_is_in_the_log_while_the_service_still_runs(stack: Stack) -> None:
    service = Service(
        "talker",
        (sys.executable, "-c", "import os, time; print(os.environ['WORD']); time.sleep(600)"),
        env={"WORD": "blue"},
    )
    stack.start(service)

    wait_for(lambda: (stack.log_dir / "talker.log").read_text() == "blue\n")


def test_a_child_talks_over_pipes_and_writes_errors_to_its_log(stack: Stack) -> None:
    program = "import sys; print(sys.stdin.read().upper(), end=''); print('done', file=sys.stderr)"

    child = stack.popen("echo", (sys.executable, "-c", program), stdin=True, stdout=True)

    assert child.communicate(b"hello")[0] == b"HELLO"
    assert child.returncode == 0
    assert (stack.log_dir / "echo.log").read_text() == "done\n"
    stack.check()


def test_the_name_of_a_child_that_has_ended_is_free_again(stack: Stack) -> None:
    for _ in range(2):
        stack.popen("brief", ("true",)).wait()

    assert stack.pids() == {}


def test_a_child_that_still_runs_keeps_its_name(stack: Stack) -> None:
    stack.popen("sleeper", SLEEPER)

    with pytest.raises(StackError, match="already has a process named 'sleeper'"):
        stack.popen("sleeper", SLEEPER)


def test_two_stacks_at_once_do_not_touch_each_other(tmp_path: Path) -> None:
    with Stack(tmp_path / "a") as one:
        one.start(Service("sleeper", SLEEPER))
        with Stack(tmp_path / "b") as two:
            two.start(Service("sleeper", SLEEPER))
            assert one.folder != two.folder
            assert one.pids() != two.pids()
        one.check()
        assert set(one.pids()) == {"sleeper"}


def test_a_stack_works_in_a_thread(tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def work() -> None:
        with Stack(tmp_path / "logs") as stack:
            stack.start(Service("sleeper", SLEEPER))
            seen.append(set(stack.pids()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [{"sleeper"}]


def test_a_stack_starts_nothing_before_it_is_entered(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="enter it first"):
        Stack(tmp_path).start(Service("sleeper", SLEEPER))


def test_a_log_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StackError, match="cannot make its folders"), Stack(tmp_path / "file" / "x"):
        pass


def test_without_a_guard_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(StackError, match="guard process, which ends all services"):
        lab.Lab()


def test_a_process_of_a_nested_lab_belongs_to_both_labs() -> None:
    outer = processes.add_mark({}, "outer")

    inner = processes.add_mark({processes.MARK_VARIABLE: outer}, "inner")

    assert inner == "outer/inner"
