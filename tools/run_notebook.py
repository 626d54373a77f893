"""Run notebooks headlessly through papermill, those that changed, side by side, one compute thread each.

With default parameters the tables go to data/, the figures to figures/ and the executed copies to notebooks/rendered/,
all of a notebook's or nothing; with other parameters to build/runs/NN-hash/. A notebook that fails leaves its
executed part in build/failed/NN-….failed.ipynb and what the last good run made as it was.
"""

import argparse
import ast
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path.cwd()
LIMIT = 1_000_000  # bytes of a rendered notebook
THREADS = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    )
}


def digest(*paths):
    content = hashlib.sha256()
    for path in paths:
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]


def package_hash():
    """The content hash of what a notebook's results depend on besides the notebook."""
    return digest(
        *sorted((ROOT / "lct_lab").glob("*.py")),
        *sorted((ROOT / "benchmarks").glob("*.py")),
        ROOT / "constraints.txt",
        ROOT / "tools" / "run_notebook.py",
    )


def select(only):
    found = sorted(p for p in (ROOT / "notebooks").glob("*.ipynb") if p.name[:2].isdigit())
    if only:
        wanted = [
            p
            for p in found
            if p.stem == only.removesuffix(".ipynb") or p.name.startswith(f"{only}-")
        ]
        if not wanted:
            sys.exit(
                f"NB must be the number or name of a notebook, {', '.join(p.name[:2] for p in found)}; got {only!r}"
            )
        return wanted
    return found


def known_parameters(notebook):
    """{name: default} of the cell tagged parameters; every default is a literal."""
    for cell in json.loads(notebook.read_text())["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            assigned = [
                node
                for node in ast.parse("".join(cell["source"])).body
                if isinstance(node, ast.Assign | ast.AnnAssign)
            ]
            targets = [
                node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                for node in assigned
            ]
            return {
                target.id: ast.literal_eval(node.value)
                for target, node in zip(targets, assigned, strict=True)
            }
    return {}


def parse(text, known, notebook):
    """ "inits=500 rate=1e-3" as plain values of the types of their defaults."""
    values = {}
    for item in text.split():
        name, equals, value = item.partition("=")
        if not equals or name not in known:
            names = ", ".join(f"{key}={default!r}" for key, default in known.items())
            sys.exit(
                f"P must be name=value pairs of the parameters of {notebook.stem}: {names}; got {item!r}"
            )
        kind = type(known[name])
        try:
            found = (
                value
                if kind is str
                else ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
            )
        except (ValueError, SyntaxError):
            found = None
        if kind is float and type(found) is int:
            found = float(found)
        if type(found) is not kind:
            sys.exit(
                f"P: {name} of {notebook.stem} must be of type {kind.__name__}, like its default {known[name]!r};"
                f" got {value!r}"
            )
        values[name] = found
    return values


