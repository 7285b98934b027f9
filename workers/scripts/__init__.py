"""The Lua scripts that change job records: each is one atomic step."""

from importlib.resources import files


def source(name: str) -> str:
    """Return the text of the script ``name``."""
    return files(__name__).joinpath(f"{name}.lua").read_text()
