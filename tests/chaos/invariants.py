"""What must be true once everything has come to rest, whatever was broken before.

Pure: `tests.chaos.evidence` reads what is judged here.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

#: The problem of a job at which every attempt was killed.
_GIVEN_UP = "urn:offloop:problem:too-many-attempts"

#: States of a job that never change again.
FINAL = frozenset({"done", "failed", "cancelled"})


class Harm(StrEnum):
    """What a violation did to a customer."""

    LOST = "lost"
    DOUBLED = "doubled"
    PARTIAL = "partial"
    STUCK = "stuck"
    WRONG = "wrong"


@dataclass(frozen=True)
class Violation:
    """One thing that is not as it was promised."""

    harm: Harm
    job_id: str
    words: str

    def __str__(self) -> str:
        return f"{self.harm}: job {self.job_id or '-'}: {self.words}"


@dataclass(frozen=True)
class Expected:
    """What one kind of report is to be, worked out without any tier.

    Attributes:
        suffix: Ending of its file's name.
        size: Bytes of the file.
        sha256: Of the file.
        amount: Cents that it costs.
    """

    suffix: str
    size: int
    sha256: str
    amount: int


@dataclass(frozen=True)
class Promise:
    """A `202`: what a customer was told.

    Attributes:
        job_id: The job that was promised.
        key: The customer's idempotency key.
        spec: Names what was ordered.
        callback: Whether the customer wants to be called back.
    """

    job_id: str
    key: str
    spec: str
    callback: bool


@dataclass(frozen=True)
class Seen:
    """What a customer was shown later; the hash is that of the file as it was downloaded."""

    job_id: str
    status: str
    sha256: str | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the ledger."""

    entry_id: str
    job_id: str
    request_ref: str
    attempt: int
    amount: int


