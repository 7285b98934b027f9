import pytest

from offloop.load.following import Outcome, pause_s, read_outcome


def test_all_fields_of_a_job_are_read() -> None:
    body = (
        b'{"job_id": "j", "status": "done", "accepted_at": "A", "started_at": "S",'
        b' "finished_at": "F", "result": {"rows": 1, "bytes": 2, "sha256": "c", "summary": []}}'
    )

    assert read_outcome(body) == Outcome("j", "done", "A", "S", "F", 1, 2, "c")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"status": 3, "result": {"rows": true}}', b"\xff"]
)
def test_missing_fields_are_none(body: bytes) -> None:
    assert read_outcome(body) == Outcome()


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("done", True),
        ("failed", True),
        ("cancelled", True),
        ("missing", True),
        ("queued", False),
        ("running", False),
        (None, False),
    ],
)
def test_some_statuses_are_final(status: str | None, final: bool) -> None:
    assert Outcome(status=status).is_final is final


@pytest.mark.parametrize(
    ("retry_after", "held_s", "expected_s"),
    [
        ("3", 0.1, 3.0),
        ("0", 0.1, 0.0),
        (None, 0.1, 0.5),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.1, 0.5),
        ("-1", 0.1, 0.5),
        ("3", 10.0, 0.0),
    ],
)
def test_the_client_waits_for_retry_after_unless_the_server_long_polled(
    retry_after: str | None, held_s: float, expected_s: float
) -> None:
    assert pause_s(retry_after, held_s) == expected_s
