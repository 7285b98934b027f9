import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from offloop.bench.events import Event
from offloop.bench.experiment import Arm
from offloop.bench.faults import Faults
from offloop.bench.scaling import scaled
from offloop.bench.stage import Setting
from offloop.measuring.rows import Happened
from offloop.stack import catalog
from offloop.stack.errors import StackError
from offloop.stack.failpoints import FailpointServer
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

pytestmark = pytest.mark.medium

ROOT = Path(__file__).parents[2]

#: Seconds; a guard against hanging.
GUARD_S = 30.0

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")

#: Reaches a step again and again.
WORK = (
    "import time\n"
    "from reports.failpoints import Failpoint, reached\n"
    "while True:\n"
    "    reached(Failpoint.WRITE, 'job')\n"
    "    time.sleep(0.01)\n"
)

SLOT = "worker-long-1"


def event(**table: object) -> Event:
    return Event.model_validate({"id": "it", "what": SLOT, "at_s": 0.1, **table})


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """A stack of processes that sleep, but for its one slot, which reaches steps."""
    arm = Arm.model_validate(
        {
            "way": "fixed_app.reports",
            "server": "uvicorn",
            "tier": "workers.fixed",
            "pools": {"long": {"queues": ["long"], "slots": 1}},
        }
    )
    with Stack(tmp_path / "logs") as stack, FailpointServer(stack.folder / "steps") as steps:
        site = catalog.Site(ROOT, stack.folder / "files", None, steps.path)
        api = Service("fixed", SLEEP)
        worker = Service(SLOT, (sys.executable, "-c", WORK), env=site.environment(0, files="fixed"))
        broker, keeper = Service("redis", SLEEP), Service("housekeeping", SLEEP)
        services = (broker, api, worker, keeper)
        stack.start(*services)
        yield Setting(stack, services, api, (worker,), None, arm, site, steps)


def pid_of(setting: Setting, name: str) -> int:
    return setting.stack.pids()[name][0]


def wait_for(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GUARD_S
    while not seen():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.005)


def happen(setting: Setting, *events: Event, load: Callable[[], object]) -> list[Happened]:
    """Let events happen beside a load."""
    with Faults(setting, events) as happenings:
        happenings.began(time.monotonic())
        load()
    setting.stack.check()
    return happenings.happened


def test_a_process_is_frozen_for_as_long_as_asked_and_goes_on(setting: Setting) -> None:
    process = psutil.Process(pid_of(setting, "redis"))

    def load() -> None:
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED)
        wait_for(lambda: process.status() != psutil.STATUS_STOPPED)

    (happened,) = happen(setting, event(do="pause", what="broker", for_s=0.3), load=load)

    assert (happened.id, happened.what) == ("it", ("redis",))
    assert happened.at_s >= 0.1
    assert happened.lasted_s is not None
    assert happened.lasted_s >= 0.3


def test_a_frozen_process_is_resumed_when_the_load_ends(setting: Setting) -> None:
    process = psutil.Process(pid_of(setting, "fixed"))

    happen(
        setting,
        event(do="pause", what="api", for_s=600),
        load=lambda: wait_for(lambda: process.status() == psutil.STATUS_STOPPED),
    )

    assert process.status() != psutil.STATUS_STOPPED


def test_a_frozen_process_is_resumed_when_the_load_is_interrupted(setting: Setting) -> None:
    process = psutil.Process(pid_of(setting, "fixed"))

    def load() -> None:
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        happen(setting, event(do="pause", what="api", for_s=600), load=load)

    assert process.status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_restarted_service_is_a_new_process(setting: Setting, signal: str) -> None:
    before = pid_of(setting, SLOT)

    def load() -> None:
        wait_for(lambda: setting.stack.pids().get(SLOT, [before])[0] != before)

    (happened,) = happen(setting, event(do="restart", what="long", signal=signal), load=load)

    assert happened.what == (SLOT,)
    assert happened.lasted_s is not None


def test_a_second_restart_waits_until_the_first_one_is_complete(
    setting: Setting,
) -> None:
    events = [event(id=id_, do="restart", what="long", signal="KILL") for id_ in ("one", "two")]
    seen: list[int] = []

    with Faults(setting, events, lambda _: seen.append(pid_of(setting, SLOT))) as happenings:
        happenings.began(time.monotonic())
        wait_for(lambda: len(happenings.happened) == len(events))
    first, second = happenings.happened

    assert len(set(seen)) == 2
    assert (first.id, second.id) == ("one", "two")
    assert first.lasted_s is not None
    assert second.at_s >= first.at_s + first.lasted_s


