"""The five lesson routes: what a client may rely on, whichever app it talks to."""

import base64
import gzip
import hashlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.spec import FIRST_SHIPDATE, LAST_SHIPDATE, ReportFormat
from tests.shop import DAY, EVERYTHING, HANG_S, Json, Shop, follow, order
from tests.waiting import wait_for
from web.limits import MAX_BODY_BYTES

pytestmark = pytest.mark.medium

JOB_KEYS = [
    *("job_id", "status", "attempt", "progress", "accepted_at", "started_at", "finished_at"),
    *("result", "problem"),
]
#: A job tier also says where the job waits.
KEYS = {"naive": JOB_KEYS, "fixed": [*JOB_KEYS, "queue"]}
RESULT_KEYS = ["rows", "bytes", "sha256", "summary"]
UNKNOWN_ID = "0" * 32


def test_naive_answers_an_order_with_the_finished_report(naive: httpx.Client) -> None:
    answer = naive.post("/reports", json=DAY)

    assert answer.status_code == 201
    assert answer.json()["status"] == "done"
    assert naive.get(answer.headers["Location"]).json() == answer.json()


def test_fixed_answers_an_order_with_where_the_report_will_be(fixed: httpx.Client) -> None:
    answer = fixed.post("/reports", json=DAY)

    assert answer.status_code == 202
    accepted = answer.json()
    assert answer.headers["Location"] == f"/reports/{accepted['job_id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert list(accepted) == KEYS["fixed"]
    facts = {name: accepted[name] for name in ("status", "attempt", "progress", "result", "queue")}
    assert facts == {
        "status": "queued",
        "attempt": 0,
        "progress": 0,
        "result": None,
        "queue": "short",
    }
    assert follow(fixed, answer)["status"] == "done"


@pytest.mark.parametrize(("name", "keys"), KEYS.items())
def test_a_finished_report_has_exactly_the_fields_of_the_contract(
    apps: dict[str, httpx.Client], name: str, keys: list[str]
) -> None:
    job = order(apps[name], DAY)

    assert list(job) == keys
    assert list(job["result"]) == RESULT_KEYS
    assert job["status"] == "done"
    assert job["attempt"] == 1
    assert job["progress"] == 1
    assert job["problem"] is None


def test_a_report_was_accepted_before_it_started_and_started_before_it_finished(
    app: httpx.Client,
) -> None:
    job = order(app, DAY)

    moments = [
        datetime.fromisoformat(job[name]) for name in ("accepted_at", "started_at", "finished_at")
    ]
    assert moments == sorted(moments)
    assert {moment.utcoffset() for moment in moments} == {timedelta(0)}


@pytest.mark.parametrize(
    ("report_format", "media_type", "ending", "magic"),
    [
        ("csv", "application/gzip", ".csv.gz", b"\x1f\x8b"),
        ("parquet", "application/vnd.apache.parquet", ".parquet", b"PAR1"),
    ],
)
def test_a_file_is_sent_whole_with_its_media_type_and_name(
    app: httpx.Client, report_format: str, media_type: str, ending: str, magic: bytes
) -> None:
    job = order(app, DAY | {"format": report_format})

    answer = app.get(f"/reports/{job['job_id']}/file")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == media_type
    assert f'filename="{job["job_id"]}{ending}"' in answer.headers["Content-Disposition"]
    assert answer.content.startswith(magic)
    assert len(answer.content) == job["result"]["bytes"]
    assert hashlib.sha256(answer.content).hexdigest() == job["result"]["sha256"]


def test_the_digest_of_a_file_is_that_of_its_bytes(app: httpx.Client) -> None:
    job = order(app, DAY)

    answer = app.get(f"/reports/{job['job_id']}/file")

    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_the_digest_of_a_part_is_that_of_the_whole_file(app: httpx.Client) -> None:
    path = f"/reports/{order(app, DAY)['job_id']}/file"
    whole = app.get(path)

    part = app.get(path, headers={"Range": "bytes=0-9"})

    assert part.status_code == 206
    assert part.content == whole.content[:10]
    assert part.headers["Repr-Digest"] == whole.headers["Repr-Digest"]