@dataclass(frozen=True)
class StoredFile:
    """A file on disk."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Message:
    """A message that is still in a queue.

    Attributes:
        place: The key in which it was found.
        message_id: Its id.
        job_id: The job it is about; empty where only the id is left.
        dead: Whether it is a dead letter.
    """

    place: str
    message_id: str
    job_id: str
    dead: bool


@dataclass(frozen=True)
class Delivery:
    """A callback as it reached its receiver; `valid` is whether the signature is right."""

    event_id: str
    job_id: str
    status: str
    valid: bool


@dataclass(frozen=True)
class Evidence:
    """Everything there is to know, once everything is at rest.

    Attributes:
        expected: What each kind of report is to be.
        promises: Every `202`, in their order.
        unanswered: Keys of orders that were never answered, however often they were sent.
        surprises: Answers that no customer should get, in words.
        seen: What customers were shown.
        announced: Ids of finished jobs, as often as they were announced.
        deliveries: Every callback that arrived.
        records: Job records, raw.
        entries: The ledger.
        files: The folder of finished reports, temporary files included.
        messages: What is left in the queues.
        waiting: What is left to be done: ids, by the name of the list they are in.
    """

    expected: Mapping[str, Expected]
    promises: Sequence[Promise] = ()
    unanswered: Sequence[str] = ()
    surprises: Sequence[str] = ()
    seen: Sequence[Seen] = ()
    announced: Sequence[str] = ()
    deliveries: Sequence[Delivery] = ()
    records: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    files: Mapping[str, StoredFile] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    waiting: Mapping[str, Sequence[str]] = field(default_factory=dict)


def judge(evidence: Evidence) -> list[Violation]:
    """Return everything that is not as it was promised; nothing, if all is well."""
    promised = {promise.job_id: promise for promise in evidence.promises}
    return list(
        chain(
            _answers(evidence),
            _unpromised(evidence, promised.keys()),
            _records(evidence, promised),
            _endings(evidence),
            _ledger(evidence, promised),
            _files(evidence, promised),
            _queues(evidence),
            _announcements(evidence),
            _callbacks(evidence, promised),
            _customers_view(evidence, promised),
        )
    )


def honest_failures(evidence: Evidence) -> int:
    """Count the jobs that were given up, which their customers can see."""
    return sum(record.get("status") == "failed" for record in evidence.records.values())


def harms(violations: Iterable[Violation]) -> dict[Harm, int]:
    """Count the jobs that came to harm, by what was done to them."""
    jobs: dict[Harm, set[str]] = {harm: set() for harm in Harm}
    for violation in violations:
        jobs[violation.harm].add(violation.job_id or violation.words)
    return {harm: len(those) for harm, those in jobs.items()}


def _answers(evidence: Evidence) -> Iterator[Violation]:
    jobs_of: dict[str, set[str]] = defaultdict(set)
    for promise in evidence.promises:
        jobs_of[promise.key].add(promise.job_id)
    for key, jobs in jobs_of.items():
        if len(jobs) > 1:
            yield Violation(
                Harm.DOUBLED, min(jobs), f"the key {key} was answered with {len(jobs)} jobs"
            )
    for key in evidence.unanswered:
        yield Violation(Harm.STUCK, "", f"the order {key} was never answered")
    for surprise in evidence.surprises:
        yield Violation(Harm.WRONG, "", surprise)


def _unpromised(evidence: Evidence, promised: Iterable[str]) -> Iterator[Violation]:
    # Customers repeat an order until it is answered, so there is no job they do not know.
    known = set(promised)
    for job_id in evidence.records.keys() - known:
        yield Violation(Harm.DOUBLED, job_id, "there is a record, but nobody was promised this job")
    for entry in evidence.entries:
        if entry.job_id not in known:
            yield Violation(
                Harm.DOUBLED,
                entry.job_id,
                f"ledger entry {entry.entry_id}, but nobody was promised this job",
            )


def _endings(evidence: Evidence) -> Iterator[Violation]:
    for job_id, record in evidence.records.items():
        endings = int(record.get("endings", 0))
        if endings > 1:
            yield Violation(Harm.DOUBLED, job_id, f"it came to its end {endings} times")


def _records(evidence: Evidence, promised: Mapping[str, Promise]) -> Iterator[Violation]:
    for job_id, promise in promised.items():
        record = evidence.records.get(job_id)
        status = (record or {}).get("status")
        if record is None:
            yield Violation(Harm.LOST, job_id, "it was promised, but there is no record")
        elif status not in FINAL:
            attempt = record.get("attempt")
            yield Violation(Harm.STUCK, job_id, f"it is {status} for ever, at attempt {attempt}")
        elif status == "cancelled":
            yield Violation(Harm.LOST, job_id, "it is cancelled, but nobody cancelled it")
        elif status == "failed":
            # Every order can be done: to have been killed too often is the one honest reason.
            problem = json.loads(record.get("problem") or "{}").get("type")
            if problem != _GIVEN_UP:
                yield Violation(Harm.WRONG, job_id, f"it failed because of {problem}")
        elif status == "done":
            result = json.loads(record.get("result") or "{}")
            expected = evidence.expected[promise.spec]
            if (result.get("bytes"), result.get("sha256")) != (expected.size, expected.sha256):
                yield Violation(
                    Harm.PARTIAL,
                    job_id,
                    f"its record describes {result.get('bytes')} bytes, the report has "
                    f"{expected.size}",
                )


def _ledger(evidence: Evidence, promised: Mapping[str, Promise]) -> Iterator[Violation]:
    by_job: dict[str, list[Entry]] = defaultdict(list)
    by_request: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.entries:
        by_job[entry.job_id].append(entry)
        by_request[entry.request_ref].append(entry)
    for request_ref, entries in by_request.items():
        if len(entries) > 1:
            attempts = ", ".join(str(entry.attempt) for entry in entries)
            yield Violation(
                Harm.DOUBLED,
                entries[0].job_id,
                f"{len(entries)} ledger entries for {request_ref} (attempts {attempts})",
            )
    for job_id, promise in promised.items():
        entries = by_job[job_id]
        status = evidence.records.get(job_id, {}).get("status")
        if status == "done" and not entries:
            yield Violation(Harm.LOST, job_id, "it is done, but the ledger does not know it")
        if len({entry.request_ref for entry in entries}) > 1:
            yield Violation(
                Harm.DOUBLED, job_id, f"{len(entries)} ledger entries under several references"
            )
        for entry in entries:
            amount = evidence.expected[promise.spec].amount
            if entry.amount != amount:
                yield Violation(
                    Harm.WRONG, job_id, f"{entry.amount} cents in the ledger instead of {amount}"
                )
            if entry.request_ref != promise.key:
                yield Violation(
                    Harm.WRONG,
                    job_id,
                    f"the ledger calls it {entry.request_ref}, its customer {promise.key}",
                )


def _files(evidence: Evidence, promised: Mapping[str, Promise]) -> Iterator[Violation]:
    explained: set[str] = set()
    for job_id, promise in promised.items():
        expected = evidence.expected[promise.spec]
        name = f"{job_id}{expected.suffix}"
        explained.add(name)
        file = evidence.files.get(name)
        status = evidence.records.get(job_id, {}).get("status")
        if file is None:
            if status == "done":
                yield Violation(Harm.LOST, job_id, "it is done, but there is no file")
        elif (file.size, file.sha256) != (expected.size, expected.sha256):
            yield Violation(
                Harm.PARTIAL,
                job_id,
                f"it is {status}, and its file has {file.size} of {expected.size} bytes"
                if file.size != expected.size
                else f"it is {status}, and its file has other bytes than the report",
            )
    for name in sorted(evidence.files.keys() - explained):
        words = f"nobody can explain the file {name}"
        yield Violation(Harm.PARTIAL, "", words)


def _queues(evidence: Evidence) -> Iterator[Violation]:
    for message in evidence.messages:
        status = evidence.records.get(message.job_id, {}).get("status")
        if message.dead and status == "failed":
            continue  # what a dead letter is for
        yield Violation(
            Harm.STUCK,
            message.job_id,
            f"it is {status}, and its message {message.message_id} is still in {message.place}",
        )
    for place, ids in evidence.waiting.items():
        for each in ids:
            yield Violation(Harm.STUCK, each.partition(".")[0], f"{each} is still in {place}")


def _announcements(evidence: Evidence) -> Iterator[Violation]:
    for job_id, times in Counter(evidence.announced).items():
        if times > 1:
            yield Violation(
                Harm.DOUBLED, job_id, f"it was announced {times} times that it is finished"
            )


def _callbacks(evidence: Evidence, promised: Mapping[str, Promise]) -> Iterator[Violation]:
    by_job: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in evidence.deliveries:
        by_job[delivery.job_id].append(delivery)
        if not delivery.valid:
            yield Violation(
                Harm.WRONG, delivery.job_id, f"callback {delivery.event_id} is not signed by us"
            )
    wanted = {job_id for job_id, promise in promised.items() if promise.callback}
    for job_id in wanted - by_job.keys():
        yield Violation(Harm.LOST, job_id, "its customer was never called back")
    for job_id in by_job.keys() - wanted:
        yield Violation(Harm.WRONG, job_id, "a callback that nobody asked for")
    for job_id, deliveries in by_job.items():
        events = {delivery.event_id for delivery in deliveries}
        if len(events) > 1:
            yield Violation(
                Harm.DOUBLED, job_id, f"its end was told as {len(events)} different events"
            )
        told = {delivery.status for delivery in deliveries}
        status = evidence.records.get(job_id, {}).get("status")
        if told - {status}:
            yield Violation(
                Harm.WRONG,
                job_id,
                f"its customer was told {', '.join(sorted(told))}: it is {status}",
            )


def _customers_view(evidence: Evidence, promised: Mapping[str, Promise]) -> Iterator[Violation]:
    for seen in evidence.seen:
        status = evidence.records.get(seen.job_id, {}).get("status")
        if seen.status in FINAL and seen.status != status:
            yield Violation(
                Harm.WRONG, seen.job_id, f"its customer saw it {seen.status}: it is {status}"
            )
        promise = promised.get(seen.job_id)
        if seen.sha256 is None or promise is None:
            continue
        if seen.sha256 != evidence.expected[promise.spec].sha256:
            yield Violation(
                Harm.PARTIAL, seen.job_id, "its customer downloaded other bytes than the report"
            )
