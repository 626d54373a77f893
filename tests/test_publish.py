"""Results are all in their places, or none: on other file systems and on full disks too."""

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest
from projects import TABLE, make_project, outputs, publish_before, run, write
from runner import processes, publish

LIMITED = """import resource, run_notebook
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
raise SystemExit(run_notebook.main())"""
STOPPED = """import os, signal, run_notebook
rename = os.replace
def replace(*names):
    rename(*names)
    os.kill(os.getpid(), signal.SIGTERM)
os.replace = replace
raise SystemExit(run_notebook.main())"""
SHARED_MEMORY = Path("/dev/shm")  # another file system than that of temporary files, on Linux


@pytest.fixture
def places(tmp_path):
    """Two new files, and their places, of which the first has an old one."""
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    old.mkdir()
    for name in ("a.csv", "b.csv"):
        (new / name).write_text("new")
    (old / "a.csv").write_text("old")
    return {new / "a.csv": old / "a.csv", new / "b.csv": old / "deeper" / "b.csv"}


def texts(places):
    return [path.read_text() if path.is_file() else None for path in places.values()]


def test_files_are_put_in_place_across_file_systems(places, monkeypatch):
    rename = os.replace

    def within_a_folder(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "replace", within_a_folder)
    publish.publish(places)
    assert texts(places) == ["new", "new"]


def test_a_full_disk_leaves_all_as_it_was_and_names_the_file(places, monkeypatch):
    copy = shutil.copyfile

    def copy_until_full(source, target):
        if source.name == "b.csv":
            target.write_text("ne")
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", copy_until_full)
    with pytest.raises(OSError, match="No space left on device") as error:
        publish.publish(places)
    first, second = places.values()
    assert error.value.filename == str(second)
    assert texts(places) == ["old", None]
    assert list(first.parent.rglob("*.part")) == []


def test_a_folder_in_the_place_of_a_file_leaves_all_as_it_was(places):
    _, second = places.values()
    second.mkdir(parents=True)
    with pytest.raises(OSError, match="it is a folder"):
        publish.publish(places)
    assert texts(places) == ["old", None] and not list(second.parent.rglob("*.part"))


@pytest.fixture(params=("SIGINT", "SIGTERM", "SIGHUP"))
def send(request):
    """A function that sends this process a signal, which the runner heeds."""
    number = getattr(signal, request.param)
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    processes.stop_on_signals()
    yield lambda: os.kill(os.getpid(), number)
    for each, handler in before.items():
        signal.signal(each, handler)


def after(function, act):
    """A function like another, followed by `act`."""

    def both(*arguments):
        found = function(*arguments)
        act()
        return found

    return both


@pytest.mark.parametrize(
    "module, name, found",
    [(shutil, "copyfile", ["old", None]), (os, "replace", ["new", "new"])],
)
def test_a_signal_leaves_all_as_it_was_or_all_in_place(
    places, monkeypatch, send, module, name, found
):
    monkeypatch.setattr(module, name, after(getattr(module, name), send))
    with pytest.raises(processes.Stopped):
        publish.publish(places)
    first, _ = places.values()
    assert texts(places) == found and not list(first.parent.rglob("*.part"))


def test_a_runner_that_is_stopped_while_it_publishes_publishes_all(tmp_path):
    project = make_project(tmp_path)
    publish_before(project)
    (project / "tools" / "stopped.py").write_text(STOPPED)
    result = run(project, tool="stopped.py")
    assert result.returncode == 128 + signal.SIGTERM, result.stderr
    assert result.stderr.startswith("stopped by SIGTERM: what was finished is in place")
    assert not any(text == b"the last good one" for text in outputs(project).values())
    assert not list(project.rglob("*.part"))


@pytest.mark.parametrize("links", (True, False))
def test_a_file_that_cannot_be_replaced_leaves_all_as_it_was(places, monkeypatch, links):
    """The second file cannot, as an immutable one cannot, on file systems with links or without."""
    first, second = places.values()
    second.parent.mkdir()
    second.write_text("old too")
    rename = os.replace

    def replace(source, target):
        if target == second:
            raise OSError(errno.EBUSY, "Device or resource busy", source)
        rename(source, target)

    def link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "replace", replace)
    if not links:
        monkeypatch.setattr(os, "link", link)
    source = first.parent.parent / "c.csv"
    source.write_text("new")
    fresh = first.with_name("c.csv")
    with pytest.raises(OSError, match="Device or resource busy") as error:
        publish.publish({source: fresh} | places)
    assert error.value.filename == str(second) and not fresh.exists()
    assert texts(places) == ["old", "old too"] and not list(first.parent.rglob("*.part"))


def test_what_is_no_file_is_not_published_and_is_named(places):
    new = next(iter(places)).with_name("pipe.csv")
    os.mkfifo(new)
    target = next(iter(places.values())).with_name("pipe.csv")
    with pytest.raises(OSError, match="what was made for it is no file") as error:
        publish.publish({**places, new: target})
    assert error.value.filename == str(target) and texts(places) == ["old", None]


def elsewhere(folder):
    return SHARED_MEMORY.is_dir() and SHARED_MEMORY.stat().st_dev != folder.stat().st_dev


def test_tables_may_lie_on_another_file_system(tmp_path):
    if not elsewhere(tmp_path):
        pytest.skip("there is no second file system at /dev/shm")
    project, other = make_project(tmp_path), SHARED_MEMORY / f"lct_lab-{os.getpid()}"
    other.mkdir()
    try:
        (project / "data").symlink_to(other)
        result = run(project)
        assert result.returncode == 0, result.stdout
        assert [path.name for path in other.iterdir()] == ["90-sizes.csv"]
    finally:
        shutil.rmtree(other)


def test_where_figures_cannot_go_no_table_is_replaced(tmp_path):
    project = make_project(tmp_path)
    picture = 'tables.output("figures", "90-a.svg").write_text("x")'
    write(project, TABLE, picture)
    made = publish_before(project)
    (project / "figures").write_text("not a folder")
    result = run(project)
    assert result.returncode == 1 and "figures/90-a.svg cannot be written" in result.stdout
    assert outputs(project) == made and list(project.rglob("*.part")) == []


def test_a_disk_that_fills_during_a_run_is_named(tmp_path):
    """Files may not grow beyond 100 kB, which fails as a full disk does."""
    project = make_project(tmp_path, TABLE, "print('x' * 300_000)")
    made = publish_before(project)
    (project / "tools" / "limited.py").write_text(LIMITED)
    result = run(project, tool="limited.py")
    assert result.returncode == 1 and "90-sizes.ipynb cannot be written: File" in result.stdout
    assert "Traceback" not in result.stdout and outputs(project) == made
    assert list(project.rglob("*.part")) == [] and not list((project / "build").glob("90-*"))


def test_a_pipe_in_the_place_of_a_table_stays(tmp_path):
    project = make_project(tmp_path)
    (project / "data").mkdir(exist_ok=True)
    os.mkfifo(project / "data" / "90-sizes.csv")
    result = run(project)
    assert result.returncode and "it is a pipe or a device" in result.stdout
    assert (project / "data" / "90-sizes.csv").is_fifo()
