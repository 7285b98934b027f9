"""Whether this Python has a global interpreter lock."""

import platform
import sys
import sysconfig

from offloop.bench.burst.protocol import Interpreter


def interpreter() -> Interpreter:
    """Describe this Python as it is now: ask once everything has been imported."""
    has_gil = getattr(sys, "_is_gil_enabled", None)  # since Python 3.13
    return Interpreter(
        version=platform.python_version(),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        gil=True if has_gil is None else has_gil(),
    )
