"""The command `offloop`."""

import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

import offloop
from offloop.commands.load import load
from offloop.errors import ExitCode

#: The commands of the lab, each with its module and function, in the order of the help.
_LAB = {
    "bench": ("bench", "bench"),
    "list": ("bench", "list_experiments"),
    "runs": ("runs", "runs"),
    "show": ("runs", "show"),
    "compare": ("runs", "compare"),
    "up": ("up", "up"),
    "live": ("live", "live"),
    "preflight": ("preflight", "preflight"),
}

#: A package that only the lab needs: without it, the lab is not installed.
_LAB_PACKAGE = "dramatiq"

_INSTALL = "pip install 'offloop[lab]'"

app = typer.Typer(
    help="See why an async FastAPI service stalls, and prove the fix.",
    epilog="Start with: offloop bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add_lab() -> None:
    """Add the commands of the lab, or in their place what says how to install it."""
    installed = find_spec(_LAB_PACKAGE) is not None
    for command, (module, function) in _LAB.items():
        if installed:
            found = import_module(f"offloop.commands.{module}")
            app.command(command)(getattr(found, function))
        else:
            # Whatever its arguments are, the answer is the same.
            settings = {"ignore_unknown_options": True, "allow_extra_args": True}
            add = app.command(command, help=f"Needs: {_INSTALL}", context_settings=settings)
            add(_missing(command))


def _missing(command: str) -> Callable[[], None]:
    def end() -> None:
        typer.echo(
            f"Error: `offloop {command}` is a command of the lab, which is not installed. "
            f"Install it: {_INSTALL}",
            err=True,
        )
        raise typer.Exit(ExitCode.ERROR)

    return end


_add_lab()
app.command()(load)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(offloop.__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an unexpected error exits like any other tool error."""
    try:
        app()
    except Exception:  # noqa: BLE001 - exit code 1 is taken: it means that an expectation failed
        traceback.print_exc()
        sys.exit(ExitCode.ERROR)
