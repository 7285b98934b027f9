"""The short form of `python -m tests.chaos`."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos.campaign import run
from tests.chaos.coverage import shortfalls
from tests.chaos.faults import Target
from tests.chaos.invariants import Expected
from tests.chaos.stage import open_stage

pytestmark = pytest.mark.slow

FAULTS = 15


#: None stands for the server that comes with the lab.
BROKERS = [None, *map(Path, filter(None, [shutil.which("redis-server")]))]


@pytest.mark.parametrize("broker", BROKERS, ids=lambda path: path.name if path else "embedded")
def test_what_is_promised_is_kept_whatever_breaks(
    tmp_path: Path, expected: Mapping[str, Expected], broker: Path | None
) -> None:
    with open_stage(tmp_path, expected, redis_server=broker) as stage:
        outcome = run(stage, seed=3, number=FAULTS, tell=lambda _: None)

    assert [str(violation) for violation in outcome.violations] == []
    assert len(outcome.hits) == FAULTS
    assert {hit.fault.target for hit in outcome.hits} == set(Target)
    assert shortfalls(outcome.hits) == []
    assert outcome.recoveries
    assert len(outcome.evidence.promises) > FAULTS
    assert outcome.evidence.deliveries
    assert any(seen.sha256 for seen in outcome.evidence.seen)
