"""A server that answers by path, also in ways no good server would. Prints its port.

/ok                 200
/status/N           status N
/never              no answer
/close              the connection closes without an answer
/half               the connection closes in the middle of an answer
/slow/S             200 after S seconds
/busy/N/S/...       503 with `Retry-After: S` to the first N requests for this very path, then 202
/redirect           302 to /ok
/echo               200 with the request itself as the body
/connections        200 with the number of connections ever made
/reports            POST: 202 with a job that is done at the third question
/reports/now        POST: 201 with a finished report
/reports/failing    POST: 202 with a job that fails
/reports/lost       POST: 202 with a job that is 404 afterwards
/reports/endless    POST: 202 with a job that stays queued
"""

import asyncio
import contextlib
import itertools
import json
import sys
from collections import Counter
from collections.abc import Mapping

DONE = {
    "job_id": "j",
    "status": "done",
    "accepted_at": "A",
    "started_at": "S",
    "finished_at": "F",
    "result": {"rows": 12, "bytes": 345, "sha256": "abc", "summary": []},
}
QUEUED = {**DONE, "status": "queued", "started_at": None, "finished_at": None, "result": None}

connections = itertools.count(1)
made = 0
questions: Counter[str] = Counter()
job_ids = itertools.count(1)


def answer(status: int, body: bytes = b"ok", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def document(status: int, report: Mapping[str, object], headers: str = "") -> bytes:
    return answer(status, json.dumps(report).encode(), headers)


def order(kind: str = "usual") -> bytes:
    if kind == "now":
        return document(201, DONE)
    location = f"Location: /jobs/{kind}/{next(job_ids)}\r\n"
    return document(202, QUEUED, location + "Retry-After: 1\r\n")


def question(path: str) -> bytes:
    kind = path.split("/")[2]
    questions[path] += 1
    if kind == "lost":
        return answer(404)
    if kind == "failing":
        return document(200, {**QUEUED, "status": "failed", "finished_at": "F"})
    if kind == "usual" and questions[path] == 3:
        return document(200, DONE)
    return document(200, QUEUED, "Retry-After: 0\r\n" if kind == "usual" else "")


def busy(path: str, refusals: int, seconds: str) -> bytes:
    questions[path] += 1
    if questions[path] <= refusals:
        return answer(503, headers=f"Retry-After: {seconds}\r\n")
    return order()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global made  # noqa: PLW0603 - a counter of the whole server
    made = next(connections)
    with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.splitlines()
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            await reader.readexactly(length)
            writer.write(await respond(head))
            await writer.drain()
            if b" /half " in head:
                break
    writer.close()


async def respond(head: bytes) -> bytes:
    path = head.split(b" ", 2)[1].decode()
    match path.split("/")[1:]:
        case ["never"]:
            await asyncio.sleep(3600)
        case ["close"]:
            raise ConnectionError
        case ["slow", seconds]:
            await asyncio.sleep(float(seconds))
    return FIXED.get(path) or respond_at_once(path)


def respond_at_once(path: str) -> bytes:
    match path.split("/")[1:]:
        case ["status", status]:
            return answer(int(status))
        case ["connections"]:
            return answer(200, str(made).encode())
        case ["reports", *kind]:
            return order(*kind)
        case ["jobs", *_]:
            return question(path)
        case ["busy", refusals, seconds, *_]:
            return busy(path, int(refusals), seconds)
    return answer(200)


FIXED = {
    "/redirect": answer(302, headers="Location: /ok\r\n"),
    "/half": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
}


async def main() -> None:
    server = await asyncio.start_server(talk, "127.0.0.1")
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Without waiting for connections that are still talked to.
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
