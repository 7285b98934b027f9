import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from offloop.bench.experiment import Arm
from offloop.bench.kills import Kills
from offloop.bench.stage import Setting
from offloop.stack import catalog
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from tests.shop import NAIVE, ROOT, wait_for


def setting(stack: Stack, server: object, environment: Mapping[str, str]) -> Setting:
    arm = Arm.model_validate(
        {
            "way": "naive_app.reports",
            "server": server,
            "tier": "workers.fixed",
            "pools": {"long": {"queues": ["long"], "slots": 1}},
        }
    )
    site = catalog.Site(ROOT, stack.folder / "files", None)
    api = catalog.api(NAIVE, site, arm.server, arm.api_processes)
    api = replace(api, env={**api.env, **environment})
    return Setting(stack, (api,), api, (), None, arm, site, None)


@pytest.mark.medium
def test_a_worker_that_gives_no_sign_of_life_is_killed_and_counted_and_no_other_is(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    server = {"kind": "gunicorn", "processes": 2, "timeout_s": 2}
    with Stack(tmp_path) as stack:
        found = setting(stack, server, data_set)
        stack.start(found.api)
        kills = Kills(found)
        _, silent, crashed = stack.pids()[found.api.name]

        # That one is gone by itself: nobody has killed it for its silence.
        os.kill(crashed, signal.SIGKILL)
        os.kill(silent, signal.SIGSTOP)
        wait_for(lambda: silent not in stack.pids()[found.api.name])
        stack.wait_until_ready(found.api.name)

        assert kills.count() == 1
        assert Kills(found).count() == 0


def test_where_nobody_is_killed_for_silence_nothing_was_counted_rather_than_none(
    tmp_path: Path,
) -> None:
    with Stack(tmp_path) as stack:
        assert Kills(setting(stack, "uvicorn", {})).count() is None


def test_a_log_that_is_not_there_yet_tells_of_nobody(tmp_path: Path) -> None:
    sleeps = Service("naive", ("sleep", "600"))
    with Stack(tmp_path) as stack:
        stack.start(sleeps)
        found = setting(stack, {"kind": "gunicorn", "processes": 1, "timeout_s": 2}, {})

        assert Kills(found).count() == 0
