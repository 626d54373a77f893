"""What make does with what it is given, and the files of the set-up. Nothing is installed here."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib

import new_notebook
import pytest
from projects import (
    ROOT,
    TABLE,
    environment,
    make,
    make_project,
    notebook,
    outputs,
    run,
    with_make,
    write,
)

from lct_lab import book

GIVEN = ("NB", "P", "FULL", "SCHEDULER", "JOBS", "LAB", "T")
HOSTILE = (
    "$(shell touch evil)",
    "`touch evil`",
    "$$(touch evil)",
    "'; touch evil; '",
    '"; touch evil; "',
    "a\ntouch evil",
)


@pytest.fixture
def project(tmp_path):
    return with_make(make_project(tmp_path))


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", GIVEN)
def test_nothing_that_is_given_is_executed_and_all_arrives_as_it_came(project, name, value):
    (project / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nprintf %s "${name}"\n')
    for target in ("notebooks", "test", "lab", "share", "new"):
        assert make(project, target, f"{name}={value}").stdout == value
        assert make(project, target, **{name: value}).stdout == value
    assert not (project / "evil").exists()


def test_what_python_may_be_told_switches_off_no_check_and_hides_no_tool(project):
    write(project, TABLE, "assert n == 4")
    result = make(project, "notebooks", PYTHONOPTIMIZE="1", PYTHONSAFEPATH="1")
    assert "a check in cell 3 does not hold" in result.stdout, result.stderr
    assert outputs(project) == {}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["PYTHON", "TORCH_INDEX"])
def test_nothing_that_the_set_up_is_given_is_executed(project, name, value):
    (project / "constraints.txt").touch()
    (project / ".venv" / "bin" / "python").write_text("#!/bin/sh\n")
    make(project, "venv", **({"PYTHON": sys.executable} | {name: value}))
    make(project, "venv", f"{name}={value}")
    assert not (project / "evil").exists()


@pytest.mark.parametrize("name", ["NB", "P"])
def test_a_hostile_value_is_one_sentence(project, name):
    result = make(project, "notebooks", f"{name}=$(shell touch evil)")
    assert result.returncode and f"{name} must be" in result.stderr
    assert not (project / "evil").exists() and outputs(project) == {}


def test_values_with_spaces_reach_the_notebook(project):
    result = make(project, "notebooks", "NB=90", "P=n=7 name='my files/$a `b`.npy'")
    assert result.returncode == 0, result.stdout
    (made,) = (project / "build" / "runs").glob("*/90-sizes.ipynb")
    said = json.loads(made.read_text())["cells"][-1]["outputs"][0]["text"]
    assert "7 0.5 my files/$a `b`.npy" in "".join(said)


def test_tests_are_chosen_by_words_that_pytest_reads(project):
    said = '#!/bin/sh\nprintf "%s|" "$PYTEST_ADDOPTS" "$@"\n'
    (project / ".venv" / "bin" / "python").write_text(said)
    result = make(project, "test", "T=tests/test_init.py -k 'seed or start'", PYTEST_ADDOPTS="-x")
    assert result.stdout.startswith("-x tests/test_init.py -k 'seed or start'|-m|pytest|-n|2|")


def test_a_set_up_is_used_as_long_as_it_is_this_folders(project):
    said = make(project, "-n", "notebooks").stdout
    assert said.splitlines() == [".venv/bin/python tools/run_notebook.py"]


def test_a_moved_clone_is_set_up_anew_and_says_why(project):
    moved = project.rename(project.parent / "moved")
    (moved / "python").write_text('#!/bin/sh\ncase "$*" in *"-m venv"*) exit 3;; esac\n')
    (moved / "python").chmod(0o755)
    result = make(moved, "notebooks", "PYTHON=./python")
    assert result.returncode and outputs(moved) == {}
    assert f"was set up in another folder, {project}: making it anew" in result.stdout
    assert not (moved / ".venv").exists()


def test_a_set_up_without_a_record_is_kept_and_gets_one(project):
    (project / ".venv" / ".complete").write_text("")
    (project / ".venv" / "bin" / "python").write_text("#!/bin/sh\n")
    (project / "constraints.txt").touch()
    result = make(project, "venv", f"PYTHON={sys.executable}")
    assert result.returncode == 0 and "another folder" not in result.stdout
    assert (project / ".venv" / ".complete").read_text() == f"{project.resolve()}\n"


def test_make_says_what_is_missing(project):
    result = make(project, "-s", "venv", "PYTHON=no-such python", "VENV=build/none")
    assert result.returncode
    assert "needs Python 3.11 or newer, and 'no-such python'" in result.stdout


def test_clean_says_what_it_deletes_and_keeps_results(project):
    for folder in ("build/lab", "build/runs", "data", ".hypothesis"):
        (project / folder).mkdir(parents=True)
    result = make(project, "clean")
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == [
        "removing build/lab",
        "removing build/runs",
        "removing .hypothesis",
    ]
    assert not (project / "build").exists() and (project / "data").exists()


def test_clean_keeps_what_was_saved_in_the_lab(project):
    lab = project / "build" / "lab"
    lab.mkdir(parents=True)
    (project / "build" / "site").mkdir()
    (lab / "90-sizes.ipynb").write_bytes((project / "notebooks" / "90-sizes.ipynb").read_bytes())
    (lab / "my own.ipynb").write_text("made by the user")
    said = make(project, "clean").stdout
    assert "keeping build/lab, with your own: my own.ipynb (rm -r build/lab removes it)\n" in said
    assert (lab / "my own.ipynb").exists() and not (project / "build" / "site").exists()
    (lab / "my own.ipynb").unlink()
    assert "keeping" not in make(project, "clean").stdout and not (project / "build").exists()


def test_clean_leaves_the_folders_of_live_runs(project):
    dead = subprocess.Popen(["true"])
    dead.wait()
    host = platform.node()
    alive = [f"90-{host}-{os.getpid()}-x1y2z3_0", f"site-{host}-{os.getpid()}-x1y2z3_0"]
    for name in (*alive, f"90-{host}-{dead.pid}-x1y2z3_0", f"05-{host}-results", "runs"):
        (project / "build" / name / "data").mkdir(parents=True)
    said = make(project, "clean").stdout
    assert sorted(path.name for path in (project / "build").iterdir()) == alive
    assert f"keeping build/{alive[0]}, where process {os.getpid()} is at work\n" in said


@pytest.mark.parametrize(
    "name", ["results.csv", "my.py", "sub/mine.ipynb", "data/a b.npy", ".hidden", "90-sizes.csv"]
)
def test_clean_keeps_any_file_of_the_lab_that_is_no_copy(project, name):
    lab = project / "build" / "lab"
    own = lab / name
    own.parent.mkdir(parents=True)
    own.write_text("made by the user")
    (lab / "90-sizes.ipynb").write_bytes((project / "notebooks" / "90-sizes.ipynb").read_bytes())
    (lab / ".copied.json").write_text("{}")
    said = make(project, "clean").stdout
    assert said == f"keeping build/lab, with your own: {name} (rm -r build/lab removes it)\n"
    assert own.read_text() == "made by the user"
    own.unlink()
    assert "removing build/lab" in make(project, "clean").stdout
    assert not (project / "build").exists()


def test_clean_keeps_the_tables_and_figures_saved_from_the_lab(project):
    lab = project / "build" / "lab"
    lab.mkdir(parents=True)
    code = 'from lct_lab import tables; tables.output("data", "20-a b.csv").write_text("mine")'
    subprocess.run([sys.executable, "-c", code], cwd=lab, check=True, env=environment())
    said = make(project, "clean").stdout
    kept = "keeping build/interactive, saved from the lab: data/20-a b.csv"
    assert f"{kept} (rm -r build/interactive removes it)\n" in said
    (saved,) = (project / "build").rglob("*.csv")
    assert saved.read_text() == "mine" and not lab.exists()
    saved.unlink()
    assert "removing build/interactive" in make(project, "clean").stdout
    assert not (project / "build").exists()


def test_help_names_every_target():
    text = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (help .*)$", text, flags=re.MULTILINE)
    said = make(ROOT, "help").stdout
    assert all(f"make {target}" in said for target in targets.split() if target != "help")


# A new notebook.


@pytest.mark.parametrize(
    "name, words",
    [
        ("", "NB must be two digits and the claim in words"),
        ("question", "like 01-my-question; got 'question'"),
        ("16-a/b", "got '16-a/b'"),
        ("16-", "got '16-'"),
        ("../16-a", "got '../16-a'"),
        ("16-" + "long" * 30, "NB must be two digits"),
        ("16-" + "длинно" * 12, "no more than 80 bytes"),
        ("90-other", "NB must have a number of its own, and 90 is 90-sizes.ipynb; 01 is free"),
        ("16-full-a", "NB must not call a notebook full-"),
    ],
)
def test_a_name_that_cannot_be_is_one_sentence(project, name, words):
    taken = book.notebooks(project / "notebooks")
    with pytest.raises(SystemExit, match=re.escape(words)) as ended:
        new_notebook.require_name(name, taken)
    assert "\n" not in ended.value.code


def test_a_new_notebook_has_its_number_and_runs_as_it_is(project):
    (project / "notebooks" / "90-sizes.ipynb").unlink()
    shutil.rmtree(project / "lct_lab")
    (project / "lct_lab").symlink_to(ROOT / "lct_lab")
    result = make(project, "new", "NB=16-my-question")
    assert result.returncode == 0 and "made notebooks/16-my-question.ipynb" in result.stdout
    text = (project / "notebooks" / "16-my-question.ipynb").read_text()
    assert "# 16 · The claim" in text and "NN" not in text
    assert make(project, "notebooks", "NB=16").returncode == 0
    assert set(outputs(project)) == {
        "data/16-scales.csv",
        "figures/16-scales.png",
        "figures/16-scales.svg",
        "notebooks/rendered/16-my-question.ipynb",
    }


def test_a_new_notebook_is_written_whole_or_not_at_all(project):
    limited = """import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
