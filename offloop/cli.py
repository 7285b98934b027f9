"""The command `offloop`."""

import sys
import traceback
from typing import Annotated

import typer

import offloop
from offloop.commands.bench import bench, list_experiments
from offloop.commands.load import load
from offloop.commands.preflight import preflight
from offloop.commands.up import up
from offloop.errors import ExitCode

app = typer.Typer(
    help="See why an async FastAPI service stalls, and prove the fix.",
    epilog="Start with: offloop bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(bench)
app.command("list")(list_experiments)
app.command()(up)
app.command()(preflight)
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
    """Run the command line; an error nobody thought of exits like any other tool error."""
    try:
        app()
    except Exception:  # noqa: BLE001 - exit code 1 is taken: it means that an expectation failed
        traceback.print_exc()
        sys.exit(ExitCode.ERROR)
