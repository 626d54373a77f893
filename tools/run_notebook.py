"""Run notebooks headlessly, those whose text or package changed, side by side, one thread each.

With default parameters the tables go to data/, the figures to figures/ and the executed copies to
notebooks/rendered/, all of a notebook's or nothing; with other parameters to build/runs/NN-hash/.
A notebook that fails leaves what the last good run made as it was, and its executed part for
reading. `make notebooks` hands over NB, P, FULL, SCHEDULER and JOBS in the environment.
"""

import argparse
import os
import re
import signal
import sys

from runner import ROOT, processes, speech
from runner.notebook import parameters, parse, require_text

# What takes long to import is imported where signals are heeded already.
YES, NO = {"1", "yes", "true", "on"}, {"", "0", "no", "false", "off"}
HOURS, HALF_AN_HOUR = 6 * 3600, 1800  # time limits of long runs and of others


def select(wanted):
    """The notebooks that NB names by number or name, or all."""
    from lct_lab import book

    found = book.notebooks(ROOT / "notebooks")
    for name in (path.name for path in found):
        if not name.isprintable():  # nor what is not UTF-8, which no executed copy can hold
            sys.exit(f"notebooks must have names that can be printed, got {name!r}")
    if not wanted:
        return found
    stem = wanted.removesuffix(".ipynb")
    chosen = [p for p in found if p.stem == stem or p.name.startswith(f"{wanted}-")]
    if not chosen:
        numbers = ", ".join(path.name[:2] for path in found)
        sys.exit(f"NB must be the number or name of a notebook, {numbers}; got {wanted!r}")
    return chosen


def require_own_numbers(chosen):
    """Exit with a sentence where another notebook has the number of one that is to run.

    For what they make has no more than the number to tell whose it is.
    """
    every = select("")
    for number in dict.fromkeys(path.name[:2] for path in chosen):
        sharing = [path.name for path in every if path.name.startswith(f"{number}-")]
        if len(sharing) > 1:
            names = " and ".join(sharing)
            sys.exit(f"notebooks must have numbers of their own, and {names} share {number}")


def having(name, chosen, said):
    """Those of the chosen notebooks with the parameter `name`; exits with a sentence for none."""
    found = [path for path in chosen if name in parameters(path)]
    if not found:
        others = [p.name[:2] for p in select("") if name in parameters(p)]
        names = ", ".join(path.stem for path in chosen)
        sys.exit(f"{said}, and {names} has none; those that have: {', '.join(others) or 'none'}")
    return found


def jobs_of(given):
    """The jobs that the command line asks for."""
    from runner import jobs

    chosen = select(given.only)
    require_own_numbers(chosen)
    if given.full:
        chosen = having("full", chosen, "FULL runs the long version of a notebook")
    if given.scheduler:
        require_text("SCHEDULER", given.scheduler)
        chosen = having("scheduler", chosen, "SCHEDULER shares out the sweep of a notebook")
    committed = not (given.parameters.strip() or given.scheduler)
    found = []
    for notebook in chosen:
        values = parse(given.parameters, parameters(notebook), notebook.stem)
        values |= {"full": True} if given.full else {}
        values |= {"scheduler": given.scheduler} if given.scheduler else {}
        found.append(jobs.Job(notebook, values, given.full, committed))
    return found


def workers_of(text):
    """JOBS as a number; by default one notebook a processor."""
    if not text:
        usable = getattr(os, "sched_getaffinity", None)
        return len(usable(0)) if usable else os.cpu_count() or 1
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        sys.exit(f"JOBS must be the number of notebooks that run at once, 1 or more; got {text!r}")
    return int(text)


def flag_of(name, text):
    """Whether a variable of make says yes; empty, it says no."""
    word = text.strip().lower()
    if word not in YES | NO:
        sys.exit(f"{name} must be 1, yes, true or on, or 0, no, false or off; got {text!r}")
    return word in YES


def limit_of(given):
    """The seconds that a notebook may take."""
    if given.timeout is None:
        return HOURS if given.full else HALF_AN_HOUR
    if not given.timeout > 0:  # nor what is no number
        sys.exit(f"--timeout must be a number of seconds above 0, got {given.timeout:g}")
    return given.timeout


def arguments():
    def from_make(name):
        return os.environ.get(name, "")

    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--only", default=from_make("NB"), help="number or name of one notebook")
    parser.add_argument(
        "--parameters",
        default=from_make("P"),
        help="name=value pairs, separated by spaces, quoted as in a shell",
    )
    full = flag_of("FULL", from_make("FULL"))
    parser.add_argument("--full", action="store_true", default=full, help="the long versions")
    parser.add_argument(
        "--scheduler", default=from_make("SCHEDULER"), help="address of a Dask scheduler"
    )
    parser.add_argument("--jobs", default=from_make("JOBS"), help="notebooks at once")
    parser.add_argument("--timeout", type=float, help="seconds a notebook may take")
    return parser.parse_args()


def run(given):
    """Run what is asked for and not done yet; returns the exit status."""
    from runner import jobs

    workers, limit = workers_of(given.jobs), limit_of(given)
    asked = jobs_of(given)
    processes.clear(ROOT)
    todo = [job for job in asked if not job.is_done()]
    if not todo:
        print(f"nothing to do: {len(asked)} notebooks are up to date")
        return 0
    return 1 if jobs.run(todo, workers, limit) else 0


def main():
    processes.stop_on_signals()
    try:
        return speech.say_faults(lambda: run(arguments()))
    except processes.Stopped as stopped:
        (number,) = stopped.args
        print(
            f"stopped by {signal.Signals(number).name}: what was finished is in place, "
            "the rest is as it was; the same command goes on",
            file=sys.stderr,
        )
        return 128 + number


if __name__ == "__main__":
    sys.exit(main())
