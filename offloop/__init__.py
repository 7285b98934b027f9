"""Offloop: see why an async FastAPI service stalls, and prove the fix."""

from importlib.metadata import version

__version__ = version("offloop")