runpy.run_path("tools/new_notebook.py", run_name="__main__")"""
    (project / "tools" / "limited.py").write_text(limited)
    result = run(project, tool="limited.py", NB="16-my-question")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    target = project / "notebooks" / "16-my-question.ipynb"
    assert result.stderr.startswith(f"cannot write {target}: ")
    assert [path.name for path in target.parent.iterdir()] == ["90-sizes.ipynb"]


def test_a_new_notebook_that_nobody_hears_of_is_one_sentence(project):
    command = f"NB=16-a {sys.executable} tools/new_notebook.py > /dev/full"
    result = run(project, "-c", command, tool="", python=["bash"])
    assert result.stderr == "standard output: No space left on device\n"


def test_examples_of_new_notebooks_have_free_numbers():
    taken = {path.name[:2] for path in book.notebooks()}
    for name in ("Makefile", "tools/new_notebook.py"):
        (number,) = re.findall(r"make new NB=(\d\d)-", (ROOT / name).read_text())
        assert number not in taken, f"{name} has an example with a number that is taken"


# JupyterLab on copies.


def lab(project, **given):
    """What `make lab` would start, with a JupyterLab that only says how it was called."""
    fake = project / "jupyterlab.py"
    fake.write_text("import sys; print('called with', sys.argv[1:])")
    return run(project, tool="lab.py", PYTHONPATH=str(project), **given)


def test_the_lab_works_on_copies_and_passes_options_on(project):
    write(project, TABLE, name="00-explore")
    result = lab(project, LAB="--ip=0.0.0.0 --allow-root '--notebook-dir=a b'")
    options = ["build/lab/00-explore.ipynb", "--ip=0.0.0.0", "--allow-root", "--notebook-dir=a b"]
    assert f"called with {options}" in result.stdout, result.stdout + result.stderr
    for name in ("00-explore.ipynb", "90-sizes.ipynb"):
        copy = project / "build" / "lab" / name
        assert copy.read_text() == (project / "notebooks" / name).read_text()
    assert "quoted as in a shell" in lab(project, LAB="--ip='").stderr


def test_what_was_saved_in_the_lab_is_kept_and_other_copies_follow(project):
    write(project, TABLE, name="00-explore")
    lab(project)
    saved = project / "build" / "lab" / "00-explore.ipynb"
    saved.write_text("saved by the user")
    write(project, "changed = True")
    result = lab(project)
    assert "changed there, and kept: 00-explore.ipynb" in result.stdout
    assert saved.read_text() == "saved by the user"
    assert "changed = True" in (project / "build" / "lab" / "90-sizes.ipynb").read_text()
    assert (project / "notebooks" / "00-explore.ipynb").read_text() == notebook(TABLE)


@pytest.mark.parametrize(
    "end, words, status", [("| true", "", 141), ("> /dev/full", "standard output: No", 1)]
)
def test_a_lab_that_nobody_hears_is_not_opened(project, end, words, status):
    write(project, TABLE, name="00-explore")
    command = f"{sys.executable} tools/lab.py {end}"
    (project / "jupyterlab.py").write_text("import sys; sys.exit('opened')")
    given = {"tool": "", "python": ["bash"], "PYTHONPATH": str(project)}
    result = run(project, "-o", "pipefail", "-c", command, **given)
    said = result.stderr
    assert result.returncode == status
    assert said.startswith(words) and len(said.splitlines()) <= 1 and "opened" not in said


def test_what_a_lab_cannot_clear_is_named(project):
    write(project, TABLE, name="00-explore")
    fails = """import lab, runpy
