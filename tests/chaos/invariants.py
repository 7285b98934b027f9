"""What must be true once everything is at rest, whatever was broken before.

Pure: `tests.chaos.evidence` collects what is judged here.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from tests.shop import FINAL

#: The problem of a job whose slot was killed at every attempt.
_GIVEN_UP = "urn:offloop:problem:too-many-attempts"


class Harm(StrEnum):
    """What a violation did to a customer."""

    LOST = "lost"
    DOUBLED = "doubled"
    PARTIAL = "partial"
    STUCK = "stuck"
    WRONG = "wrong"


class Violation(NamedTuple):
    """One broken promise."""

    harm: Harm
    job_id: str
    words: str

    def __str__(self) -> str:
        return f"{self.harm}: job {self.job_id or '-'}: {self.words}"


class Content(NamedTuple):
    """What a file holds."""

    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size} bytes ({self.sha256:.8})"


class Expected(NamedTuple):
    """What one kind of report has to be: its file, the end of the file's name, its price."""

    suffix: str
    content: Content
    cents: int


class Promise(NamedTuple):
    """A `202`: the job that a customer was promised for an idempotency key."""

    job_id: str
    key: str
    #: Names the report.
    spec: str
    #: Whether the customer asked for one.
    callback: bool


class Seen(NamedTuple):
    """What a customer was shown later; `sha256` is that of the downloaded file."""

    job_id: str
    status: str
    sha256: str | None = None


class Entry(NamedTuple):
    """A line of the ledger."""

    job_id: str
    request_ref: str
    attempt: int
    cents: int


class Message(NamedTuple):
    """A message in a queue, found in the key `place`; `job_id` is empty if only the id is left."""

    place: str
    message_id: str
    job_id: str
    dead: bool


class Delivery(NamedTuple):
    """A callback as its receiver got it; `valid` is whether the signature is right."""

    event_id: str
    job_id: str
    status: str
    valid: bool


@dataclass(frozen=True)
class Evidence:
    """Everything that is known once everything is at rest.

    Expected reports are by name, records by job, files by file name, what waits by its list.
    """

    expected: Mapping[str, Expected]
    promises: Sequence[Promise] = ()
    #: Keys of orders that were never answered, and answers that no customer should get.
    unanswered: Sequence[str] = ()
    surprises: Sequence[str] = ()
    seen: Sequence[Seen] = ()
    #: Ids of finished jobs, as often as they were announced.
    announced: Sequence[str] = ()
    deliveries: Sequence[Delivery] = ()
    records: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    files: Mapping[str, Content] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    waiting: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def promised(self) -> Mapping[str, Promise]:
        """Promises by job. The same promise may be given several times."""
        return {promise.job_id: promise for promise in self.promises}

    def status(self, job_id: str) -> str | None:
        """Return the status of a job by its record."""
        return self.records.get(job_id, {}).get("status")


def judge(evidence: Evidence) -> list[Violation]:
    """Return every broken promise."""
    checks = (_orders, _endings, _records, _ledger, _files, _leftovers, _callbacks, _views)
    return [Violation(*found) for check in checks for found in check(evidence)]


#: The harm, the job, and what happened.
_Found = Iterator[tuple[Harm, str, str]]


def _orders(evidence: Evidence) -> _Found:
    """Every order is answered, and always with the same job."""
    jobs_of: dict[str, set[str]] = defaultdict(set)
    for promise in evidence.promises:
        jobs_of[promise.key].add(promise.job_id)
    for key, jobs in jobs_of.items():
        if len(jobs) > 1:
            yield Harm.DOUBLED, min(jobs), f"the key {key} was answered with {len(jobs)} jobs"
    for key in evidence.unanswered:
        yield Harm.STUCK, "", f"the order {key} was never answered"
    for surprise in evidence.surprises:
        yield Harm.WRONG, "", surprise


def _endings(evidence: Evidence) -> _Found:
    """Every job was promised, has ended once, and was announced once."""
    for job_id, record in evidence.records.items():
        # Customers repeat an order until it is answered, so they know every job.
        if job_id not in evidence.promised:
            yield Harm.DOUBLED, job_id, "it has a record, but was promised to no customer"
        if int(record.get("endings", 0)) > 1:
            yield Harm.DOUBLED, job_id, f"it ended {record['endings']} times"
    for job_id, times in Counter(evidence.announced).items():
        if times > 1:
            yield Harm.DOUBLED, job_id, f"its end was announced {times} times"


