"""A project of its own for the tests of the tools: one notebook, run with this package."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lct_lab import book

ROOT = Path(__file__).resolve().parent.parent
GIVEN = ("P", "NB", "FULL", "SCHEDULER", "JOBS", "LAB", "T", "MAKELEVEL", "MAKEFLAGS")
PARAMETERS = "n: int = 3\nrate: float = 0.5\nname: str = 'eeg'"
TABLE = """from lct_lab import tables
tables.output("data", "90-sizes.csv").write_text(f"n\\n{n}\\n")  # as tables.write, without pandas
print(n, rate, name)"""


def notebook(*code, parameters=PARAMETERS):
    """The text of a notebook with these code cells, after one of parameters."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{index}",
            "execution_count": None,
            "outputs": [],
            "source": source,
            "metadata": {"tags": ["parameters"]} if index == 0 else {},
        }
        for index, source in enumerate((parameters, *code))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )


def make_project(folder, *code, **options):
    """A project with the notebook 90-sizes in `folder`, by default one that writes a table."""
    for name in ("notebooks", "lct_lab"):
        (folder / name).mkdir()
    (folder / "constraints.txt").write_text("")
    (folder / "lct_lab" / "__init__.py").write_text(f"__path__ = [{str(ROOT / 'lct_lab')!r}]\n")
    shutil.copytree(
        ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("site", "__pycache__")
    )
    write(folder, *(code or (TABLE,)), **options)
    return folder


def write(project, *code, name="90-sizes", **options):
    (project / "notebooks" / f"{name}.ipynb").write_text(notebook(*code, **options))


def environment(**given):
    """This process's environment without what a user may have given to make."""
    kept = {name: value for name, value in os.environ.items() if name not in GIVEN}
    return kept | given


def run(project, *arguments, tool="run_notebook.py", python=(sys.executable,), limit=120, **given):
    """Run one of the tools in `project` with `given` in the environment, as make gives it."""
    return subprocess.run(
        [*python, *([f"tools/{tool}"] if tool else []), *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=limit,
        env=environment(**given),
    )


def with_make(project):
    """Give `project` the Makefile and a set-up that runs this process's python; returns it."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (project / ".venv" / ".complete").write_text(f"{project.resolve()}\n")
    return project


def make(project, *arguments, **given):
    """What `make` says in `project`; `given` is the environment's."""
    return subprocess.run(
        ["make", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**given),
    )


def outputs(project):
    """{name: bytes} of what is published."""
    folders = ("data", "figures", "notebooks/rendered", "build/runs")
    found = sorted(p for folder in folders for p in (project / folder).rglob("*") if p.is_file())
    return {str(p.relative_to(project)): p.read_bytes() for p in found}


def publish_before(project):
    """Put an earlier good result in place, not to be touched; returns what `outputs` finds."""
    for name in ("data/90-sizes.csv", "notebooks/rendered/90-sizes.ipynb"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("the last good one")
    return outputs(project)


NOTEBOOKS = book.notebooks(ROOT / "notebooks")


def published():
    """The notebooks that the repository holds; a new one has no place in the README yet."""
    command = ["git", "ls-files", "notebooks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:  # no repository: all are
        return NOTEBOOKS
    return [path for path in NOTEBOOKS if f"notebooks/{path.name}" in listed.stdout.splitlines()]


PUBLISHED = published()
