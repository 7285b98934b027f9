import pytest

from offloop.measuring.instruments.effects import (
    Effects,
    Entry,
    Served,
    ServedFile,
    effect_measures,
)

WHOLE = "whole"

BILLED = (Entry("one", "order-1"), Entry("two", "order-2"))


def served(job_id: str = "one", **changes: object) -> Served:
    """A job that is done, with its whole file."""
    fields = {"attempts": 1, "is_done": True, "file": ServedFile(1000, WHOLE), **changes}
    return Served(job_id, **fields)  # type: ignore[arg-type]


def effects(jobs: list[Served], entries: tuple[Entry, ...] | None = BILLED) -> Effects:
    return Effects({WHOLE}, jobs, entries)


def test_without_a_fault_each_report_has_one_entry_and_its_whole_file() -> None:
    found = effect_measures(effects([served("one"), served("two")]))

    assert found == {
        "jobs.count": 2,
        "jobs.attempts": 2,
        "files.checked": 2,
        "files.partial": 0,
        "files.smallest_bytes": 1000,
        "ledger.entries": 2,
        "ledger.per_report_max": 1,
        "ledger.per_job_max": 1,
        "ledger.doubled": 0,
    }


def test_a_job_that_was_billed_again_has_several_entries() -> None:
    found = effect_measures(effects([served()], (*BILLED, Entry("one", "order-1"))))

    assert found["ledger.entries"] == 3
    assert found["ledger.per_job_max"] == found["ledger.per_report_max"] == 2
    assert found["ledger.doubled"] == 1


def test_an_order_with_two_jobs_has_two_entries_and_each_job_has_one() -> None:
    found = effect_measures(effects([served()], (*BILLED, Entry("again", "order-1"))))

    assert found["ledger.per_job_max"] == 1
    assert found["ledger.per_report_max"] == 2
    assert found["ledger.doubled"] == 1


def test_a_file_that_is_not_the_report_is_partial_and_its_length_is_told() -> None:
    torn = served("two", file=ServedFile(400, "other"))

    found = effect_measures(effects([served("one"), torn]))

    assert (found["files.checked"], found["files.partial"]) == (2, 1)
    assert found["files.smallest_bytes"] == 400


def test_a_missing_file_of_a_done_job_counts_as_partial() -> None:
    found = effect_measures(effects([served(file=None)]))

    assert (found["files.checked"], found["files.partial"]) == (1, 1)
    assert "files.smallest_bytes" not in found


def test_no_file_is_expected_of_a_job_that_is_not_done() -> None:
    found = effect_measures(effects([served(), served("two", is_done=False, file=None)]))

    assert (found["files.checked"], found["files.partial"]) == (1, 0)
    assert found["jobs.count"] == 2


def test_attempts_are_counted_whether_they_had_an_effect_or_not() -> None:
    found = effect_measures(effects([served(attempts=3), served("two")]))

    assert (found["jobs.count"], found["jobs.attempts"]) == (2, 4)


@pytest.mark.parametrize(("entries", "known"), [(None, False), ((), True)])
def test_a_missing_ledger_has_no_measures(entries: tuple[Entry, ...] | None, known: bool) -> None:
    found = effect_measures(effects([served()], entries))

    assert ("ledger.entries" in found) is known
    assert "ledger.per_report_max" not in found
    assert found.get("ledger.doubled") == (0 if known else None)
