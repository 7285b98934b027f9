"""How commands end: exit codes, and the errors that explain themselves."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the lab's commands tell the shell, and CI."""

    PASS = 0
    FAIL = 1
    ERROR = 2
    NO_VERDICT = 3
    INTERRUPTED = 130


class OffloopError(Exception):
    """Something that a user can mend. Its message says what is wrong and what to do next."""
