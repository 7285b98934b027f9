from collections.abc import Mapping

import pytest

from tests.chaos.catalogue import work_out
from tests.chaos.invariants import Expected


@pytest.fixture(scope="session")
def expected(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> dict[str, Expected]:
    """What each kind of report has to be."""
    return work_out(tmp_path_factory.mktemp("expected"))
