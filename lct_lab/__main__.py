"""python -m lct_lab sweep | status: sweeps from a terminal."""

import argparse
import sys
from collections import Counter

from lct_lab import init
from lct_lab.checks import require_size


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m lct_lab")
    commands = parser.add_subparsers(required=True, dest="command")
    run = commands.add_parser(
        "sweep", help="measure gradients over sizes, starts and seeds; resumes when called again"
    )
    run.add_argument("--n", type=int, nargs="+", required=True)
    run.add_argument("--m", type=int, nargs="+", required=True)
    run.add_argument("--init", nargs="+", default=["random"], choices=tuple(init.INITS))
    run.add_argument("--tied", action="store_true")
    run.add_argument("--inits", type=int, default=100)
    run.add_argument("--block", type=int, default=100)
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--signal", default="uniform")
    run.add_argument("--out", required=True, metavar="DIR")
    run.add_argument("--workers", type=int, default=1, help="processes on this machine")
    run.add_argument("--scheduler", help="address of a Dask scheduler, tcp://host:port")
    state = commands.add_parser("status", help="what a sweep has done, and what is left")
    state.add_argument("directory")
    state.add_argument("--verify", action="store_true", help="read every shard")
    given = parser.parse_args(arguments)
    from lct_lab import sweeps

    try:
        if given.command == "status":
            found = sweeps.status(given.directory, given.verify)
            print("\n".join(_lines(found)))
            return 1 if found["left"] or found["failed"] or found["damaged"] else 0
        shared = ("init", "tied", "inits", "seed", "signal", "block")
        table = sweeps.sweep(
            given.n,
            given.m,
            directory=given.out,
            executor=_executor(given),
            **{name: getattr(given, name) for name in shared},
        )
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "stopped; the finished blocks are kept, and the same command goes on", file=sys.stderr
        )
        return 130
    print(f"{len(table)} rows in {given.out}")
    return 0


def _lines(found):
    """Counts in all, then by size and start what is not done, and the names of what failed or is damaged."""
    yield ", ".join(f"{len(names)} {state}" for state, names in found.items())
    counts = Counter(
        (name.rsplit("-", 2)[0], state) for state, names in found.items() for name in names
    )
    for size in dict.fromkeys(size for size, state in counts if state != "done"):
        yield f"  {size}: " + ", ".join(
            f"{counts[size, state]} {state}" for state in found if counts[size, state]
        )
    for state in ("failed", "damaged"):
        yield from (f"  {state}: {name}" for name in found[state])


def _executor(given):
    if given.scheduler:
        from importlib import import_module  # the cluster's library is not this package's

        try:
            return import_module("distributed").Client(given.scheduler).get_executor()
        except ImportError as error:
            raise RuntimeError(
                f"--scheduler needs the extra 'cluster', which cannot be loaded: {error}"
            ) from None
    if require_size("--workers", given.workers) > 1:
        from loky import get_reusable_executor

        return get_reusable_executor(given.workers, env={"OMP_NUM_THREADS": "1"})
    return None


if __name__ == "__main__":
    sys.exit(main())
