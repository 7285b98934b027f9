"""The kinds of work: four things that services do to line items, and what does them.

A piece of work holds what it needs, can be sent to another process, and can be done over and over
with the same result.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from reports.files import GZIP_LEVEL
from reports.pricing import PricingSummary
from reports.rows import LineRow


class Piece(Protocol):
    """A piece of work."""

    def do(self) -> bytes:
        """Do it, and return the result."""


class Aggregate(NamedTuple):
    """Prices lines and sums them up, in plain Python: it holds the GIL all the time."""

    chunks: Sequence[Sequence[LineRow]]

    def do(self) -> bytes:
        """Return the summary."""
        pricing = PricingSummary()
        for chunk in self.chunks:
            pricing.price(chunk)
        return repr(pricing.rows()).encode()


class Gzip(NamedTuple):
    """Compresses the text of a report: zlib, in C, releases the GIL."""

    text: bytes

    def do(self) -> bytes:
        """Return it compressed."""
        return zlib.compress(self.text, GZIP_LEVEL)


class Parquet(NamedTuple):
    """Writes the columns of a report to a file in memory: Arrow, in C++, releases the GIL."""

    columns: pa.Table

    def do(self) -> bytes:
        """Return the file."""
        sink = pa.BufferOutputStream()
        parquet.write_table(self.columns, sink)
        written: bytes = sink.getvalue().to_pybytes()
        return written


class Inference(NamedTuple):
    """Runs lines through a neural network: numpy releases the GIL while it calculates."""

    inputs: NDArray[np.float32]
    layers: Sequence[NDArray[np.float32]]

    def do(self) -> bytes:
        """Return the class of each line: a figure's last digits differ between processors."""
        *hidden, last = self.layers
        activations = self.inputs
        for weights in hidden:
            activations = np.maximum(activations @ weights, 0)  # ReLU
        classes: NDArray[np.intp] = (activations @ last).argmax(axis=1)
        return classes.tobytes()
