"""What answers an app's requests: which server, and how many processes of it."""

import sys
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from offloop.stack.ports import LOOPBACK
from offloop.tables import Table

#: Seconds that an idle connection is kept: uvicorn's own default, where gunicorn's is another.
_KEEP_ALIVE_S = 5

#: Left alone, uvicorn takes uvloop where that happens to be installed.
_LOOP = "asyncio"

#: Seconds between two looks of gunicorn at its workers.
LOOK_S = 1

#: uvicorn as gunicorn's worker, with the settings that uvicorn gets as options where it is alone.
_WORKER_CLASS = "web.gunicorn_worker.HttptoolsWorker"


class Server(Table):
    """The server of an arm. Its name alone, `"uvicorn"`, means one process for requests."""

    kind: Literal["uvicorn", "gunicorn"]
    """The server."""
    processes: PositiveInt | None = None
    """Processes for requests and reports together: those that are not slots of a pool serve
    requests. The master process is not counted."""
    timeout_s: int | None = Field(default=None, ge=2)
    """Seconds without a sign of life after which gunicorn kills a worker. At 1 s it would kill idle
    workers."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "gunicorn" and (self.processes is None or self.timeout_s is None):
            raise ValueError("gunicorn needs `processes` and `timeout_s`")
        if self.kind == "uvicorn" and self.timeout_s is not None:
            raise ValueError("timeout_s is gunicorn's: uvicorn kills no workers")
        return self

    @property
    def sign_of_life_s(self) -> int | None:
        """For how many seconds the loop of gunicorn's worker has to run until it gives one."""
        # uvicorn looks once a second whether half of the timeout has passed since the last.
        return None if self.timeout_s is None else ceil(self.timeout_s / 2)

    def serving(self, slots: int) -> int:
        """Return how many processes serve requests.

        Args:
            slots: Those that build reports instead.

        Raises:
            ValueError: none is left.
        """
        if self.processes is None:
            return 1
        if self.processes <= slots:
            raise ValueError(
                f"server.processes = {self.processes} is all that there is for requests and "
                f"reports, and the pools have {slots} slots: it takes at least {slots + 1}"
            )
        return self.processes - slots

    def command(self, app: str, port: int, processes: int) -> tuple[str, ...]:
        """Return what to run. Whatever the server, it has the same settings.

        Args:
            app: ``module:name`` of the ASGI app.
            port: Where to listen, on loopback.
            processes: How many serve requests.
        """
        match self.kind:
            case "uvicorn":
                return (
                    *(sys.executable, "-m", "uvicorn", app),
                    *("--host", LOOPBACK, "--port", str(port)),
                    *("--loop", _LOOP, "--http", "httptools"),
                    *("--no-access-log", "--log-level", "warning"),
                    "--no-server-header",
                    *(("--workers", str(processes)) if processes > 1 else ()),
                )
            case "gunicorn":
                return (
                    *(sys.executable, "-m", "gunicorn", app, "--bind", f"{LOOPBACK}:{port}"),
                    *("--workers", str(processes), "--worker-class", _WORKER_CLASS),
                    *("--timeout", str(self.timeout_s), "--keep-alive", str(_KEEP_ALIVE_S)),
                    # Once, before it forks: a worker that loads the app is silent meanwhile.
                    "--preload",
                    # Its socket would be in the home directory, one for all instances.
                    *("--log-level", "warning", "--no-control-socket"),
                )


def _name_alone(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


#: As a file writes it: a table, or the name alone.
AnyServer = Annotated[
    Server, BeforeValidator(_name_alone, json_schema_input_type=Literal["uvicorn"] | Server)
]

#: The server where nothing else is said.
STANDARD_SERVER = Server(kind="uvicorn")
