"""Run the code cells of notebooks one after the other, as the runner's kernels do but at once.

A kernel and its driver take longer to start than most notebooks with small parameters take to run.
So this process imports what they import, once, and runs each notebook in a fork of itself. It reads
{"path", "values", "out", "limit"} as lines of JSON, and answers each with the status of the fork.
What the fork says is in `said.txt` in the folder `out`, where its tables and figures go too.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from runner import ROOT, explain
from runner.execute import KERNEL
from runner.notebook import code_cells
from traitlets.config import Config

# What the notebooks import or what that brings in when it is first called.
IMPORTED = (
    "torch",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "scipy.fft",
    "scipy.optimize",
    "scipy.special",
    "finufft",
    "statsmodels.api",
    "ipywidgets",
    "lct_lab.comparison",
    "lct_lab.explore",
    "lct_lab.laws",
    "lct_lab.models",
    "lct_lab.modules",
    "lct_lab.training",
)


class Notebooks:
    """The process that runs notebooks, for its parent."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cells"],
            env={
                **os.environ,
                **KERNEL,
                "MPLBACKEND": "agg",
                "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tools", ROOT / "tests"))),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, path, out, limit, **values):
        """Run the notebook at `path` for at most `limit` seconds: (0 if all went well, its words).

        `values` are its parameters, and `out` is the folder for what it makes.
        """
        job = {"path": str(path), "values": values, "out": str(out), "limit": limit}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return status, (Path(out) / "said.txt").read_text()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    for name in IMPORTED:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")  # the fork's own words go to its file
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            run_and_exit(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def run_and_exit(path, values, out, limit):
    """Run a notebook in this process, which ends with it: with status 0 if nothing went wrong."""
    signal.alarm(limit)  # ends the process, with the status -SIGALRM
    said = os.open(Path(out) / "said.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ["LCT_LAB_OUT"] = out
    os.environ["IPYTHONDIR"] = f"{out}/ipython"
    path = Path(path)
    os.chdir(path.parent)
    status = 1
    try:
        run_cells(path, values)
        status = 0
    except BaseException:  # a fork must not go on with its parent's work, whatever happened
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def run_cells(path, values):
    """Run all cells; raises what a cell raises, after the cell has been shown."""
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    explain.load_ipython_extension(shell)
    for number, source in enumerate(sources(path, values), 1):
        result = shell.run_cell(source, store_history=True)
        if not result.success:
            print(f"in cell {number}:\n{source.rstrip()}", flush=True)
            result.raise_error()


def sources(path, values):
    """The code cells, and after that of the parameters one with the values given, as papermill."""
    for source, tags in code_cells(path):
        yield source
        if "parameters" in tags and values:
            yield "\n".join(f"{name} = {value!r}" for name, value in values.items())


if __name__ == "__main__":
    main()
