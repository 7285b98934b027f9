"""Whether a campaign hit what it has to hit, so that its outcome means something."""

from collections.abc import Sequence

from tests.chaos.campaign import Hit
from tests.chaos.faults import Phase

#: Least share of faults that hit a process with work in hand. In a short campaign a few that do not
#: are a large share.
WITH_WORK = 0.8
WITH_WORK_SHORT = 0.6

#: Faults from which on every phase has to be hit so often at least.
LONG = 200
EACH_PHASE = 5


def shortfalls(hits: Sequence[Hit]) -> list[str]:
    """Return what was hit too seldom, in words."""
    found: list[str] = []
    least = WITH_WORK if len(hits) >= LONG else WITH_WORK_SHORT
    share = sum(hit.with_work for hit in hits) / len(hits)
    if share < least:
        found.append(f"{share:.0%} of the faults hit a process with work in hand, not {least:.0%}")
    if len(hits) >= LONG:
        for phase in Phase:
            number = sum(hit.phase is phase for hit in hits)
            if number < EACH_PHASE:
                found.append(f"{number} faults hit the phase {phase}, not {EACH_PHASE}")
    return found
