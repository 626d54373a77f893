"""Compare the tables in data/ with the committed ones: what is made must be what was published.

TOLERANCES says how closely, what is exempt, and why.
"""

import io
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pandas.testing import assert_frame_equal
from runner import ROOT, speech


class Tolerance(NamedTuple):
    """How far numbers may be off: |made - committed| <= atol + rtol |committed|."""

    tables: str  # a pattern of file names
    rtol: float | None = 1e-4  # None: the whole table is exempt
    atol: float | None = 1e-7
    exempt: tuple[str, ...] = ()  # columns
    why: str = ""


# The first pattern that fits is the one that counts.
TOLERANCES = (
    Tolerance("[0-9][0-9]-full-*", None, None, why="long runs are not made anew"),
    Tolerance("bench*", None, None, why="times of one machine, made by `make bench`"),
    Tolerance("14-*", None, None, why="times, memory and rounding errors of one machine"),
    Tolerance("10-trials.csv", None, None, why="a single trial may end on either side of a limit"),
    Tolerance("02-autograd.csv", exempt=("difference",), why="rounding errors"),
    Tolerance("09-steps.csv", rtol=0.1, why="Adam's steps to an error; two processors: 544, 557"),
    Tolerance(
        "11-cases.csv",
        rtol=0.25,
        atol=0.05,
        exempt=("time_s", "longest time_s", "peak_MB"),
        why="training, as below; and times and memory of one machine",
    ),
    *(
        Tolerance(trained, 0.25, 0.05, why="a rounding error grows with every step of training")
        for trained in ("10-*", "11-*", "12-*")
    ),
    Tolerance("*"),
)


def tolerance_of(name):
    return next(rule for rule in TOLERANCES if fnmatch(name, rule.tables))


def difference(name, committed, made):
    """What is wrong with a table that was made again, in words, or None."""
    rule = tolerance_of(name)
    exempt = [column for column in rule.exempt if column in committed and column in made]
    try:
        assert_frame_equal(
            committed.drop(columns=exempt),
            made.drop(columns=exempt),
            check_dtype=False,
            rtol=rule.rtol,
            atol=rule.atol,
            obj=name,
        )
    except AssertionError as error:
        return f"{error}\n[left]: as committed, [right]: as made"
    return None


def compared_with(committed, made):
    """`difference` of the committed text of a table and the file `made`, or that one is none."""
    try:
        return difference(made.name, pd.read_csv(io.StringIO(committed)), pd.read_csv(made))
    except ValueError as error:  # EmptyDataError, ParserError, UnicodeDecodeError
        said = str(error).partition("\n")[0]
        return f"{made.name}: as made or as committed, it cannot be read as a table: {said}"


def git(*arguments):
    """What git says, or the end with a sentence."""
    elsewhere = {name for name in os.environ if name.startswith("GIT_")} - {
        "GIT_CEILING_DIRECTORIES"
    }
    here = {name: os.environ[name] for name in os.environ.keys() - elsewhere}
    options = {"cwd": ROOT, "env": here, "capture_output": True, "encoding": "utf-8"}
    found = subprocess.run(["git", *arguments], **options)
    if found.returncode:
        said = found.stderr.partition("\n")[0]
        sys.exit(f"{ROOT} must be a git repository with a commit, to compare with: {said}")
    return found.stdout


def committed_tables():
    """{name: text} of the tables of the last commit."""
    names = git("ls-tree", "-r", "-z", "--name-only", "HEAD", "data").split("\0")
    tables = (name for name in names if name.endswith(".csv"))
    return {Path(name).name: git("show", f"HEAD:./{name}") for name in tables}


def main():
    committed = committed_tables()
    made = {path.name: path for path in (ROOT / "data").glob("*.csv")}
    exempt = [name for name in committed if tolerance_of(name).rtol is None]
    compared = sorted(committed.keys() - set(exempt))
    found = [f"{name}: made, and never committed" for name in sorted(made.keys() - committed)]
    for name in compared:
        if name not in made:
            found.append(f"{name}: no longer made")
        else:
            found.append(compared_with(committed[name], made[name]))
    found = [words for words in found if words]
    print("\n\n".join([*found, ""]), end="")
    print(f"{len(compared)} tables compared, {len(found)} differences; {len(exempt)} exempt:")
    for rule in TOLERANCES:
        count = sum(tolerance_of(name) is rule for name in committed)
        if rule.rtol is None:
            print(f"  {count:3} {rule.tables}: {rule.why}")
        elif rule.exempt:
            print(f"  of {rule.tables} the columns {', '.join(rule.exempt)}: {rule.why}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(speech.say_faults(main))