def clear(root): open("/proc/none/.part", "w")
lab.processes.clear = clear
runpy.run_path("tools/lab.py", run_name="__main__")"""
    (project / "tools" / "fails.py").write_text(fails)
    assert run(project, tool="fails.py").stderr == "/proc/none/.part: No such file or directory\n"


@pytest.mark.parametrize("garbled", ["{", "[1]", ""])
def test_a_garbled_note_of_what_was_copied_overwrites_nothing(project, garbled):
    write(project, TABLE, name="00-explore")
    lab(project)
    saved = project / "build" / "lab" / "00-explore.ipynb"
    saved.write_text("saved by the user")
    (project / "build" / "lab" / ".copied.json").write_text(garbled)
    result = lab(project)
    assert "called with" in result.stdout and saved.read_text() == "saved by the user"


# The files of the set-up.


def test_environment_is_pyprojects():
    text = (ROOT / "environment.yml").read_text()
    assert "-e .[test,cluster,bench,fast]" in text and "-c constraints.txt" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"python{project['requires-python']}" in text
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    named = {line.split("==")[0] for line in lines if "==" in line}
    wanted = project["dependencies"] + project["optional-dependencies"]["fast"]
    assert named <= {re.split("[<>=]", requirement)[0] for requirement in wanted}
    assert ".[test,cluster,bench,fast]" in (ROOT / "Makefile").read_text()


def test_what_continuous_integration_runs_is_there():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    for line in ("make test", "make notebooks", "tools/compare_tables.py"):
        assert line in script.read_text()
