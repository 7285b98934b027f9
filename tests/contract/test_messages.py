"""What accepting a job writes is what Dramatiq's own `actor.send()` would have written."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import cast

import pytest
from dramatiq import Message
from redis import Redis

from reports.spec import ReportSpec
from tests.shop import DAY, EVERYTHING, ROOT
from workers.messages import TESTED_DRAMATIQ, UntestedDramatiqError, check_dramatiq_version
from workers.settings import TierSettings
from workers.store import JobStore

#: Accepted in one batch; the order is part of what is compared.
JOB_IDS = [digit * 32 for digit in "abc"]

#: Sends through the worker's own actor and broker, with the ids and the moment that it is given.
SEND = """
import json, sys
from types import SimpleNamespace
from unittest.mock import patch

from workers.fixed import build_report

queue = sys.argv[2]
for job_id, message_id, redis_message_id, timestamp in json.loads(sys.argv[1]):
    with (
        patch("dramatiq.message.uuid", SimpleNamespace(uuid4=lambda: message_id)),
        patch("dramatiq.message.time", SimpleNamespace(time=lambda: (timestamp + 0.5) / 1000)),
        patch("dramatiq.brokers.redis.uuid4", lambda: redis_message_id),
    ):
        # As `send()` does, which knows only the actor's own queue.
        build_report.broker.enqueue(build_report.message(job_id).copy(queue_name=queue))
"""


def contents(queues: Redis, queue: str) -> dict[bytes | str, object]:
    """Every key of the queue with its exact content."""
    found: dict[bytes | str, object] = {}
    for key in queues.keys(f"dramatiq:{queue}*"):
        if queues.type(key) == b"hash":
            found[key] = queues.hgetall(key)
        else:
            found[key] = queues.lrange(key, 0, -1)
    return found


def message_of(queues: Redis, queue: str, message_id: bytes) -> Message[None]:
    written = queues.hget(f"dramatiq:{queue}.msgs", message_id)
    assert isinstance(written, bytes)
    return Message.decode(written)


@pytest.mark.medium
@pytest.mark.parametrize(("order", "queue"), [(DAY, "short"), (EVERYTHING, "long")])
def test_accepting_writes_the_very_bytes_of_send(  # noqa: PLR0913 - fixtures, and what is sent
    tier: TierSettings,
    queues: Redis,
    data_set: Mapping[str, str],
    tmp_path: Path,
    order: Mapping[str, str],
    queue: str,
) -> None:
    async def accept() -> None:
        async with JobStore(tier) as store:
            spec = ReportSpec.model_validate(order)
            await asyncio.gather(*(store.enqueue(job_id, spec) for job_id in JOB_IDS))

    asyncio.run(accept())
    accepted = contents(queues, queue)
    queued = cast("list[bytes]", queues.lrange(f"dramatiq:{queue}", 0, -1))
    messages = [message_of(queues, queue, message_id) for message_id in queued]
    assert [message.args for message in messages] == [(job_id,) for job_id in JOB_IDS]
    queues.flushdb()

    sends = [
        (message.args[0], message.message_id, message_id.decode(), message.message_timestamp)
        for message, message_id in zip(messages, queued, strict=True)
    ]
    environment = {
        **os.environ,
        **data_set,
        "OFFLOOP_REDIS_URL": str(tier.redis_url),
        "OFFLOOP_FILES_DIR": str(tmp_path),
        "OFFLOOP_LEDGER_PATH": str(tmp_path / "ledger.sqlite"),
    }
    send = [sys.executable, "-c", SEND, json.dumps(sends), queue]
    subprocess.run(send, check=True, env=environment, cwd=ROOT)

    sent = contents(queues, queue)
    assert set(sent) == {f"dramatiq:{queue}".encode(), f"dramatiq:{queue}.msgs".encode()}
    assert accepted == sent


def test_the_installed_dramatiq_was_tested() -> None:
    check_dramatiq_version()

    assert version("dramatiq") in TESTED_DRAMATIQ


def test_another_dramatiq_is_refused_by_its_name() -> None:
    with pytest.raises(UntestedDramatiqError, match=r"dramatiq 99\.0 is installed.* 2\.2\.1"):
        check_dramatiq_version("99.0")
