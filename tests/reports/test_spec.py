import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from reports.spec import FIRST_SHIPDATE, LAST_SHIPDATE, ReportFormat, ReportSpec


def error_type(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        ReportSpec.model_validate(fields)
    return str(caught.value.errors()[0]["type"])


def test_one_day_is_a_valid_window() -> None:
    spec = ReportSpec.model_validate({"shipped_from": "1995-03-01", "shipped_to": "1995-03-01"})

    assert spec.shipped_from == spec.shipped_to == date(1995, 3, 1)
    assert spec.format is ReportFormat.CSV


def test_a_reversed_window_is_refused_by_name() -> None:
    assert error_type(shipped_from="1995-03-02", shipped_to="1995-03-01") == "window_reversed"


@pytest.mark.parametrize(
    ("shipped_from", "shipped_to"),
    [("1990-01-01", "1992-01-01"), ("1998-12-02", "1999-12-31")],
)
def test_a_window_wholly_outside_the_data_is_refused(shipped_from: str, shipped_to: str) -> None:
    assert error_type(shipped_from=shipped_from, shipped_to=shipped_to) == "window_outside_data"


@pytest.mark.parametrize(
    ("shipped_from", "shipped_to"),
    [
        ("1990-01-01", FIRST_SHIPDATE.isoformat()),
        (LAST_SHIPDATE.isoformat(), "2001-01-01"),
        ("1990-01-01", "2001-01-01"),
    ],
)
def test_a_window_that_touches_the_data_is_valid(shipped_from: str, shipped_to: str) -> None:
    fields = {"shipped_from": shipped_from, "shipped_to": shipped_to}

    assert ReportSpec.model_validate(fields).shipped_to.isoformat() == shipped_to


@pytest.mark.parametrize(
    "value",
    [
        0,
        1.5,
        True,
        None,
        "0",
        "",
        "1995-02-30",
        "1995-2-3",
        "19950203",
        "1995-W05-1",
        "1995-02-03T00:00:00",
        " 1995-02-03",
        "１９９５-02-03",  # noqa: RUF001 - digits, but not ASCII ones
        datetime(1995, 2, 3, tzinfo=UTC),
    ],
)
def test_dates_that_are_not_iso_8601_are_refused(value: object) -> None:
    assert error_type(shipped_from=value, shipped_to="1995-12-31") == "iso_date"


def test_unknown_formats_and_unknown_fields_are_refused() -> None:
    window = {"shipped_from": "1995-01-01", "shipped_to": "1995-12-31"}

    assert error_type(**window, format="xlsx") == "enum"
    assert error_type(**window, colour="red") == "extra_forbidden"


def test_a_spec_survives_json_and_shows_dates_in_its_schema() -> None:
    spec = ReportSpec(
        shipped_from=date(1995, 1, 1), shipped_to=date(1995, 1, 2), format=ReportFormat.PARQUET
    )

    assert ReportSpec.model_validate_json(spec.model_dump_json()) == spec
    assert json.loads(spec.model_dump_json())["format"] == "parquet"
    assert ReportSpec.model_json_schema()["properties"]["shipped_from"]["format"] == "date"


def test_formats_know_their_suffix_and_media_type() -> None:
    assert ReportFormat.CSV.suffix == ".csv.gz"
    assert ReportFormat.PARQUET.suffix == ".parquet"
    assert ReportFormat.CSV.media_type == "application/gzip"
    assert ReportFormat.PARQUET.media_type == "application/vnd.apache.parquet"


def test_the_light_modules_load_neither_database_nor_file_writers() -> None:
    code = (
        "import sys, reports.spec, reports.settings, reports.pricing, reports.rows;"
        "print(sorted({'sqlalchemy', 'pyarrow', 'aiosqlite', 'filelock'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
