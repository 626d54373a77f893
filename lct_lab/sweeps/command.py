"""python -m lct_lab sweep | status | collect: sweeps from a terminal."""

import argparse
import logging
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import lct_lab
from lct_lab import init, signals, sweeps, tables
from lct_lab.checks import require_size

# Of a cluster's library, which tell the stack of every connection that ends.
LOGGERS = ("distributed", "distributed.client", "tornado.application", "asyncio")
# A negative number with a power of ten, or an infinite one.
NEGATIVE = re.compile(r"-([0-9.]+e[-+]?[0-9]+|inf|infinity|nan)", re.IGNORECASE)
MOST_WORKERS = 64  # processes of this machine, or four for each of its processors
UNREAD = 141  # the status of a command that a closed pipe ends


def main(arguments=None):
    """Run one command; returns its exit status. What does not fit gets one sentence, and 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args([_as_number(word) for word in arguments])
    try:
        return given.run(given)
    except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
        print(error if str(error) else type(error).__name__, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(given.stopped, file=sys.stderr)
        return 130


def _as_number(word):
    """A word that argparse takes as it is: of -1e-3 it would make an option."""
    return f" {word}" if NEGATIVE.fullmatch(word) else word


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one sentence, with the status of every other error."""

    def error(self, message):
        self.exit(1, f"{self.prog}: {message}; see --help\n")


def _parser():
    parser = _Parser(prog="python -m lct_lab")
    parser.add_argument("--version", action="version", version=f"lct_lab {lct_lab.__version__}")
    commands = parser.add_subparsers(required=True, metavar="sweep | status | collect")
    _add_sweep(commands)
    _add_status(commands)
    _add_collect(commands)
    return parser


def _add_sweep(commands):
    parser = commands.add_parser(
        "sweep", help="measure gradients over sizes, starts and seeds; resumes when called again"
    )
    add = parser.add_argument
    add(
        "--n",
        type=int,
        nargs="+",
        action="extend",
        required=True,
        help="samples, one size or several",
    )
    add(
        "--m",
        type=int,
        nargs="+",
        action="extend",
        required=True,
        help="frequencies, one size or several",
    )
    add("--init", nargs="+", action="extend", choices=tuple(init.INITS), help="starts (random)")
    add("--tied", action="store_true", help="analysis and synthesis share their frequencies")
    add("--inits", type=int, default=100, help="starts of each size (100)")
    add("--block", type=int, default=100, help="starts in one file (100)")
    add("--seed", type=int, default=0)
    add(
        "--amplitudes",
        type=float,
        nargs=4,
        metavar=("A1", "A2", "A3", "A4"),
        help="fixed, in place of the start's own",
    )
    known = ", ".join(signals.SIGNALS)
    add("--signal", default="uniform", help=f"{known}, or a .npy file: one window, or one a row")
    add("--batch", type=int, default=1, help="signals whose mean loss is taken (1)")
    add("--out", required=True, metavar="DIR", help="folder for the files")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, help="processes on this machine (1)")
    where.add_argument("--scheduler", help="address of a Dask scheduler, tcp://host:port")
    kept = "stopped; the finished blocks are kept, and the same command goes on"
    parser.set_defaults(run=_sweep, stopped=kept)


def _sweep(given):
    shared = ("tied", "inits", "seed", "block", "amplitudes", "batch")
    table = sweeps.sweep(
        given.n,
        given.m,
        init=given.init or "random",
        signal=_signal(given.signal),
        directory=given.out,
        executor=_executor(given),
        **{name: getattr(given, name) for name in shared},
    )
    _say(f"{len(table)} rows in {given.out}")
    return 0


def _say(text):
    """Print for whoever reads; where nobody does any more, as after `| head`, end in silence."""
    try:
        shown = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(text.encode(shown, "backslashreplace").decode(shown), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)
    except OSError as error:
        reason = error.strerror or error  # io.UnsupportedOperation has no strerror
        raise OSError(f"standard output cannot be written: {reason}") from None


def _signal(given):
    """A name as it is, a .npy file as its array.

    Mapped, since that needs no unpickling and refuses a header that promises more than there is.
    """
    import numpy as np

    if given in signals.SIGNALS:
        return given
    wanted = f"--signal must be one of {', '.join(signals.SIGNALS)} or a .npy file of numbers"
    if os.path.exists(given) and not os.path.isfile(given):  # a pipe would be waited for
        raise ValueError(f"{wanted}, got {given!r}, which is no file")
    try:
        return np.array(np.lib.format.open_memmap(given, mode="r"))
    except Exception as error:  # whatever a damaged file makes of a parser
        raise ValueError(f"{wanted}, got {given!r}: {error}") from None


def _executor(given):
    if given.scheduler is not None:
        return _cluster(given.scheduler)
    if given.workers is not None and require_size("--workers", given.workers) > 1:
        from loky import get_reusable_executor

        most = max(MOST_WORKERS, 4 * (os.cpu_count() or 1))
        if given.workers > most:
            raise ValueError(f"--workers must be at most {most} here, got {given.workers}")
        _start_tracker()
        return get_reusable_executor(given.workers, env={"OMP_NUM_THREADS": "1"})
    return None


def _start_tracker():
    """Start loky's process that removes a pool's semaphores, which ignores INT and TERM alone.

    What is ignored here stays ignored there: so a terminal that closes, and Ctrl-\\, leave none.
    """
    from loky.backend import resource_tracker

    numbers = (signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        resource_tracker.ensure_running()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cluster(address):
    from importlib import import_module  # the cluster's library is not this package's

    try:
        found = import_module("distributed").Client(address).get_executor()
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        return found
    except (ValueError, TypeError) as error:  # the latter where a scheme wants more than an address
        wanted = "--scheduler must be an address such as tcp://host:8786"
        raise ValueError(f"{wanted}, got {address!r}: {error}") from None
    except ImportError as error:
        raise RuntimeError(
            f"--scheduler needs the extra 'cluster', which cannot be loaded: {error}"
        ) from None


def _add_status(commands):
    parser = commands.add_parser("status", help="what a sweep has done, and what is left")
    parser.add_argument("directory")
    parser.add_argument("--verify", action="store_true", help="read every file")
    parser.set_defaults(run=_status, stopped="stopped")


def _status(given):
    found = sweeps.status(given.directory, given.verify)
    _say("\n".join(_lines(found)))
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


def _add_collect(commands):
    parser = commands.add_parser("collect", help="all rows of a finished sweep in one file")
    parser.add_argument("directory")
    parser.add_argument("--out", required=True, metavar="FILE", help="*.parquet or *.csv")
    parser.set_defaults(run=_collect, stopped="stopped; no file is written")


def _collect(given):
    path = Path(given.out)
    if path.suffix not in (".parquet", ".csv"):
        raise ValueError(f"--out must end in .parquet or .csv, got {given.out}")
    folder = Path(given.directory).resolve()
    if path.suffix == ".parquet" and path.resolve().parent == folder:
        raise ValueError(f"--out must not be among the sweep's shards, got {path}")
    table = sweeps.collect(given.directory)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # so that what is half written is removed
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    _write(table, path)
    _say(f"{len(table)} rows in {path}")
    return 0


def _write(table, path):
    if path.suffix == ".parquet":
        tables.write_raw(table, path)
        return
    with tables.whole(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")
