"""How a command ends when something goes wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from offloop.errors import ExitCode, OffloopError


@contextmanager
def explained() -> Iterator[None]:
    """End the command with the message of an error, in place of its traceback.

    Raises:
        typer.Exit: with `ExitCode.ERROR`, or `ExitCode.INTERRUPTED` after Ctrl-C.
    """
    console = Console(stderr=True)
    try:
        yield
    except (OffloopError, OSError) as error:
        # Not wrapped: what is searched for in a log of CI should stand on one line.
        console.print(
            f"[bold red]Error:[/bold red] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(ExitCode.ERROR) from error
    except KeyboardInterrupt as error:
        console.print("Interrupted; everything that was started has been stopped.")
        raise typer.Exit(ExitCode.INTERRUPTED) from error
