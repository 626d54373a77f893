"""python -m lct_lab: sweeps from a terminal."""

import sys

from lct_lab.sweeps.command import main

if __name__ == "__main__":
    sys.exit(main())
