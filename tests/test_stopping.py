"""Whatever ends a run of notebooks leaves no process, no half results and no rubbish behind."""

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from projects import environment, make_project, outputs, publish_before, run, with_make
from runner import processes

LONG = """import os, pathlib, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
pathlib.Path("../started.txt").write_text(f"{os.getpid()} {worker.pid}")
time.sleep(300)"""
WAYS = {
    "INT": [sys.executable, "tools/run_notebook.py"],
    "TERM": [sys.executable, "tools/run_notebook.py"],
    "HUP": [sys.executable, "tools/run_notebook.py"],
    "KILL": [sys.executable, "tools/run_notebook.py"],
    "TERM of make": ["make", "notebooks"],
    "KILL of make": ["make", "notebooks"],
}


def wait_for(condition, what, seconds=60):
    end = time.time() + seconds
    while not (found := condition()):
        assert time.time() < end, f"waited in vain: {what}"
        time.sleep(0.1)
    return found


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def running(tmp_path):
    """{way: (project, process)} of notebooks that run for minutes, all started at once."""
    found = {}
    for way, command in WAYS.items():
        folder = tmp_path / way.replace(" ", "-")
        (folder / "tmp").mkdir(parents=True)
        project = with_make(make_project(folder, LONG))
        publish_before(project)
        options = {"cwd": project, "env": environment(TMPDIR=str(project / "tmp"))}
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        found[way] = project, subprocess.Popen(command, **options)
    yield found
    for _, process in found.values():
        process.kill()
        process.wait()


def test_what_ends_the_runner_ends_its_kernels_and_their_workers(running):
    for way, (project, process) in running.items():
        require_the_end(way, project, process)


def require_the_end(way, project, process):
    number = getattr(signal, f"SIG{way.split()[0]}")
    pids = wait_for(lambda: (project / "started.txt").exists() and pids_of(project), way)
    process.send_signal(number)
    wait_for(lambda: not any(is_alive(pid) for pid in pids), way)
    said, _ = process.communicate(timeout=20)
    wait_for(lambda: not list((project / "build").glob("90-*")), way)
    wait_for(lambda: not list((project / "tmp").iterdir()), way)
    assert set(outputs(project).values()) == {b"the last good one"}, way
    if way in ("INT", "TERM", "HUP"):
        assert process.returncode == 128 + number, way
        assert f"stopped by SIG{way}: what was finished is in place" in said
        assert len(said.splitlines()) == 1


def pids_of(project):
    return [int(pid) for pid in (project / "started.txt").read_text().split()]


STOPPED_EARLY = """import os, signal, run_notebook
from runner import jobs
act = getattr({module}, {name!r})
def then(*arguments, **options):
    found = act(*arguments, **options)
    os.kill(os.getpid(), signal.SIGTERM)
    return found
setattr({module}, {name!r}, then)
raise SystemExit(run_notebook.main())"""


@pytest.mark.parametrize(
    "module, name", [("jobs.tempfile", "mkdtemp"), ("jobs.subprocess", "Popen")]
)
def test_a_run_that_is_stopped_while_it_starts_leaves_nothing(tmp_path, module, name):
    project = make_project(tmp_path, LONG)
    (tmp_path / "tmp").mkdir()
    (project / "tools" / "early.py").write_text(STOPPED_EARLY.format(module=module, name=name))
    result = run(project, tool="early.py", TMPDIR=str(tmp_path / "tmp"))
    assert result.returncode == 128 + signal.SIGTERM, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list((project / "build").iterdir()) and not list((tmp_path / "tmp").iterdir())
    running = (p.info["environ"] or {} for p in psutil.process_iter(["environ"]))
    assert not [e for e in running if e.get("LCT_LAB_OUT", "").startswith(str(project))]


def test_a_runner_that_is_stopped_while_it_loads_ends_in_words(tmp_path):
    project = make_project(tmp_path)
    with (project / "lct_lab" / "__init__.py").open("a") as file:
        file.write("import os; os.kill(os.getpid(), 2)\n")
    result = run(project)
    assert result.returncode == 130 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("stopped by SIGINT: ")


