"""The kinds of work do what they say, the same every time, wherever they are sent."""

import pickle
import subprocess
import sys
import zlib
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from loadtests.bursts.inputs import LINES, prepare
from loadtests.bursts.kinds import Aggregate, Gzip, Inference, Parquet, Piece
from offloop.bench.burst.protocol import Kind
from offloop.project import project_root
from reports.files import COLUMNS
from reports.settings import ReportSettings

KINDS: tuple[Kind, ...] = get_args(Kind)


@pytest.fixture(scope="module")
def pieces(data_set: Mapping[str, str]) -> Mapping[Kind, Piece]:
    return prepare(KINDS, ReportSettings(scale_factor=float(data_set["OFFLOOP_SCALE_FACTOR"])))


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_has_the_same_result_again_and_after_it_was_sent(
    kind: Kind, pieces: Mapping[Kind, Piece]
) -> None:
    piece = pieces[kind]
    sent: Piece = pickle.loads(pickle.dumps(piece))  # noqa: S301 - our own

    assert piece.do() == piece.do() == sent.do()


def test_only_what_is_asked_for_is_made_ready(data_set: Mapping[str, str]) -> None:
    settings = ReportSettings(scale_factor=float(data_set["OFFLOOP_SCALE_FACTOR"]))

    assert prepare(["gzip", "gzip"], settings).keys() == {"gzip"}


def test_all_line_items_are_priced(pieces: Mapping[Kind, Piece]) -> None:
    piece = pieces["aggregate"]
    assert isinstance(piece, Aggregate)

    assert sum(map(len, piece.chunks)) == LINES["aggregate"]
    assert b"sum_disc_price" in piece.do()


def test_what_is_compressed_is_the_text_of_a_report(pieces: Mapping[Kind, Piece]) -> None:
    piece = pieces["gzip"]
    assert isinstance(piece, Gzip)

    text = zlib.decompress(piece.do())
    assert text == piece.text
    header, *lines = text.decode().splitlines()
    assert header == ",".join(COLUMNS)
    assert len(lines) == LINES["gzip"]


def test_the_columns_that_are_written_can_be_read(pieces: Mapping[Kind, Piece]) -> None:
    piece = pieces["parquet"]
    assert isinstance(piece, Parquet)

    written = parquet.read_table(pa.BufferReader(piece.do()))
    assert written.equals(piece.columns)
    assert written.column_names == list(COLUMNS)
    assert written.num_rows == LINES["parquet"]


def test_the_network_tells_line_items_apart(pieces: Mapping[Kind, Piece]) -> None:
    piece = pieces["inference"]
    assert isinstance(piece, Inference)

    classes = np.frombuffer(piece.do(), dtype=np.intp)
    assert len(classes) == LINES["inference"]
    assert len(set(classes.tolist())) > 1


def test_matrices_are_multiplied_by_one_thread() -> None:
    # BLAS starts its threads when numpy is imported.
    threads = _python(
        "import loadtests.bursts, numpy, psutil; print(psutil.Process().num_threads())"
    )

    assert threads == "1"


def test_a_worker_needs_none_of_what_only_the_command_needs() -> None:
    loaded = _python("import sys, loadtests.bursts.pool; print(*sys.modules)").split()

    assert "numpy" in loaded
    assert not {"sqlalchemy", "argparse", "typer", "psutil"}.intersection(loaded)


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=project_root(), timeout=100,
    )  # fmt: skip
    return done.stdout.strip()
