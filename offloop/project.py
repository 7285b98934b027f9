"""Where the checkout is: the lab runs apps, experiments and data that are not in its wheel."""

from pathlib import Path

from offloop.errors import OffloopError

#: What a checkout must hold to be one.
_LANDMARK = Path("loadtests") / "experiments"


class NotACheckoutError(OffloopError):
    """The lab was started where there is nothing for it to run."""


def project_root() -> Path:
    """Return the checkout: the working directory or one above it, else where `offloop` lives.

    Raises:
        NotACheckoutError: neither holds ``loadtests/experiments``.
    """
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[1]):
        if (folder / _LANDMARK).is_dir():
            return folder
    raise NotACheckoutError(
        f"There is no {_LANDMARK} in {Path.cwd()} or above it. The lab runs the apps and "
        "experiments of a checkout of Offloop: change into one, and try again."
    )
