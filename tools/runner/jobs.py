"""Notebooks run side by side, and what becomes of their results."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from lct_lab import tables
from runner import ROOT, processes
from runner.notebook import parameters
from runner.publish import publish
from runner.sources import digest, package_hash

TIMED = "14-"  # measures times, and so runs alone
# What a user's environment may not tell a kernel: how to run Python, as to skip the checks, to run
# a file first or to make errors of warnings; where to look for what; where to draw.
NOT_FOR_KERNELS = ("PYTHON", "JUPYTER_PATH", "MPLBACKEND")
# But where Python and its packages are, and where its compiled files go, changes no result.
PLACES = ("HOME", "USERBASE", "NOUSERSITE", "DONTWRITEBYTECODE", "PYCACHEPREFIX")
FOR_KERNELS = tuple(f"PYTHON{place}" for place in PLACES)
PLAIN = "matplotlibrc"  # an empty one, instead of the user's: figures are the same for all


class Job:
    """One notebook with one set of parameters: where it runs, and where its results go.

    With the default parameters the tables go to data/, the figures to figures/ and the executed
    copy to notebooks/rendered/; with others all go to build/runs/NN-hash/. What a failed run made
    goes to a folder of its own in build/failed/.
    """

    def __init__(self, notebook, values, full, committed):
        self.notebook, self.values, self.committed = notebook, values, committed
        self.prefix = "full-" if full else ""
        self.number, _, rest = notebook.stem.partition("-")
        self.name = f"{self.number}-{self.prefix}{rest}"
        self.stamp = ROOT / "build" / "stamps" / f"{self.name}.txt"
        self._read()
        self.staging = self.sockets = None  # its folders, while it runs
        self.place = None  # of what it made, once that is there
        self.note = None  # what is to be said of a run that succeeded

    def _read(self):
        """What the run is of, the notebook and the package as they are now, and its places."""
        self.made = {
            "parameters": {**parameters(self.notebook), **self.values},
            "notebook": digest(self.notebook),
            "package": package_hash(self.notebook),
        }
        self.made["seed"] = self.made["parameters"].get("seed")
        of = [self.made["notebook"], self.made["package"], sorted(self.values.items())]
        self.hash = hashlib.sha256(json.dumps(of).encode()).hexdigest()[:16]
        runs = ROOT / "build" / "runs"
        self.target = ROOT if self.committed else runs / f"{self.number}-{self.hash[:8]}"
        self.rendered = self.target / ("notebooks/rendered" if self.committed else "")
        self.rendered /= f"{self.name}.ipynb"
        self.kept = ROOT / "build" / "failed" / (self.name if self.committed else self.target.name)
        self.failed = self.kept / f"{self.name}.failed.ipynb"

    def is_done(self):
        """Whether the last good run was of this notebook and package, and all it made is there.

        That it is there is enough: git may have brought a table of another machine in its place.
        """
        if not (self.committed and self.rendered.exists()):
            return False
        try:
            stamp = os.fsdecode(self.stamp.read_bytes())
        except OSError:  # as of a first run
            return False
        stamped, *made = stamp.split("\0")
        return stamped == self.hash and all((ROOT / name).exists() for name in made)

    def start(self, timeout):
        """Start the run in a process of its own, which may take `timeout` seconds.

        It is of the notebook as it is by then, not when it began to wait. Raises OSError, nothing
        left behind. Let no signal disturb it.
        """
        self._read()
        self.began, self.timeout = time.time(), timeout
        try:
            self._make_folders()
            self._start_process()
        except OSError:
            self.discard()
            raise
        self.said = deque(maxlen=40)  # its last lines, in memory: a disk may be full
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _make_folders(self):
        (ROOT / "build").mkdir(exist_ok=True)
        prefix = f"{self.name[:2]}-{processes.OWNER}-"
        self.staging = Path(tempfile.mkdtemp(prefix=prefix, dir=ROOT / "build"))
        self.there = self.staging / "there"  # while nobody removed the folder, or made it anew
        self.there.touch()
        self.sockets = processes.sockets_folder()
        Path(self.sockets, PLAIN).touch()

    def _start_process(self):
        self.executed = self.staging / f"{self.name}.ipynb"
        given = [json.dumps(self.values), json.dumps(self.made)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner.execute", self.notebook, self.executed, *given],
            env=self._environment(),
            stdin=subprocess.PIPE,  # that it ends with this process: see processes
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )

    def _environment(self):
        kept = {name: value for name, value in os.environ.items() if _is_for_kernels(name)}
        return kept | {
            "LCT_LAB_OUT": str(self.staging),
            "LCT_LAB_PREFIX": self.prefix,
            "JUPYTER_PREFER_ENV_PATH": "1",
            "MATPLOTLIBRC": f"{self.sockets}/{PLAIN}",
            "JUPYTER_RUNTIME_DIR": self.sockets,
            "IPYTHONDIR": f"{self.sockets}/i",  # not the user's start-up files, nor their history
            "TMPDIR": os.path.abspath(tempfile.gettempdir()),  # kernels run in another folder
            "PYTHONUTF8": "1",  # the encoding of files, whatever the user's locale
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tools'}",
        }

    def _listen(self):
        with self.process.stdout as lines:
            self.said.extend(lines)

    def is_running(self):
        if self.process.poll() is None and time.time() - self.began > self.timeout:
            self.stop()
            self.said.append(f"stopped after {self.timeout:.0f} s, its time limit")
        return self.process.poll() is None

    def stop(self):
        """Kill the run and all that it started."""
        self.process.kill()
        self.process.wait()
        processes.end(self.staging)
        self.listener.join(5)
        self.process.stdin.close()

    def finish(self):
        """Put in place what the run made, where it succeeded; returns what went wrong, or None."""
        self.stop()  # a kernel may have outlived its run
        error = None
        if self.process.returncode:
            died = f"the run was ended by {_signal(self.process.returncode)}"
            error = "".join(self.said).strip() or died
        if not self.there.exists():
            removed = f"its folder {self.staging.relative_to(ROOT)} was removed while it ran"
            error = f"{removed}\n{error}" if error else removed
        error = error or self._of_others()
        try:
            if error is None:
                self._publish()
            else:
                self._keep()
        except OSError as full:
            error = error or _unwritten(full)
        self.discard()
        return error

    def discard(self):
        for folder in filter(None, (self.staging, self.sockets)):
            shutil.rmtree(folder, ignore_errors=True)

    def _made(self, target):
        """{table or figure that the run made: its place in the folder `target`}"""
        found = (p for kind in ("data", "figures") for p in (self.staging / kind).glob("*"))
        whole = (path for path in sorted(found) if path.suffix != ".part")
        return {path: target / path.relative_to(self.staging) for path in whole}

    def _of_others(self):
        """What is wrong where a table or figure has the name of another run's, or None."""
        start, long = f"{self.name[:2]}-{self.prefix}", f"{self.name[:2]}-full-"
        made = [path.name for path in self._made(self.target)]
        others = [name for name in made if not name.startswith(start)]
        if others:
            return f"the names of what it makes must begin with {start}, got {', '.join(others)}"
        others = [] if self.prefix else [name for name in made if name.startswith(long)]
        if others:
            return f"only what a long run makes may begin with {long}, got {', '.join(others)}"
        return None

    def _publish(self):
        made = self._made(self.target)
        publish(made | {self.executed: self.rendered})
        self.place = self.target
        shutil.rmtree(self.kept, ignore_errors=True)
        if self.committed:
            try:
                self._stamp(made.values())
            except OSError as error:
                self.note = f"all is in place, but it will run again next time: {error}"

    def _stamp(self, made):
        """Note what a good run was of, and where what it made is: see `is_done`.

        Not of a notebook, or a package, that was edited meanwhile.
        """
        now = {"notebook": digest(self.notebook), "package": package_hash(self.notebook)}
        if not now.items() <= self.made.items():
            self.note = "it was edited while it ran, and counts as not run"
            return
        lines = [self.hash, *(str(path.relative_to(ROOT)) for path in made)]
        with tables.whole(self.stamp) as part:
            part.write_bytes(os.fsencode("\0".join(lines)))  # whatever the files are called

    def _keep(self):
        """Keep what a failed run made, and its notebook up to there, apart from good results."""
        read = {self.executed: self.failed} if self.executed.exists() else {}
        if kept := self._made(self.kept) | read:
            publish(kept)
            self.place = self.kept


