"""`offloop live`: watch a service stall."""

import webbrowser
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from offloop.commands.ending import explained
from offloop.live.server import Live
from offloop.live.sides import both_sides
from offloop.project import project_root
from offloop.stack.errors import PortTaken
from offloop.stack.ports import LOOPBACK, free_port, is_free
from offloop.stack.signals import interruptible


def live(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Of the page. By default a free one.", show_default=False
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a page on which one watches both sides, orders reports and kills the worker.

    Starts both sides, or joins a running `offloop up`. The page is on loopback only; Ctrl-C ends
    everything that was started.

    Examples: `offloop live`; `offloop live --open`; `offloop live --port 8765`.
    """
    console = Console()
    with explained(), interruptible():
        root = project_root()
        if port is not None and not is_free(port):
            raise PortTaken("the live page", port)
        console.print("Starting both sides …")
        with both_sides(root, root / ".offloop" / "live" / "logs") as sides:
            chosen = port or free_port()
            url = f"http://{LOOPBACK}:{chosen}/"
            joined = " (joined `offloop up`)" if sides.stack is None else ""
            console.print(f"Watch: {url}{joined}. Ctrl-C ends it.", highlight=False)
            if open_page:
                webbrowser.open(url)
            server = uvicorn.Server(
                uvicorn.Config(
                    Live(sides, chosen).app(),
                    host=LOOPBACK,
                    port=chosen,
                    log_level="warning",
                    timeout_graceful_shutdown=1,
                )
            )
            server.run()