def test_a_run_that_cannot_be_started_leaves_no_folder(tmp_path):
    project = make_project(tmp_path)
    broken = "import run_notebook\nfrom runner import jobs\njobs.PLAIN = 'no/such/folder'\n"
    (project / "tools" / "broken.py").write_text(f"{broken}raise SystemExit(run_notebook.main())")
    result = run(project, tool="broken.py")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert not list((project / "build").iterdir())


def test_a_later_call_clears_what_a_dead_runner_left(tmp_path):
    project = make_project(tmp_path)
    dead = subprocess.Popen(["true"])
    dead.wait()
    owner = f"{platform.node()}-{dead.pid}"
    staging = project / "build" / f"90-{owner}-x1y2z3_0"
    alive = project / "build" / f"90-{platform.node()}-{os.getpid()}-x1y2z3_0"
    part = project / "data" / f".90-sizes.csv.{owner}.part"
    for folder in (staging, alive, part.parent):
        folder.mkdir(parents=True)
    part.write_text("half")
    orphan = subprocess.Popen(["sleep", "300"], env={**os.environ, "LCT_LAB_OUT": str(staging)})
    result = run(project, "--timeout", "1")
    assert orphan.wait(5) == -signal.SIGKILL
    assert not staging.exists() and not part.exists(), result.stderr
    assert alive.exists(), "its runner lives"


def test_a_later_call_clears_the_sockets_of_a_dead_runner(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(processes, "SHORT", 1000)
    dead = subprocess.Popen(["true"])
    dead.wait()
    alive = Path(processes.sockets_folder())
    others = ["k12345678", f"{processes.SOCKETS}-{dead.pid}", f"k000000-{dead.pid}-x1y2z3_0"]
    for name in (*others, f"{processes.SOCKETS}-{dead.pid}-x1y2z3_0"):
        (tmp_path / name).mkdir()
    (tmp_path / f"{processes.SOCKETS}-{dead.pid}-y1y2z3_0").symlink_to("k12345678")
    processes.clear(tmp_path / "nowhere")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, alive.name, f"{processes.SOCKETS}-{dead.pid}-y1y2z3_0"}


def test_files_of_others_stay_whatever_their_number(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    owner = f"{platform.node()}-{dead.pid}"
    foreign = [
        f"build/05-{owner}-results/a.csv",
        f"build/05-mine-{owner}-x1y2z3_0/a.csv",
        f"build/site-{owner}/index.html",
        f"data/.thesis.{platform.node()}.{dead.pid}.part",
        f"data/.thesis.{owner}.part",
        f"data/.90-a.csv.{owner}.2.part",
        f"data/.90-a.csv.other{owner}.part",
        f"data/.90-a.csv.{owner}.part/a.csv",
        f"build/lab/.mine.txt.{owner}.part",
        f"build/runs/mine/.90-a.csv.{owner}.part",
        f"build/runs/90-0123abcd/data/deeper/.90-a.csv.{owner}.part",
    ]
    ours = [
        f"build/05-{owner}-x1y2z3_0/a.csv",
        f"data/.bench.csv.{platform.node()}.{dead.pid}-1.part",
        f"figures/.90-full-a.svg.{owner}.part",
        f"build/stamps/.90-a.txt.{platform.node()}.{dead.pid}-1.part",
        f"notebooks/.90-a.ipynb.{platform.node()}.{dead.pid}-1.part",
        f"data/.90-a.csv.old.{owner}.part",
        f"notebooks/rendered/.90-a.ipynb.old.{owner}.part",
        f"build/runs/90-0123abcd/.90-a.ipynb.{owner}.part",
        f"build/runs/90-0123abcd/data/.90-a.csv.{owner}.part",
        f"build/runs/90-0123abcd/figures/.90-a.svg.old.{owner}.part",
        f"build/failed/90-sizes/data/.any.csv.{owner}.part",
        f"build/lab/..copied.json.{platform.node()}.{dead.pid}-1.part",
    ]
    for name in (*foreign, *ours):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    link = tmp_path / "figures" / f".90-b.svg.{owner}.part"
    link.symlink_to(tmp_path / foreign[0])
    processes.clear(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*foreign, str(link.relative_to(tmp_path))}
