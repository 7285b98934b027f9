from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.checkout import Checkout, make_checkout
from tests.waiting import wait_for


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout that nothing is left of in the end."""
    made = make_checkout(tmp_path / "checkout")
    yield made
    wait_for(lambda: not made.running())


@pytest.fixture
def short(checkout: Checkout, data_set: Mapping[str, str]) -> Checkout:
    """A checkout whose experiment takes seconds, on a small data set.

    Too short for a verdict, but all of a bench is there.
    """
    checkout.change_experiment(
        ("^duration_s = .*", "duration_s = 2"),
        ("^utilisation = .*", "utilisation = 0.2"),
    )
    return replace(checkout, env=data_set)
