"""Where the data set and the finished files live, and how large the data set is."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Folder for everything that the lab and its services keep.
STATE = Path(__file__).resolve().parents[1] / ".offloop"

AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class ReportSettings(BaseSettings):
    """Settings of the work, read from `OFFLOOP_*` environment variables."""

    model_config = SettingsConfigDict(env_prefix="OFFLOOP_", frozen=True)

    #: Folder for generated data sets; one SQLite file per scale factor.
    data_dir: AbsolutePath = STATE / "data"
    #: TPC-H scale factor: 0.1 is 600,572 line items, 1 is 6,001,215.
    scale_factor: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    #: SQLAlchemy URL of another database; without it, the SQLite file for the scale factor.
    database_url: str | None = None
    #: Folder for finished reports.
    files_dir: AbsolutePath = STATE / "files"

    @property
    def scale_label(self) -> str:
        """The scale factor as people write it: `0.1`, `1`."""
        return f"{self.scale_factor:g}"

    @property
    def effective_database_url(self) -> str:
        """SQLAlchemy URL of the line items, for a synchronous driver."""
        if self.database_url is not None:
            return self.database_url
        return f"sqlite:///{self.data_dir / f'lineitem-sf{self.scale_label}.sqlite'}"
