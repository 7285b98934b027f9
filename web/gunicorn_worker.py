"""uvicorn as gunicorn's worker class, with the settings that it has where it runs alone."""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class HttptoolsWorker(UvicornWorker):  # type: ignore[misc] # uvicorn_worker is not typed
    """Serves HTTP with the C parser, and neither logs requests nor names itself.

    gunicorn has no options for these; its own are given on its command line.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        # Left alone, it takes uvloop where that happens to be installed.
        "loop": "asyncio",
        "http": "httptools",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
    }
