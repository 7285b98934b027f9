"""`python -m loadtests.bursts`; `cli` has what it does."""

import sys

if __name__ == "__main__":
    # Only here: the processes that are started for bursts load this module, too, and need none of
    # what the command needs.
    from loadtests.bursts.cli import main

    sys.exit(main())
