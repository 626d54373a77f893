"""The runner and the set-up files, each fault with a real notebook in a project of its own."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import run_notebook

ROOT = Path(__file__).resolve().parent.parent
GOOD = """import pandas as pd
from lct_lab import tables
tables.write(pd.DataFrame({"n": [n]}), "90-sizes")
print(n, rate)"""
NOISY = 'import sys; print("progress", file=sys.stderr)'


def notebook(*code, parameters="n: int = 3\nrate: float = 0.5\nname: str = 'eeg'"):
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
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def project(tmp_path):
    """A project with one notebook, 90-sizes, that runs with this package."""
    for folder in ("notebooks", "tools", "lct_lab", "benchmarks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "lct_lab" / "extra.py").write_text("")
    (tmp_path / "lct_lab" / "__init__.py").write_text(f"__path__ = [{str(ROOT / 'lct_lab')!r}]\n")
    for name in ("run_notebook.py", "template.ipynb"):
        (tmp_path / "tools" / name).write_text((ROOT / "tools" / name).read_text())
    (tmp_path / "notebooks" / "90-sizes.ipynb").write_text(notebook(GOOD, NOISY))
    return tmp_path


def run(project, *arguments):
    return subprocess.run(
        [sys.executable, "tools/run_notebook.py", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(project)},
    )


def outputs(project):
    folders = ("data", "figures", "notebooks/rendered", "build/runs")
    found = sorted(p for folder in folders for p in (project / folder).rglob("*") if p.is_file())
    return {str(p.relative_to(project)): p.read_bytes() for p in found}


@pytest.fixture
def published(project):
    """The same project with an earlier good result, not to be touched."""
    for name in ("data/90-sizes.csv", "notebooks/rendered/90-sizes.ipynb"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("the last good one")
    return project


def test_a_run_repeats_to_the_byte_and_a_second_call_does_nothing(project):
    first = run(project)
    assert first.returncode == 0 and re.search(r"ok +[\d.]+ s +90-sizes", first.stdout), (
        first.stdout + first.stderr
    )
    made = outputs(project)
    assert set(made) == {"data/90-sizes.csv", "notebooks/rendered/90-sizes.ipynb"}
    book = json.loads(made["notebooks/rendered/90-sizes.ipynb"])
    assert book["metadata"]["lct_lab"]["parameters"] == {"n": 3, "rate": 0.5, "name": "eeg"}
    assert "progress" not in str(book["cells"][2]["outputs"]) and "papermill" not in str(book)
    again = run(project)
    assert again.returncode == 0 and "nothing to do: 1 notebooks are up to date" in again.stdout
    (project / "build" / "stamps" / "90-sizes.txt").unlink()
    assert "ok" in run(project).stdout
    assert outputs(project) == made


def test_a_change_of_the_package_is_a_change(project, monkeypatch):
    monkeypatch.setattr(run_notebook, "ROOT", project)
    before = run_notebook.package_hash()
    (project / "lct_lab" / "extra.py").write_text("changed = True")
    assert run_notebook.package_hash() != before


def test_other_parameters_leave_the_committed_results_alone(published):
    project, made = published, outputs(published)
    result = run(project, "--only", "90", "--parameters", "n=7 rate=1e-3")
    assert result.returncode == 0, result.stdout
    now = outputs(project)
    assert {name: now[name] for name in made} == made
    (table,) = [name for name in now if name.startswith("build/runs/90-") and name.endswith(".csv")]
    assert now[table] == b"n\n7\n"


@pytest.mark.parametrize(
    "code, words",
    [
        ("assert n == 4, 'the claim is false'", "the claim is false"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "Kernel died"),
        ("import time; time.sleep(60)", "stopped after 8 s, its time limit"),
        ("print('x' * 1_200_000)", "more than 1000000"),
    ],
)
def test_a_failure_fails_the_build_and_leaves_the_last_good_output(published, code, words):
    project, made = published, outputs(published)
    (project / "notebooks" / "90-sizes.ipynb").write_text(
        notebook(GOOD.replace("[n]", "[n + 1]"), code)
    )
    result = run(project, "--timeout", "8" if "sleep" in code else "100")
    assert result.returncode == 1 and "FAILED" in result.stdout and words in result.stdout, (
        result.stdout
    )
    assert outputs(project) == made
    assert (project / "build" / "failed" / "90-sizes.failed.ipynb").exists()
    assert not (project / "build" / "stamps").exists(), "a failure is not up to date"


@pytest.mark.parametrize(
    "parameters, words",
    [
        ("inits=3", "the parameters of 90-sizes: n=3, rate=0.5, name='eeg'; got 'inits=3'"),
        ("n", "got 'n'"),
        ("n=2.5", "n of 90-sizes must be of type int, like its default 3; got '2.5'"),
        ("rate=fast", "rate of 90-sizes must be of type float"),
    ],
)
def test_bad_parameters_are_one_sentence_and_write_nothing(project, parameters, words):
    result = run(project, "--parameters", parameters)
    assert result.returncode == 1 and words in result.stderr and "Traceback" not in result.stderr
    assert outputs(project) == {}


def test_an_unknown_notebook_and_a_taken_name(project):
    assert (
        "NB must be the number or name of a notebook, 90; got '77'"
        in run(project, "--only", "77").stderr
    )
    assert "12-my-question; got 'question'" in run(project, "--new", "question").stderr
    assert "90-sizes.ipynb exists" in run(project, "--new", "90-sizes").stderr
    assert run(project, "--new", "12-my-question").returncode == 0
    assert (project / "notebooks" / "12-my-question.ipynb").read_text() == (
        ROOT / "tools" / "template.ipynb"
    ).read_text()


def test_full_runs_those_that_have_it_under_their_own_name(project):
    assert "nothing to do: 0" in run(project, "--full").stdout
    (project / "notebooks" / "90-sizes.ipynb").write_text(
        notebook(GOOD, parameters="full = False\nn = 1\nrate = 2.0")
    )
    assert run(project, "--full").returncode == 0
    assert set(outputs(project)) == {
        "data/90-full-sizes.csv",
        "notebooks/rendered/90-full-sizes.ipynb",
    }


def test_environment_is_pyprojects():
    text = (ROOT / "environment.yml").read_text()
    assert "-e .[test,cluster,bench]" in text and "-c constraints.txt" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"python{project['requires-python']}" in text
    named = {
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert named <= {re.split("[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert ".[test,cluster,bench]" in (ROOT / "Makefile").read_text()


def test_make_says_what_is_missing():
    result = subprocess.run(
        ["make", "-s", "venv", "PYTHON=no-such-python", "VENV=build/none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode and "needs Python 3.11 or newer, and 'no-such-python'" in result.stdout


def test_values_keep_the_types_of_their_defaults():
    known = {"n": 3, "rate": 0.5, "full": False, "name": "x"}
    parsed = run_notebook.parse("n=7 rate=2 full=true name=1e-3", known, Path("90-sizes.ipynb"))
    assert (
        parsed == {"n": 7, "rate": 2.0, "full": True, "name": "1e-3"}
        and type(parsed["rate"]) is float
    )
