"""All benchmarks, one after the other: `make benchmarks`. Fails if one misses what it promises."""

import argparse
import sys

from benchmarks import accept, load_truth, naming, overload, recovery, schedule, stalls, telemetry


def main() -> int:
    """Run them and return the worst exit code."""
    print("== The generator's schedule against a server that does nothing")
    schedule_kept = schedule.main()
    print("\n== What a stalling server looks like, to us and to Locust's own pacing")
    load_truth.main()
    print("\n== What accepting a job durably costs")
    accepting = accept.main()
    print("\n== What becomes of ten times the orders that can be done")
    overloaded = overload.main()
    print("\n== Are stalls timed and named rightly")
    timed = stalls.main()
    print("\n== Is the code named that holds the loops of the lab's own apps")
    named = naming.main()
    print("\n== What it costs to be watched")
    watched = telemetry.main()
    print("\n== How soon a killed slot's job runs again")
    return max(schedule_kept, accepting, overloaded, timed, named, watched, recovery.main())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
