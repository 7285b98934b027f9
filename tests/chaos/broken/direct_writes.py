"""The fixed tier, but files are written under their final names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from reports import publish


@contextmanager
def _written_directly(target: Path) -> Iterator[BinaryIO]:
    with target.open("wb") as file:
        yield file


publish.published = _written_directly

import workers.fixed  # noqa: E402, F401 - only now: it takes the function from there
