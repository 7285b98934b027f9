"""What the command lines of this package share."""

import argparse
import sys

from pydantic import ValidationError

from reports.settings import ReportSettings


def add_scale_factor(parser: argparse.ArgumentParser) -> None:
    """Add `--scale-factor`, which goes before `OFFLOOP_SCALE_FACTOR`."""
    parser.add_argument(
        "--scale-factor",
        metavar="S",
        help="size of the data set: 0.01 is 60,175 line items, 0.1 is 600,572, 1 is 6,001,215 "
        "(default: OFFLOOP_SCALE_FACTOR, or 0.1)",
    )


def settings_from(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> ReportSettings:
    """Read the settings, or end with exit code 2 and a sentence naming the wrong one."""
    given = arguments.scale_factor
    try:
        return ReportSettings() if given is None else ReportSettings(scale_factor=given)
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            source = (
                "--scale-factor"
                if name == "scale_factor" and given is not None
                else f"OFFLOOP_{name.upper()}"
            )
            parser.error(f"{source} {problem['input']!r}: {problem['msg']}")
        raise


def tell(text: str) -> None:
    """Write one line to standard error; standard output is for results only."""
    sys.stderr.write(f"{text}\n")
