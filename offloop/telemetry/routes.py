"""Which route answers a request: its template, so that all ids count as one."""

from collections.abc import Mapping
from typing import Any


def route_template(scope: Mapping[str, Any]) -> str:
    """Return the template of the route that was chosen, such as `/reports/{job_id}`.

    Starlette and FastAPI write it into the scope when they choose it, before anything is run.

    Args:
        scope: Of a request, as ASGI defines it. Routers change it in place.

    Returns:
        An empty string where no route was chosen, or the framework does not say which.
    """
    # Since FastAPI has routers within routers, its routes do not know the prefixes that they were
    # included under; this does, and has no public name.
    template: str
    try:
        template = scope["fastapi"]["effective_route_context"].path_format
    except (KeyError, AttributeError):
        template = getattr(scope.get("route"), "path", "")
    if "app_root_path" in scope and template:
        # An app that is mounted sees the rest of the path only.
        return f"{scope['root_path'][len(scope['app_root_path']) :]}{template}"
    return template
