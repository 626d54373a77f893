"""Whatever ends a run of notebooks leaves no process, no half results and no rubbish behind."""

import os
import platform
import signal
import subprocess
import sys
import time

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
    ]
    ours = [
        f"build/05-{owner}-x1y2z3_0/a.csv",
        f"data/.bench.csv.{platform.node()}.{dead.pid}-1.part",
        f"figures/.90-full-a.svg.{owner}.part",
        f"build/stamps/.90-a.txt.{platform.node()}.{dead.pid}-1.part",
        f"notebooks/.90-a.ipynb.{platform.node()}.{dead.pid}-1.part",
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
