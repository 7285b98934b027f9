"""An external report service: it takes as long as ours, and no CPU time of our process.

It is the naive app itself, in a process of its own, at the priority of the workers.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request

#: Niceness of the process: another machine's work should not take this one from the API.
_NICE = 19

#: Seconds; as long as a worker of the job tier may take.
_TIMEOUT_S = 600.0

#: Seconds after which a connection is not used again. The service closes it after 5, and a request
#: that is on its way just then is lost.
_IDLE_LIMIT_S = 1.0

#: Times the client tries to connect before it gives up, at 0, 0.5, 1.5, 3.5, 7.5 … seconds.
_TRIES = 6


@asynccontextmanager
async def report_service(app: FastAPI) -> AsyncIterator[None]:
    """Start the service, and stop it at the end."""
    with TemporaryDirectory(prefix="offloop-") as folder:
        socket = Path(folder) / "reports.sock"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "naive_app.main:app", "--uds", str(socket)),
            *("--no-access-log", "--log-level", "warning"),
            env={**os.environ, "OFFLOOP_METRICS_PORT": "0"},
        )
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        try:
            transport = httpx.AsyncHTTPTransport(
                uds=str(socket),
                retries=_TRIES,
                limits=httpx.Limits(keepalive_expiry=_IDLE_LIMIT_S),
            )
            async with httpx.AsyncClient(
                transport=transport, base_url="http://reports", timeout=_TIMEOUT_S
            ) as client:
                (await client.get("/health/ready")).raise_for_status()
                app.state.report_service = client
                yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _get_report_service(request: Request) -> httpx.AsyncClient:
    client: httpx.AsyncClient = request.app.state.report_service
    return client


ReportService = Annotated[httpx.AsyncClient, Depends(_get_report_service)]
