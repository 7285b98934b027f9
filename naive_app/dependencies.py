"""What the routes use; `naive_app.main` opens it."""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from naive_app.finished import FinishedReports


async def get_engine(request: Request) -> AsyncEngine:
    """Return the database of line items."""
    engine: AsyncEngine = request.app.state.engine
    return engine


async def get_finished(request: Request) -> FinishedReports:
    """Return the reports built so far."""
    finished: FinishedReports = request.app.state.finished
    return finished


Engine = Annotated[AsyncEngine, Depends(get_engine)]
Finished = Annotated[FinishedReports, Depends(get_finished)]
