import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from offloop.measuring.instruments.server_kills import ServerKills
from offloop.measuring.rows import Rows
from offloop.stack import catalog
from offloop.stack.servers import AnyServer
from offloop.stack.supervisor import Stack
from tests.bench.support import request_log
from tests.shop import NAIVE, ROOT, wait_for

NO_ROWS = Rows(request_log([]), (), queued=False, duration_s=1)


@pytest.mark.medium
def test_only_a_worker_without_a_heartbeat_is_killed_and_counted(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    server = TypeAdapter[AnyServer](AnyServer).validate_python(
        {"kind": "gunicorn", "processes": 2, "timeout_s": 2}
    )
    with Stack(tmp_path) as stack:
        api = catalog.api(NAIVE, catalog.Site(ROOT, stack.folder / "files", None), server, 2)
        api = replace(api, env={**api.env, **data_set})
        stack.start(api)
        log = stack.log_dir / f"{api.name}.log"
        with ServerKills(log, timeout_s=2) as kills:
            _, silent, crashed = stack.pids()[api.name]

            # That one is gone by itself: the server has not killed it for its silence.
            os.kill(crashed, signal.SIGKILL)
            os.kill(silent, signal.SIGSTOP)
            wait_for(lambda: silent not in stack.pids()[api.name])
            stack.wait_until_ready(api.name)

        later = ServerKills(log, timeout_s=2)
        with later:
            pass

        assert kills.measured(NO_ROWS).numbers == {
            "api.timeout_ms": 2000,
            "api.workers_killed": 1,
        }
        assert later.measured(NO_ROWS).numbers["api.workers_killed"] == 0
