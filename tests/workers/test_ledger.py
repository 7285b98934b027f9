"""The billing ledger: billing twice under one id is billing once."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from workers.ledger import Ledger, price_cents

Row = tuple[str, str, str, int, int]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "ledger.sqlite"


def charge(ledger: Ledger, entry_id: str, attempt: int = 1) -> bool:
    return ledger.charge(entry_id, job_id="job", request_ref="order 7", attempt=attempt, amount=12)


def rows(path: Path) -> list[Row]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("select * from ledger order by entry_id"))


def test_a_charge_is_one_entry(path: Path) -> None:
    assert charge(Ledger(path), "a")

    assert rows(path) == [("a", "job", "order 7", 1, 12)]


def test_the_same_charge_again_changes_nothing(path: Path) -> None:
    ledger = Ledger(path)
    charge(ledger, "a")

    assert not charge(ledger, "a", attempt=2)
    assert rows(path) == [("a", "job", "order 7", 1, 12)]


def test_charges_with_ids_of_their_own_are_entries_of_their_own(path: Path) -> None:
    ledger = Ledger(path)
    charge(ledger, "a")
    charge(ledger, "b")

    assert [row[0] for row in rows(path)] == ["a", "b"]


def test_concurrent_charges_are_all_written_and_each_id_once(path: Path) -> None:
    ledger = Ledger(path)
    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(lambda n: charge(ledger, f"{n % 20:02}"), range(100)))

    assert sum(written) == 20
    assert len(rows(path)) == 20


def test_slots_that_start_at_the_same_moment_all_open_a_ledger_that_is_new(tmp_path: Path) -> None:
    # Without taking turns, about one in twenty of these failed.
    for round_ in range(100):
        path, together = tmp_path / str(round_) / "ledger.sqlite", Barrier(8)

        def start(_: int, path: Path = path, together: Barrier = together) -> Ledger:
            together.wait()
            return Ledger(path)

        with ThreadPoolExecutor(8) as threads:
            ledgers = list(threads.map(start, range(8)))

        assert charge(ledgers[0], "a")


@pytest.mark.parametrize("change", ["update ledger set amount = 0", "delete from ledger"])
def test_nobody_changes_what_was_written(path: Path, change: str) -> None:
    charge(Ledger(path), "a")
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only"),
    ):
        connection.execute(change)

    assert rows(path) == [("a", "job", "order 7", 1, 12)]


def test_opening_the_ledger_again_keeps_what_it_holds(path: Path) -> None:
    charge(Ledger(path), "a")

    assert charge(Ledger(path), "b")
    assert len(rows(path)) == 2


@pytest.mark.parametrize(
    ("compare", "fewer", "more"),
    [(int.__eq__, 1, 1_000), (int.__lt__, 1_000, 1_001), (int.__lt__, 0, 1)],
)
def test_a_report_costs_a_base_and_a_cent_for_each_thousand_lines_begun(
    compare: Callable[[int, int], bool], fewer: int, more: int
) -> None:
    assert price_cents(0) == 10
    assert compare(price_cents(fewer), price_cents(more))
