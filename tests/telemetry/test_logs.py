"""What a process writes once its logs are configured."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from offloop.telemetry.logs import formatter
from offloop.telemetry.settings import LogFormat


def line(
    log_format: LogFormat,
    message: str,
    *args: object,
    extra: Mapping[str, object] | None = None,
    error: BaseException | None = None,
) -> str:
    """The line that a logger called `shop` would write."""
    about = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("shop", logging.WARNING, __file__, 1, message, args, about)
    vars(record).update(extra or {})
    return formatter(log_format).format(record)


def fields(
    message: str, *args: object, extra: Mapping[str, object] | None = None
) -> dict[str, object]:
    found: dict[str, object] = json.loads(line(LogFormat.JSON, message, *args, extra=extra))
    return found


def written(program: str, **environment: str) -> list[str]:
    """What a process of its own writes to standard error, which is no terminal."""
    return subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    ).stderr.splitlines()


def test_a_line_of_any_logger_has_its_fields() -> None:
    found = fields("sold %d", 3, extra={"customer": "c-1"})

    assert list(found)[:4] == ["timestamp", "level", "event", "logger"]
    assert (found["level"], found["event"], found["logger"]) == ("warning", "sold 3", "shop")
    assert found["customer"] == "c-1"
    assert str(found["timestamp"]).endswith("Z")


def test_fields_that_a_message_spells_out_are_not_said_twice() -> None:
    told = {"stall_s": 0.5, "file": "a.py"}

    found = fields("it stalled stall_s=%(stall_s)s file=%(file)s", told, extra=told)

    assert found["event"] == "it stalled"
    assert (found["stall_s"], found["file"]) == (0.5, "a.py")


def test_a_mapping_that_a_message_holds_otherwise_stays_in_it() -> None:
    assert fields("sold %(what)s", {"what": "tea"})["event"] == "sold tea"


def test_a_traceback_is_a_field_and_the_line_stays_one_line() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError("gone")

    text = line(LogFormat.JSON, "job failed", error=caught.value)

    assert len(text.splitlines()) == 1
    assert json.loads(text)["exception"].startswith("Traceback")
    assert json.loads(text)["exception"].endswith("LookupError: gone")


def test_the_colour_field_of_uvicorn_is_left_out() -> None:
    assert "color_message" not in fields("up", extra={"color_message": "\x1b[1mup"})


def test_console_lines_have_the_same_fields_and_no_colours_in_a_file() -> None:
    text = line(LogFormat.CONSOLE, "sold %d", 3, extra={"customer": "c-1"})

    assert "sold 3" in text
    assert "customer=c-1" in text
    assert "\x1b" not in text


LOG = """
import logging, structlog
from offloop.telemetry import logs
logs.configure()
with structlog.contextvars.bound_contextvars(job_id="j-1"):
    logging.getLogger("plain").info("one")
    structlog.get_logger("structured").info("two", more=2)
logging.getLogger("plain").info("three")
"""


@pytest.mark.medium
def test_without_a_terminal_lines_are_json_with_bound_fields() -> None:
    one, two, three = map(json.loads, written(LOG, OFFLOOP_LOG_FORMAT=""))

    assert (one["event"], one["logger"], one["job_id"]) == ("one", "plain", "j-1")
    assert (two["event"], two["logger"], two["job_id"]) == ("two", "structured", "j-1")
    assert two["more"] == 2
    assert "job_id" not in three


@pytest.mark.medium
def test_the_log_format_can_be_set_to_console() -> None:
    assert "job_id=j-1" in written(LOG, OFFLOOP_LOG_FORMAT="console")[0]


SERVERS = """
import logging, logging.config
import uvicorn.config
logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
from offloop.telemetry import logs
logs.configure()
logs.configure()
logging.getLogger("uvicorn.error").info("served")
"""


@pytest.mark.medium
def test_the_log_of_uvicorn_gets_our_format_and_is_written_once() -> None:
    [line] = written(SERVERS, OFFLOOP_LOG_FORMAT="json")

    assert (json.loads(line)["event"], json.loads(line)["logger"]) == ("served", "uvicorn.error")


SILENCED = """
import logging
import uvicorn
uvicorn.Config("app:app", access_log=False)
from offloop.telemetry import logs
logs.configure()
logging.getLogger("uvicorn.access").info("GET /")
logging.getLogger("uvicorn.error").info("served")
"""


@pytest.mark.medium
def test_an_access_log_that_is_disabled_stays_silent() -> None:
    [line] = written(SILENCED, OFFLOOP_LOG_FORMAT="json")

    assert json.loads(line)["event"] == "served"