def test_a_range_beyond_the_file_is_a_problem(app: httpx.Client) -> None:
    job = order(app, DAY)

    answer = app.get(f"/reports/{job['job_id']}/file", headers={"Range": "bytes=10000000-"})

    problem = assert_is_problem(answer)
    assert (problem["status"], problem["type"]) == (416, "urn:offloop:problem:range-outside-file")
    assert answer.headers["Content-Range"] == f"bytes */{job['result']['bytes']}"


@pytest.mark.parametrize("unreadable", ["bytes=5-2", "bytes=", "bytes", "rows=0-9", "bytes=x-y"])
def test_a_range_that_makes_no_sense_is_ignored(app: httpx.Client, unreadable: str) -> None:
    path = f"/reports/{order(app, DAY)['job_id']}/file"

    answer = app.get(path, headers={"Range": unreadable})

    assert answer.status_code == 200
    assert answer.content == app.get(path).content


def test_a_csv_file_has_a_line_for_each_row_and_one_for_the_names(app: httpx.Client) -> None:
    job = order(app, DAY)

    content = gzip.decompress(app.get(f"/reports/{job['job_id']}/file").content)

    assert content.count(b"\n") == job["result"]["rows"] + 1


def test_a_window_that_reaches_beyond_the_data_is_served(app: httpx.Client) -> None:
    beyond = {"shipped_from": "1900-01-01", "shipped_to": "1992-01-05"}

    assert (
        order(app, beyond)["result"]
        == order(app, beyond | {"shipped_from": "1992-01-02"})["result"]
    )


DAYS = (LAST_SHIPDATE - FIRST_SHIPDATE).days


@given(
    first=st.integers(0, DAYS),
    length=st.integers(0, 200),
    report_format=st.sampled_from(ReportFormat),
)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_both_apps_make_the_same_file_for_the_same_order(
    apps: dict[str, httpx.Client], first: int, length: int, report_format: ReportFormat
) -> None:
    start = FIRST_SHIPDATE + timedelta(days=first)
    spec = {
        "shipped_from": start.isoformat(),
        "shipped_to": (start + timedelta(days=length)).isoformat(),
        "format": report_format.value,
    }
    jobs = {name: order(client, spec) for name, client in apps.items()}
    files = {
        name: client.get(f"/reports/{jobs[name]['job_id']}/file").content
        for name, client in apps.items()
    }

    assert files["naive"] == files["fixed"]
    assert jobs["naive"]["result"] == jobs["fixed"]["result"]


@pytest.mark.parametrize("report_format", ReportFormat)
def test_both_apps_make_the_same_file_of_everything(
    apps: dict[str, httpx.Client], report_format: ReportFormat
) -> None:
    results = [
        order(client, EVERYTHING | {"format": report_format.value})["result"]
        for client in apps.values()
    ]

    assert results[0] == results[1]
    assert results[0]["rows"] == 60_175  # TPC-H's lineitem at scale 0.01


