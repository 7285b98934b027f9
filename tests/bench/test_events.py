from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from offloop.bench.events import Event, slot_names
from offloop.bench.experiment import Experiment, load_experiment
from offloop.bench.question import ExperimentError
from offloop.stack import catalog
from offloop.stack.pools import STANDARD_POOLS, Pool
from tests.bench.support import EXPERIMENTS, shipped

FREEZE = {"id": "freeze", "do": "pause", "what": "broker", "at_s": 1.0, "for_s": 0.5}

EVENT = """
[[events]]
id = "freeze"
do = "pause"
what = "broker"
at_s = 1.0
for_s = 0.5
"""


def event(**changes: Any) -> Event:  # noqa: ANN401 - any key, also one that does not exist
    table = {**FREEZE, **changes}
    return Event.model_validate({key: value for key, value in table.items() if value is not None})


def targets(what: str, pools: dict[str, Pool] | None = None, *, has_tier: bool = True) -> list[str]:
    found = event(what=what).targets(pools or dict(STANDARD_POOLS), has_tier=has_tier)
    return list(found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at_s": None}, "`at_s` seconds, `at` a step, or both: say when"),
        ({"at_s": None, "at": "wirte"}, "'wirte' is not a step of the work; there is fetch, write"),
        ({"for_s": None}, "to pause it takes for_s"),
        ({"signal": "KILL"}, "signal means nothing to a pause"),
        ({"do": "kill"}, "to kill it takes signal"),
        ({"do": "restart", "signal": "TERM"}, "for_s means nothing to a restart"),
        ({"do": "scale", "for_s": None}, "to scale it takes slots"),
        ({"do": "explode"}, "'pause', 'kill', 'restart' or 'scale'"),
        ({"do": "kill", "signal": "HUP"}, "'TERM' or 'KILL'"),
        ({"wait_s": 3}, "there is no key 'wait_s'; there is id, do, what"),
        (
            {"do": "scale", "what": "long", "slots": 2, "for_s": None, "at_s": None, "at": "write"},
            "slots are scaled `at_s` a moment",
        ),
    ],
)
def test_an_invalid_event_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        event(**changes)

    assert said in str(refused.value)


def test_a_killed_process_stays_away_for_a_time_or_until_the_load_ends() -> None:
    assert event(do="kill", signal="KILL").for_s == 0.5
    assert event(do="kill", signal="KILL", for_s=None).for_s is None


def test_every_arm_has_an_api_and_only_a_tier_has_the_rest() -> None:
    assert targets("api", has_tier=False) == ["api"]
    for what in ("broker", "housekeeping", "long", "worker-long-1"):
        assert targets(what, has_tier=False) == []
        assert targets(what)


def test_an_event_on_a_pool_targets_all_its_slots() -> None:
    pools = {"long": Pool(queues=("long",), slots=2)}

    assert targets("long", pools) == ["worker-long-1", "worker-long-2"]
    assert targets("worker-long-2", pools) == ["worker-long-2"]
    assert targets("worker-long-3", pools) == []


def test_slots_are_named_as_their_processes_are(tmp_path: Path) -> None:
    pools = {"shared": Pool(queues=("short", "long"), slots=2)}
    site = catalog.Site(tmp_path, tmp_path, None)

    workers = catalog.workers(pools, catalog.STANDARD_TIER, site)

    assert tuple(service.name for service in workers) == slot_names("shared", pools["shared"])


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"what": "api", "do": "restart", "signal": "TERM", "for_s": None}, True),
        ({"what": "api", "do": "kill", "signal": "KILL"}, True),
        ({"what": "api"}, False),
        ({"do": "restart", "signal": "TERM", "for_s": None}, False),
    ],
)
def test_only_a_kill_or_restart_of_the_api_refuses_connections(
    changes: dict[str, Any], *, ends: bool
) -> None:
    assert event(**changes).ends_the_api is ends


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"broker"', '"brocker"', "event 'freeze' is about 'brocker', which neither naive nor"),
        ('"broker"', '"worker-long-2"', "and their slots, such as worker-long-1"),
        ("at_s = 1.0", "at_s = 99", "event 'freeze' is at 99 s, but the load lasts only"),
        ('"freeze"', '"bystander"', "several streams or events are called bystander"),
        ("for_s = 0.5", "", "events.0: to pause it takes for_s"),
        (
            'do = "pause"\nwhat = "broker"\nat_s = 1.0\nfor_s = 0.5',
            'do = "scale"\nwhat = "broker"\nat_s = 1.0\nslots = 2',
            "event 'freeze' scales 'broker': only a pool has slots",
        ),
    ],
)
def test_an_event_that_could_not_happen_is_refused_with_its_file(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in EVENT
    path = tmp_path / "broken.toml"
    text = (EXPERIMENTS / "loop_blocking.toml").read_text()
    path.write_text(text + EVENT.replace(old, new))

    with pytest.raises(ExperimentError) as refused:
        load_experiment(path)

    assert said in str(refused.value)


def test_an_event_that_can_happen_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fine.toml"
    path.write_text((EXPERIMENTS / "loop_blocking.toml").read_text() + EVENT)

    experiment = load_experiment(path)

    assert isinstance(experiment, Experiment)
    assert experiment.events == (event(),)
    assert not experiment.happens_in("naive", event())
    assert experiment.happens_in("baseline", event())


def test_an_event_at_a_step_happens_only_in_arms_with_orders() -> None:
    experiment = shipped("loop_blocking")
    at_a_step = event(do="restart", what="api", at="write", signal="TERM", for_s=None)

    happening = {arm for arm in experiment.arms if experiment.happens_in(arm, at_a_step)}

    assert happening == experiment.arms.keys() - {"baseline"}
