"""The Lua scripts that change job records: each is one atomic step."""

from importlib.resources import files


def source(*names: str) -> str:
    """Return the text of the script that is made of the files ``names``, in this order."""
    return "\n".join(files(__name__).joinpath(f"{name}.lua").read_text() for name in names)