@dataclass(frozen=True)
class Refused:
    """A request, and the problem it is answered with."""

    status: int
    type: str
    method: str = "POST"
    path: str = "/reports"
    body: Json | str | bytes | list[Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    says: str = ""

    def send(self, client: httpx.Client) -> httpx.Response:
        headers = {"Content-Type": "application/json", **self.headers}
        if isinstance(self.body, str | bytes):
            return client.request(self.method, self.path, content=self.body, headers=headers)
        return client.request(self.method, self.path, json=self.body, headers=headers)


def _invalid(says: str, **changes: object) -> Refused:
    body = {name: value for name, value in {**DAY, **changes}.items() if value is not None}
    return Refused(422, "urn:offloop:problem:invalid-request", body=body, says=says)


def _unknown(path: str, method: str = "GET") -> Refused:
    return Refused(404, "urn:offloop:problem:report-not-found", method, path, says="no report")


MALFORMED = "urn:offloop:problem:malformed-json"
INVALID = "urn:offloop:problem:invalid-request"
TOO_LARGE = "urn:offloop:problem:body-too-large"

REFUSED = {
    "malformed JSON": Refused(400, MALFORMED, body='{"shipped_from": '),
    "a body that is no text": Refused(400, MALFORMED, body=b'{"format": "\xff\xfe"}'),
    "JSON nested without end": Refused(400, MALFORMED, body="[" * 10_000),
    "a number without end": Refused(400, MALFORMED, body='{"format": ' + "9" * 5_000 + "}"),
    "no body": Refused(422, INVALID, body=b""),
    "JSON that is no object": Refused(422, INVALID, body=[DAY]),
    "a body of another media type": Refused(
        422, INVALID, body="shipped_from=1995-03-01", headers={"Content-Type": "text/plain"}
    ),
    "a missing field": _invalid("shipped_to", shipped_to=None),
    "a bad date": _invalid("YYYY-MM-DD", shipped_from="yesterday"),
    "a day that does not exist": _invalid("YYYY-MM-DD", shipped_from="1995-02-30"),
    "a timestamp": _invalid("YYYY-MM-DD", shipped_from="1995-03-01T00:00:00Z"),
    "a number for a date": _invalid("YYYY-MM-DD", shipped_from=794016000),
    "a compact date": _invalid("YYYY-MM-DD", shipped_from="19950301"),
    "a reversed window": _invalid("swap them", shipped_from="1995-03-02"),
    "a window before the data": _invalid(
        "outside the data", shipped_from="1991-01-01", shipped_to="1992-01-01"
    ),
    "a window after the data": _invalid(
        "outside the data", shipped_from="1998-12-02", shipped_to="1999-12-31"
    ),
    "an unknown format": _invalid("'csv' or 'parquet'", format="xlsx"),
    "an unknown field": _invalid("shipped_till", shipped_till="1995-03-02"),
    "a callback that is no URL": _invalid("http or https URL", callback_url="shop.example"),
    "a callback by another protocol": _invalid(
        "http or https URL", callback_url="ftp://shop.example/hooks"
    ),
    "a callback with a user": _invalid(
        "neither user nor fragment", callback_url="https://me:secret@shop.example/hooks"
    ),
    "a callback with a fragment": _invalid(
        "neither user nor fragment", callback_url="https://shop.example/hooks#top"
    ),
    "a callback that is too long": _invalid(
        "at most 2000 characters", callback_url="https://shop.example/".ljust(2_001, "x")
    ),
    "a callback to a port that cannot be": _invalid(
        "65535", callback_url="https://shop.example:65536/"
    ),
    "a callback that is no text": _invalid("valid string", callback_url=7),
    "a field whose name is no text": Refused(422, INVALID, body='{"\\ud800": 1}'),
    "text that is none": Refused(
        422, INVALID, body='{"shipped_from": "\\ud800", "shipped_to": "1995-03-01"}'
    ),
    "an unknown id": _unknown(f"/reports/{UNKNOWN_ID}"),
    "an id that climbs": Refused(404, "about:blank", "GET", "/reports/..%2Fx"),
    "an id with dots only": _unknown("/reports/%2E%2E"),
    "an id with a zero byte": _unknown("/reports/%00"),
    "an id that is no text": _unknown("/reports/%ff"),
    "an id with a pattern": _unknown("/reports/*"),
    "an id that is far too long": _unknown("/reports/" + "a" * 20_000),
    "an id in capitals": _unknown("/reports/" + "A" * 32),
    "the file of an unknown report": _unknown(f"/reports/{UNKNOWN_ID}/file"),
    "the file of an id that climbs": Refused(404, "about:blank", "GET", "/reports/..%2Fx/file"),
    "the file of an id with a zero byte": _unknown("/reports/%00/file"),
    "a body that is too large": Refused(413, TOO_LARGE, body=b" " * (MAX_BODY_BYTES + 1)),
    "a large body for another route": Refused(
        413, TOO_LARGE, "GET", "/ping", body=b" " * (MAX_BODY_BYTES + 1)
    ),
    "a method for nothing": Refused(405, "about:blank", "DELETE"),
    "a method for something else": Refused(405, "about:blank", "POST", "/ping"),
    "an unknown path": Refused(404, "about:blank", "GET", "/report"),
}


def assert_is_problem(answer: httpx.Response) -> Json:
    """Whether it is one as RFC 9457 describes them; returns its body."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: Json = answer.json()
    assert {"type", "title", "status", "detail"} <= set(problem)
    assert problem["status"] == answer.status_code
    assert all(isinstance(problem[name], str) for name in ("type", "title", "detail"))
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_both_apps_refuse_with_the_same_problem(
    apps: dict[str, httpx.Client], refused: Refused
) -> None:
    answers = {name: refused.send(client) for name, client in apps.items()}

    problems = {name: assert_is_problem(answer) for name, answer in answers.items()}
    assert problems["naive"] == problems["fixed"]
    assert problems["fixed"]["status"] == refused.status, problems
    assert problems["fixed"]["type"] == refused.type
    assert refused.says in problems["fixed"]["detail"]


@pytest.mark.parametrize(
    ("path", "naive_allows", "fixed_allows"),
    [
        ("/ping", "GET", "GET"),
        ("/reports", "POST", "GET, POST"),
        (f"/reports/{UNKNOWN_ID}", "GET", "DELETE, GET"),
        ("/docs", "GET, HEAD", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_answered_with_all_the_right_ones(
    apps: dict[str, httpx.Client], path: str, naive_allows: str, fixed_allows: str
) -> None:
    allowed = {name: client.patch(path).headers["Allow"] for name, client in apps.items()}

    assert {name: ", ".join(sorted(allow.split(", "))) for name, allow in allowed.items()} == {
        "naive": naive_allows,
        "fixed": fixed_allows,
    }


def test_each_refused_part_of_an_order_is_listed(app: httpx.Client) -> None:
    problem = app.post("/reports", json={"shipped_from": "x", "format": "xlsx"}).json()

    assert [(error["in"], error["rule"]) for error in problem["errors"]] == [
        ("body.shipped_from", "iso_date"),
        ("body.shipped_to", "missing"),
        ("body.format", "enum"),
    ]


def test_a_body_of_exactly_the_limit_is_read(app: httpx.Client) -> None:
    body = '{"shipped_from": "1995-03-01", "shipped_to": "1995-03-01"}'.ljust(MAX_BODY_BYTES)

    assert app.post("/reports", content=body, headers=JSON).status_code in {201, 202}


JSON = {"Content-Type": "application/json"}


def test_a_chunked_body_that_is_too_large_is_refused(app: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 1024

    problem = assert_is_problem(app.post("/reports", content=chunks(), headers=JSON))

    assert (problem["status"], problem["type"]) == (413, TOO_LARGE)


def _first_line(client: httpx.Client, request: bytes) -> bytes:
    """What the server answers to an unfinished request, by its first line."""
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=HANG_S) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            return answer.readline().rstrip()


HEAD = b"POST /reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_a_body_that_declares_too_much_is_refused_before_it_is_sent(app: httpx.Client) -> None:
    request = HEAD + b"Content-Length: 10000000000\r\n\r\n"

    assert _first_line(app, request).startswith(b"HTTP/1.1 413")


def test_a_chunked_body_is_refused_before_its_end(app: httpx.Client) -> None:
    size = MAX_BODY_BYTES + 1
    request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % size + b" " * size

    assert _first_line(app, request).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ping", {"ping": "pong"}),
        ("/health/live", {"status": "live"}),
        ("/health/ready", {"status": "ready"}),
    ],
)
def test_both_apps_say_that_they_are_well(app: httpx.Client, path: str, body: Json) -> None:
    answer = app.get(path)

    assert (answer.status_code, answer.json()) == (200, body)


def test_an_order_is_written_to_the_audit_log(shop: Shop, apps: dict[str, httpx.Client]) -> None:
    for name, client in apps.items():
        ordered = {
            "event": "report ordered",
            "job_id": order(client, DAY)["job_id"],
            "shipped_from": "1995-03-01",
        }

        wait_for(partial(shop.events, name, **ordered))
