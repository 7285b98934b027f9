"""What means what: colours, and axes that both sides share.

The colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008), which people tell
apart who see no red or no green. Beside colour, lines differ in their dashes.
"""

from dataclasses import dataclass

NAIVE = "#D55E00"  # vermilion
FIXED = "#0072B2"  # blue
SHORT = "#56B4E9"  # sky blue
LONG = "#CC79A7"  # reddish purple
SERVER = "#E69F00"  # orange: what a server says of itself, beside its client
WELL = "#009E73"  # bluish green: what ended as it should
LIMIT = "#7F7F7F"  # grey: what is not measured, but a limit or a theory

SIDES = {"naive": NAIVE, "fixed": FIXED}
QUEUES = {"short": SHORT, "long": LONG}


@dataclass(frozen=True)
class Axis:
    """The vertical axis of a panel.

    Attributes:
        unit: Grafana's name for it.
        low: Where it begins; None to leave it to the data.
        high: Where it ends; None to leave it to the data.
        log: Whether it is logarithmic, to the base of 10.
    """

    unit: str
    low: float | None = 0.0
    high: float | None = None
    log: bool = False


#: From a millisecond, which is a healthy answer, to the longest that a client waits for one. Fixed,
#: so that the panels of both sides can be compared at a glance.
LATENCY = Axis("s", low=0.001, high=100.0, log=True)

SHARE = Axis("percentunit", low=0.0, high=1.0)
SECONDS = Axis("s")
PER_SECOND = Axis("ops")
REQUESTS_PER_SECOND = Axis("reqps")
COUNT = Axis("short")
CORES = Axis("short")
BYTES = Axis("bytes")
SLOPE = Axis("short", low=None)