def _records(evidence: Evidence) -> _Found:
    """Every promised job is done, or its slot was killed at every attempt."""
    for job_id, promise in evidence.promised.items():
        if job_id not in evidence.records:
            yield Harm.LOST, job_id, "it was promised, but has no record"
            continue
        record = evidence.records[job_id]
        match record.get("status"):
            case "done":
                result = json.loads(record.get("result") or "{}")
                described = Content(result.get("bytes"), result.get("sha256", ""))
                expected = evidence.expected[promise.spec].content
                if described != expected:
                    words = f"its record describes {described}, the report is {expected}"
                    yield Harm.PARTIAL, job_id, words
            case "failed":
                problem = json.loads(record.get("problem") or "{}").get("type")
                if problem != _GIVEN_UP:
                    yield Harm.WRONG, job_id, f"it failed because of {problem}"
            case "cancelled":
                yield Harm.LOST, job_id, "it is cancelled, but no customer cancelled it"
            case status:
                words = f"it stays {status}, at attempt {record.get('attempt')}"
                yield Harm.STUCK, job_id, words


def _ledger(evidence: Evidence) -> _Found:
    """Every done job is billed once, at the right price, under its customer's key."""
    entries_of: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.entries:
        entries_of[entry.job_id].append(entry)
    for job_id, entries in entries_of.items():
        if len(entries) > 1:
            attempts = ", ".join(str(entry.attempt) for entry in entries)
            yield Harm.DOUBLED, job_id, f"it is billed by the attempts {attempts}"
        promise = evidence.promised.get(job_id)
        if promise is None:
            yield Harm.DOUBLED, job_id, "it is billed, but was promised to no customer"
            continue
        expected = evidence.expected[promise.spec].cents
        for entry in entries:
            if entry.cents != expected:
                yield Harm.WRONG, job_id, f"{entry.cents} cents are billed instead of {expected}"
            if entry.request_ref != promise.key:
                words = f"the ledger calls it {entry.request_ref}, its customer {promise.key}"
                yield Harm.WRONG, job_id, words
    for job_id in evidence.promised.keys() - entries_of.keys():
        if evidence.status(job_id) == "done":
            yield Harm.LOST, job_id, "it is done, but not billed"


def _files(evidence: Evidence) -> _Found:
    """Every done job has its whole file, and there is no other file."""
    explained: set[str] = set()
    for job_id, promise in evidence.promised.items():
        expected, status = evidence.expected[promise.spec], evidence.status(job_id)
        name = f"{job_id}{expected.suffix}"
        explained.add(name)
        content = evidence.files.get(name)
        if content is None:
            if status == "done":
                yield Harm.LOST, job_id, "it is done, but has no file"
        elif content != expected.content:
            words = f"it is {status}, and its file is {content}, not {expected.content}"
            yield Harm.PARTIAL, job_id, words
    for name in sorted(evidence.files.keys() - explained):
        yield Harm.PARTIAL, "", f"the file {name} belongs to no job"


def _leftovers(evidence: Evidence) -> _Found:
    """Nothing is left to be done. Only a failed job may leave a dead letter."""
    for message in evidence.messages:
        status = evidence.status(message.job_id)
        if not (message.dead and status == "failed"):
            words = f"it is {status}; message {message.message_id} is still in {message.place}"
            yield Harm.STUCK, message.job_id, words
    for place, ids in evidence.waiting.items():
        for each in ids:
            yield Harm.STUCK, each.partition(".")[0], f"{each} is still in {place}"


def _callbacks(evidence: Evidence) -> _Found:
    """Every customer that asked for a callback gets one event, and no other customer does."""
    deliveries_of: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in evidence.deliveries:
        deliveries_of[delivery.job_id].append(delivery)
    wanted = {job_id for job_id, promise in evidence.promised.items() if promise.callback}
    for job_id in wanted - deliveries_of.keys():
        yield Harm.LOST, job_id, "its customer was never called back"
    for job_id in deliveries_of.keys() - wanted:
        yield Harm.WRONG, job_id, "no customer asked for its callback"
    for job_id, deliveries in deliveries_of.items():
        if not all(delivery.valid for delivery in deliveries):
            yield Harm.WRONG, job_id, "a callback has a wrong signature"
        events = {delivery.event_id for delivery in deliveries}
        if len(events) > 1:
            yield Harm.DOUBLED, job_id, f"its end was delivered as {len(events)} events"
        told, status = {delivery.status for delivery in deliveries}, evidence.status(job_id)
        if told != {status}:
            yield Harm.WRONG, job_id, f"callbacks said {', '.join(sorted(told))}: it is {status}"


def _views(evidence: Evidence) -> _Found:
    """What customers were shown and downloaded is true."""
    for seen in evidence.seen:
        status = evidence.status(seen.job_id)
        if seen.status in FINAL and seen.status != status:
            yield Harm.WRONG, seen.job_id, f"its customer saw it {seen.status}: it is {status}"
        promise = evidence.promised.get(seen.job_id)
        if seen.sha256 is None or promise is None:
            continue
        if seen.sha256 != evidence.expected[promise.spec].content.sha256:
            yield Harm.PARTIAL, seen.job_id, "its customer downloaded other bytes than the report"
