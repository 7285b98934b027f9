"""An attempt answers `POST /reports`; an app that is there already lends it the other routes."""

from fastapi import APIRouter
from fastapi.routing import APIRoute


def with_the_rest(attempt: APIRouter, lender: APIRouter) -> APIRouter:
    """Return the routes of an attempt, and those of another app for what it leaves out."""
    taken = {key for route in _routes(attempt) for key in _keys(route)}
    rest = APIRouter()
    rest.routes.extend(route for route in _routes(lender) if not taken & _keys(route))
    together = APIRouter()
    together.include_router(attempt)
    together.include_router(rest)
    return together


def _routes(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def _keys(route: APIRoute) -> set[tuple[str, str]]:
    return {(method, route.path) for method in route.methods or ()}
