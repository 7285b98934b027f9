"""`python -m dashboards` writes the dashboards; `--check` only says whether they are up to date."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import job_tier, load_test, side_by_side

#: Where Grafana is pointed at.
FOLDER = Path(__file__).parent / "grafana"


def generated() -> Mapping[str, str]:
    """Return the content of every dashboard's file, by the file's name."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    pages = (side_by_side.page(), job_tier.page(), load_test.page())
    return {
        f"{page.uid.removeprefix('offloop-')}.json": encoder.encode(page.build()) + "\n"
        for page in pages
    }


def outdated(folder: Path) -> list[str]:
    """Name the files of a folder that are not what would be written: changed, missing, too many."""
    wanted = generated()
    there = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check; the exit code is 1 if a check found a difference."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args(arguments).check
    different = outdated(folder)
    if check:
        for name in different:
            sys.stderr.write(
                f"{folder / name} is not what the program writes: run python -m dashboards\n"
            )
        return 1 if different else 0
    wanted = generated()
    for name in different:
        if name in wanted:
            (folder / name).write_text(wanted[name])
        else:
            (folder / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