def _is_for_kernels(name):
    return name in FOR_KERNELS or not name.startswith(NOT_FOR_KERNELS)


def _unwritten(error):
    return f"{error.filename} cannot be written: {error.strerror}" if error.filename else str(error)


def _signal(status):
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"status {status}"


def run(jobs, workers, timeout):
    """Run the jobs, `workers` at once; returns how many failed. Raises Stopped, none running."""
    began, failures, running = time.time(), 0, []
    waiting = sorted(reversed(jobs), key=_is_timed)  # later notebooks take longer
    parent = os.getppid() if "MAKELEVEL" in os.environ else None
    try:
        while waiting or running:
            while waiting and _may_start(waiting[0], running, workers):
                job = waiting.pop(0)
                with processes.undisturbed():  # until it is among those that are stopped
                    job.start(timeout)
                    running.append(job)
            time.sleep(0.05)
            if parent and os.getppid() != parent:
                raise processes.Stopped(signal.SIGHUP)  # make is dead
            for job in [job for job in running if not job.is_running()]:
                failures += _report(job, job.finish())
                running.remove(job)
    finally:
        with processes.undisturbed():
            for job in running:
                job.stop()
                job.discard()
    print(f"{len(jobs) - failures} of {len(jobs)} notebooks in {time.time() - began:.0f} s")
    return failures


def _is_timed(job):
    return job.name.startswith(TIMED)


def _may_start(job, running, workers):
    alone = any(map(_is_timed, [job, *running]))
    return not running if alone else len(running) < workers


def _report(job, error):
    spent = time.time() - job.began
    print(f"{'FAILED' if error else 'ok':6} {spent:6.1f} s  {job.name}", flush=True)
    for line in (error or job.note or "").splitlines():
        print(f"       {line}")
    if job.place not in (None, ROOT):
        print(f"       what it made is in {job.place.relative_to(ROOT)}")
    print(end="", flush=True)
    return error is not None
