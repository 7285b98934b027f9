from collections.abc import Iterator
from pathlib import Path

import pytest

from offloop.stack import supervisor
from offloop.stack.supervisor import Stack

#: Seconds. The stubborn processes of these tests use up any grace period.
SHORT_GRACE_S = 0.5


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setattr(supervisor, "GRACE_S", SHORT_GRACE_S)
    with Stack(tmp_path / "logs") as entered:
        yield entered
