"""python -m lct_lab sweep | status | collect: sweeps from a terminal."""

import signal
import sys


def run():
    try:
        from lct_lab.sweeps.command import main

        return main()
    except KeyboardInterrupt:  # before the command has begun
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    status = run()
    if status == 130:  # impatience must not disturb the end, which is near
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(status)