def test_a_process_is_announced_before_it_is_ended(setting: Setting) -> None:
    seen: list[tuple[str, bool]] = []

    def told(names: Sequence[str]) -> None:
        seen.extend((name, name in setting.stack.pids()) for name in names)

    events = (
        event(id="end", do="restart", what="long", signal="KILL"),
        event(id="freeze", do="pause", what="broker", for_s=0.1),
    )
    before = pid_of(setting, SLOT)
    with Faults(setting, events, told) as happenings:
        happenings.began(time.monotonic())
        wait_for(lambda: setting.stack.pids().get(SLOT, [before])[0] != before)

    assert seen == [(SLOT, True)]


def test_a_killed_process_is_started_again_when_the_load_is_over(
    setting: Setting,
) -> None:
    before = pid_of(setting, "housekeeping")

    def load() -> None:
        wait_for(lambda: "housekeeping" not in setting.stack.pids())
        setting.stack.check()

    happen(setting, event(do="kill", what="housekeeping", signal="KILL"), load=load)

    assert pid_of(setting, "housekeeping") != before


def test_a_slot_is_killed_at_the_step_that_it_has_reached(setting: Setting) -> None:
    kill = Event(id="it", do="kill", what="long", at="write", signal="KILL", for_s=0.1)
    before = pid_of(setting, SLOT)

    def load() -> None:
        wait_for(lambda: setting.stack.pids().get(SLOT, [before])[0] != before)

    (happened,) = happen(setting, kill, load=load)

    assert happened.what == (SLOT,)


def test_a_step_reached_before_the_time_of_the_event_does_not_trigger_it(
    setting: Setting,
) -> None:
    kill = Event(id="it", do="kill", what="long", at_s=0.3, at="write", signal="KILL", for_s=0.1)
    before = pid_of(setting, SLOT)

    def load() -> None:
        wait_for(lambda: setting.stack.pids().get(SLOT, [before])[0] != before)

    (happened,) = happen(setting, kill, load=load)

    assert happened.at_s >= 0.3


def test_an_event_at_a_step_that_no_job_reaches_does_not_happen(setting: Setting) -> None:
    never = Event(id="it", do="kill", what="long", at="after_billing", signal="KILL")

    assert happen(setting, never, load=lambda: None) == []


def test_slots_that_are_added_are_gone_when_the_load_is_over(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def idle_slot(pool_name: str, number: int, **_: object) -> Service:
        return Service(f"worker-{pool_name}-{number}", SLEEP)

    # A real slot takes seconds to start and a broker to serve.
    monkeypatch.setattr(catalog, "worker", idle_slot)
    names = set(setting.stack.pids())
    added = {"worker-long-2", "worker-long-3"}

    (happened,) = happen(
        setting,
        event(do="scale", what="long", slots=3),
        load=lambda: wait_for(lambda: set(setting.stack.pids()) == names | added),
    )

    assert set(happened.what) == added
    assert set(setting.stack.pids()) == names


def test_slots_may_be_added_for_a_while_without_an_event(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def idle_slot(pool_name: str, number: int, **_: object) -> Service:
        return Service(f"worker-{pool_name}-{number}", SLEEP)

    monkeypatch.setattr(catalog, "worker", idle_slot)
    names = set(setting.stack.pids())

    with scaled(setting, "long", 2):
        assert set(setting.stack.pids()) == names | {"worker-long-2"}

    assert set(setting.stack.pids()) == names


def test_an_event_does_not_happen_in_an_arm_without_its_target(setting: Setting) -> None:
    missing = event(do="pause", what="worker-short-1", for_s=1)

    assert happen(setting, missing, load=lambda: None) == []


def test_an_error_in_an_event_is_an_error_of_the_run(setting: Setting) -> None:
    def load() -> None:
        setting.stack.stop(SLOT)  # behind the back of the event
        wait_for(lambda: not any(each.name == "event-it" for each in threading.enumerate()))

    with pytest.raises(StackError, match="no process named 'worker-long-1'"):
        happen(setting, event(do="pause", what="long", at_s=0.5, for_s=0.1), load=load)
