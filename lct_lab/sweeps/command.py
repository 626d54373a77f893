"""python -m lct_lab sweep | status: sweeps from a terminal."""

import argparse
import sys
from collections import Counter

from lct_lab import init, sweeps
from lct_lab.checks import require_size


def main(arguments=None):
    """Run one command; returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        return given.run(given)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        kept = "stopped; the finished blocks are kept, and the same command goes on"
        print(kept, file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m lct_lab")
    commands = parser.add_subparsers(required=True, dest="command")
    _add_sweep(commands)
    _add_status(commands)
    return parser


def _add_sweep(commands):
    parser = commands.add_parser(
        "sweep", help="measure gradients over sizes, starts and seeds; resumes when called again"
    )
    parser.add_argument("--n", type=int, nargs="+", required=True)
    parser.add_argument("--m", type=int, nargs="+", required=True)
    parser.add_argument("--init", nargs="+", default=["random"], choices=tuple(init.INITS))
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--inits", type=int, default=100)
    parser.add_argument("--block", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", default="uniform")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine")
    parser.add_argument("--scheduler", help="address of a Dask scheduler, tcp://host:port")
    parser.set_defaults(run=_sweep)


def _sweep(given):
    shared = ("init", "tied", "inits", "seed", "signal", "block")
    table = sweeps.sweep(
        given.n,
        given.m,
        directory=given.out,
        executor=_executor(given),
        **{name: getattr(given, name) for name in shared},
    )
    print(f"{len(table)} rows in {given.out}")
    return 0


def _executor(given):
    if given.scheduler:
        return _cluster(given.scheduler)
    if require_size("--workers", given.workers) > 1:
        from loky import get_reusable_executor

        return get_reusable_executor(given.workers, env={"OMP_NUM_THREADS": "1"})
    return None


def _cluster(address):
    from importlib import import_module  # the cluster's library is not this package's

    try:
        return import_module("distributed").Client(address).get_executor()
    except ImportError as error:
        raise RuntimeError(
            f"--scheduler needs the extra 'cluster', which cannot be loaded: {error}"
        ) from None


def _add_status(commands):
    parser = commands.add_parser("status", help="what a sweep has done, and what is left")
    parser.add_argument("directory")
    parser.add_argument("--verify", action="store_true", help="read every shard")
    parser.set_defaults(run=_status)


def _status(given):
    found = sweeps.status(given.directory, given.verify)
    print("\n".join(_lines(found)))
    return 1 if found["left"] or found["failed"] or found["damaged"] else 0


def _lines(found):
    """Counts in all, then by size and start what is not done, and what failed or is damaged."""
    yield ", ".join(f"{len(names)} {state}" for state, names in found.items())
    counts = Counter(
        (name.rsplit("-", 2)[0], state) for state, names in found.items() for name in names
    )
    for size in dict.fromkeys(size for size, state in counts if state != "done"):
        shown = [f"{counts[size, state]} {state}" for state in found if counts[size, state]]
        yield f"  {size}: {', '.join(shown)}"
    for state in ("failed", "damaged"):
        yield from (f"  {state}: {name}" for name in found[state])
