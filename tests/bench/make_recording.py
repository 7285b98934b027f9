"""Renews the recorded runs that `test_recorded_run.py` edits, from the latest run.

`python -m tests.bench.make_recording` takes what a verdict rests on, and no more: the folder of a
run is ten times as large.
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from offloop.measuring.results import Run
from offloop.measuring.run_folder import RUN_FILE
from offloop.project import project_root
from tests.bench.recorded import FOLDER, SLUGS

#: Of an experiment's result: what judging starts from, and the verdict that must come of it.
KEPT = (
    *("verdict", "load", "blocks", "discarded", "calibrations", "before_load_blocks"),
    *("events", "expectations"),
)


def main() -> None:
    """Write `recorded/SLUG/` for each experiment."""
    latest = project_root() / "runs" / "latest"
    run = Run.model_validate_json((latest / RUN_FILE).read_text())
    for slug in SLUGS:
        if slug not in run.experiments:
            sys.exit(f"runs/latest has no {slug}: run `offloop bench {' '.join(SLUGS)}` first.")
        folder = FOLDER / slug
        folder.mkdir(parents=True, exist_ok=True)
        result = json.loads(run.experiments[slug].model_dump_json(include=set(KEPT)))
        text = json.dumps({"experiments": {slug: result}}, separators=(",", ":"))
        (folder / RUN_FILE).write_text(text + "\n")
        for name in ("requests.parquet", "reports.parquet", "refusals.parquet"):
            if (latest / name).exists():
                rows = pq.read_table(latest / name, filters=[("experiment", "=", slug)])
                _write(rows, folder / name)


def _write(rows: pa.Table, path: Path) -> None:
    if rows.num_rows:
        pq.write_table(rows, path, compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
