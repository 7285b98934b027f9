import pytest

from offloop.bench.experiment import experiment_files
from offloop.project import project_root
from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("slug", experiment_files(project_root() / "loadtests" / "experiments"))
def test_everything_that_is_told_was_measured(bench: Bench, slug: str) -> None:
    found = bench(slug)["experiments"][slug]

    assert found["error"] is None
    assert "(not measured)" not in found["gain"] + found["price"]
