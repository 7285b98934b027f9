"""How commands end: exit codes, and errors that explain themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer
from rich.console import Console
from rich.markup import escape


class ExitCode(IntEnum):
    """What the lab's commands tell the shell, and CI."""

    PASS = 0
    FAIL = 1
    ERROR = 2
    NO_VERDICT = 3
    INTERRUPTED = 130


@contextmanager
def explained(*kinds: type[Exception]) -> Iterator[None]:
    """End the command with a sentence where one of these exceptions says what to do next.

    Raises:
        typer.Exit: with `ExitCode.ERROR`, or `ExitCode.INTERRUPTED` after Ctrl-C.
    """
    console = Console(stderr=True)
    try:
        yield
    except kinds as error:
        # Not wrapped: what is searched for in a log of CI should stand on one line.
        console.print(
            f"[bold red]Error:[/bold red] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(ExitCode.ERROR) from error
    except KeyboardInterrupt as error:
        console.print("Interrupted; everything that was started has been stopped.")
        raise typer.Exit(ExitCode.INTERRUPTED) from error
