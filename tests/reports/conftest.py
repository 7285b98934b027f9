"""Data sets for the tests of the work, in the default data folder: built once, then reused."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from reports.dataset import ensure_dataset
from reports.settings import ReportSettings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "SCALE_FACTOR", "DATABASE_URL", "FILES_DIR"):
        monkeypatch.delenv(f"OFFLOOP_{name}", raising=False)


@pytest.fixture(scope="session")
def engine_at() -> Iterator[Callable[[float], Engine]]:
    """An engine over the line items at a scale factor."""
    engines: dict[float, Engine] = {}

    def get(scale_factor: float) -> Engine:
        if scale_factor not in engines:
            settings = ReportSettings(scale_factor=scale_factor, database_url=None)
            engines[scale_factor] = create_engine(ensure_dataset(settings))
        return engines[scale_factor]

    yield get
    for engine in engines.values():
        engine.dispose()


@pytest.fixture(scope="session")
def engine(engine_at: Callable[[float], Engine]) -> Engine:
    return engine_at(0.01)


@pytest.fixture(scope="session")
def oracle_at() -> Callable[[float], Path]:
    """The generator's own output, a Parquet file that none of our code has touched."""

    def get(scale_factor: float) -> Path:
        folder = ReportSettings().data_dir / f"oracle-sf{scale_factor:g}"
        if not (folder / "lineitem.parquet").exists():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            program = shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent))
            assert program is not None
            command = [program, "parquet", "-s", f"{scale_factor:g}", "-T", "lineitem"]
            subprocess.run([*command, "-o", str(part), "-q"], check=True)
            part.rename(folder)
        return folder / "lineitem.parquet"

    return get