class Job:
    """One notebook with one set of parameters: where it runs, and where its results go."""

    def __init__(self, notebook, values, full, committed):
        self.notebook, self.values, self.committed = notebook, values, committed
        self.prefix = "full-" if full else ""
        number, _, rest = notebook.stem.partition("-")
        self.name = f"{number}-{self.prefix}{rest}"
        self.hash = hashlib.sha256(
            f"{digest(notebook)} {package_hash()} {sorted(values.items())}".encode()
        ).hexdigest()[:16]
        self.target = ROOT if committed else ROOT / "build" / "runs" / f"{number}-{self.hash[:8]}"
        folder = "notebooks/rendered" if committed else "."
        self.rendered = self.target / folder / f"{self.name}.ipynb"
        self.stamp = ROOT / "build" / "stamps" / f"{self.name}.txt"
        self.failed = ROOT / "build" / "failed" / f"{self.name}.failed.ipynb"

    def is_done(self):
        return (
            self.committed
            and self.rendered.exists()
            and self.stamp.exists()
            and self.stamp.read_text() == self.hash
        )

    def start(self, timeout):
        self.began, self.timeout = time.time(), timeout
        (ROOT / "build").mkdir(exist_ok=True)
        self.staging = Path(tempfile.mkdtemp(prefix=f"{self.name[:2]}-", dir=ROOT / "build"))
        self.executed, self.log = self.staging / f"{self.name}.ipynb", self.staging / "log.txt"
        environment = {
            **os.environ,
            **THREADS,
            "LCT_LAB_OUT": str(self.staging),
            "LCT_LAB_PREFIX": self.prefix,
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
        }
        environment.pop("JUPYTER_PATH", None)
        command = [
            sys.executable,
            Path(__file__).resolve(),
            "--execute",
            self.notebook,
            self.executed,
            json.dumps(self.values),
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def is_running(self):
        if self.process.poll() is None and time.time() - self.began > self.timeout:
            self.kill()
            self.log.open("a").write(f"\nstopped after {self.timeout:.0f} s, its time limit\n")
        return self.process.poll() is None

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def finish(self):
        """Publish what a good run made, or keep a failed one for reading; returns the error or None."""
        error = (
            None
            if self.process.returncode == 0
            else self.log.read_text().strip() or f"ended with {self.process.returncode}"
        )
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # a kernel that outlived its driver
        except ProcessLookupError:
            pass
        if error is None:
            error = render(self)
        if error is None:
            for made in sorted(
                p for kind in ("data", "figures") for p in (self.staging / kind).glob("*")
            ):
                move(made, self.target / made.relative_to(self.staging))
            move(self.executed, self.rendered)
            self.failed.unlink(missing_ok=True)
            if self.committed:
                self.stamp.parent.mkdir(parents=True, exist_ok=True)
                self.stamp.write_text(self.hash)
        elif self.executed.exists():
            move(self.executed, self.failed)
        shutil.rmtree(self.staging, ignore_errors=True)
        return error


def move(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def render(job):
    """Make the executed copy repeatable, and say in it what made it; returns an error or None."""
    import nbformat

    from lct_lab import tables

    book = nbformat.read(job.executed, 4)
    for index, cell in enumerate(book.cells):
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
        if cell.cell_type == "code":
            cell.outputs = [
                o
                for o in cell.outputs
                if o.get("name") != "stderr"
                and "application/vnd.jupyter.widget-view+json" not in o.get("data", {})
            ]
            if "parameters" in cell.metadata.get("tags", []) and index + 1 < len(book.cells):
                cell.outputs = []
    parameters = {**known_parameters(job.notebook), **job.values}
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "lct_lab": {
            "parameters": parameters,
            "seed": parameters.get("seed"),
            "versions": tables.provenance(),
            "notebook": digest(job.notebook),
            "package": package_hash(),
        },
    }
    nbformat.write(book, job.executed)
    size = job.executed.stat().st_size
    return f"the rendered copy has {size} bytes, more than {LIMIT}" if size > LIMIT else None


def execute(notebook, target, values):
    """In a process of its own: papermill writes the target while it runs, and only the exit status tells the truth."""
    import papermill
    from traitlets.config import Config

    short = tempfile.mkdtemp(
        prefix="k"
    )  # sockets in files, whose paths must be short: ports would be raced for
    os.environ["JUPYTER_RUNTIME_DIR"] = short
    try:
        papermill.execute_notebook(
            notebook,
            target,
            parameters=values,
            kernel_name="python3",
            progress_bar=False,
            cwd=str(Path(notebook).parent),
            config=Config(KernelManager={"transport": "ipc", "ip": f"{short}/k"}),
        )
    except papermill.exceptions.PapermillExecutionError as error:
        sys.exit(f"{error.ename}: {error.evalue}\nin cell {error.exec_count}:\n{error.source}")
    finally:
        shutil.rmtree(short, ignore_errors=True)


def run(jobs, workers, timeout):
    """Run the jobs, `workers` at once, later (longer) ones first, that of timings (06) alone and last; failures."""
    waiting, failures, began = (
        sorted(jobs[::-1], key=lambda job: job.name.startswith("06-")),
        0,
        time.time(),
    )
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                if running and (
                    waiting[0].name.startswith("06-") or running[0].name.startswith("06-")
                ):
                    break
                running.append(waiting.pop(0))
                running[-1].start(timeout)
            time.sleep(0.05)
            for job in [job for job in running if not job.is_running()]:
                running.remove(job)
                spent, error = time.time() - job.began, job.finish()
                print(f"{'FAILED' if error else 'ok':6} {spent:6.1f} s  {job.name}", flush=True)
                failures += error is not None
                if error:
                    print("\n".join(f"       {line}" for line in error.splitlines()[-30:]))
                    if job.failed.exists():
                        print(f"       see {job.failed.relative_to(ROOT)}")
                elif not job.committed:
                    print(f"       in {job.target.relative_to(ROOT)}")
    finally:
        for job in running:
            job.kill()
            job.finish()
    print(f"{len(jobs) - failures} of {len(jobs)} notebooks in {time.time() - began:.0f} s")
    return failures


def new(name):
    target = ROOT / "notebooks" / f"{name}.ipynb"
    if len(name) < 4 or not name[:2].isdigit() or name[2] != "-":
        sys.exit(
            f"NB must be two digits, a dash and the claim in words, like 12-my-question; got {name!r}"
        )
    if target.exists():
        sys.exit(f"NB must be a new name, but {target.relative_to(ROOT)} exists")
    shutil.copyfile(Path(__file__).parent / "template.ipynb", target)
    print(f"made {target.relative_to(ROOT)}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", help="number or name of one notebook")
    arguments.add_argument("--parameters", default="", help="name=value pairs, separated by spaces")
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--scheduler", default="")
    arguments.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2,
    )
    arguments.add_argument(
        "--timeout", type=float, default=None, help="seconds a notebook may take"
    )
    arguments.add_argument("--new", metavar="NAME")
    arguments.add_argument("--execute", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.execute:
        return execute(given.execute[0], given.execute[1], json.loads(given.execute[2]))
    if given.new is not None:
        return new(given.new)
    jobs = []
    for notebook in select(given.only):
        known = known_parameters(notebook)
        values = parse(given.parameters, known, notebook)
        if given.full:
            if "full" not in known:
                continue
            values["full"] = True
        if given.scheduler and "scheduler" in known:
            values["scheduler"] = given.scheduler
        jobs.append(
            Job(notebook, values, given.full, committed=not (given.parameters or given.scheduler))
        )
    todo = [job for job in jobs if not job.is_done()]
    if not todo:
        print(f"nothing to do: {len(jobs)} notebooks are up to date")
        return 0
    return (
        1
        if run(todo, max(1, given.jobs), given.timeout or (6 * 3600 if given.full else 1800))
        else 0
    )


if __name__ == "__main__":
    sys.exit(main())
