"""Sweeps survive: faults with real processes and kills, then the same bytes (-s: a table)."""

import itertools
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import psutil
import pytest
import sweeping
from sweeping import FORK, SMALL, Stalled, run, shards, stamps, wait_until

import lct_lab
from lct_lab import probes, tables
from lct_lab.sweeps import collect, log, rows, status
from lct_lab.sweeps.command import main


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    return run(directory), shards(directory)


def outcome(fault, text):
    print(f"\n| {fault} | {text} |", end="")


def end(driver, seconds):
    """Kill a driver, give what it leaves the time to clean up, and kill that as well."""
    left = psutil.Process(driver.pid).children(recursive=True) if driver.is_alive() else []
    driver.kill()
    psutil.wait_procs(left, seconds)
    try:
        os.killpg(driver.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    driver.join()


def in_a_child(work):
    """What `work` returns, or the sentence of its OSError, in a process of its own."""
    hears, says = FORK.Pipe(duplex=False)

    def child():
        os.setsid()
        try:
            says.send(work())
        except OSError as error:
            says.send(str(error))

    driver = FORK.Process(target=child)
    driver.start()
    says.close()
    try:
        return hears.recv()
    finally:
        end(driver, 0)


def test_driver_killed_after_any_number_of_shards(undisturbed, tmp_path):
    table, made = undisturbed
    for k in (1, 2, 4, 7, 11):
        directory = tmp_path / str(k)
        driver = FORK.Process(target=run, args=(directory,))
        driver.start()
        while driver.is_alive() and len(stamps(directory)) < k:
            time.sleep(0.001)
        driver.kill()  # which may have ended between the two looks
        driver.join()
        before = stamps(directory)
        assert run(directory).equals(table) and shards(directory) == made
        assert before.items() <= stamps(directory).items(), "no finished shard is recomputed"
        assert not list(directory.glob(".*.part"))
    outcome("driver killed after five numbers of shards", "same bytes, nothing recomputed")


def test_a_damaged_shard_is_recomputed(tmp_path, capsys):
    small = SMALL | {"inits": 10}
    table = run(tmp_path, **small)
    path = sorted(tmp_path.glob("*.parquet"))[1]
    whole = path.read_bytes()
    for damage in damages(whole):
        path.write_bytes(damage)
        others = stamps(tmp_path).items() - {(path, path.stat().st_mtime_ns)}
        assert run(tmp_path, **small).equals(table)
        assert path.read_bytes() == whole and others <= stamps(tmp_path).items()
        assert f"{path} is damaged" in capsys.readouterr().err
    done = "each detected and recomputed, nothing else touched"
    outcome("20 truncations, 40 flipped bits", done)


def damages(whole):
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(whole), 20):
        yield whole[:length]
    for place in rng.integers(0, len(whole), 40):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)


def test_shards_are_whole_under_any_option_of_pandas(tmp_path, capsys):
    options = dict(inits=2, directory=tmp_path / "new", progress=False)
    lct_lab.sweep(8, 8, **options)
    rows._as_pandas_has.cache_clear()
    with warnings.catch_warnings(action="ignore"), pd.option_context("future.infer_string", False):
        lct_lab.sweep(8, 8, **options)
        lct_lab.sweep(8, 8, **options | {"directory": tmp_path / "old"})
    assert "damaged" not in capsys.readouterr().err
    new, old = (next((tmp_path / name).glob("*.parquet")) for name in ("new", "old"))
    assert new.read_bytes() == old.read_bytes()


def test_a_sweep_without_an_error_stream_has_no_bar(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert len(lct_lab.sweep(8, 8, inits=1, directory=tmp_path)) == 6


def test_a_whole_shard_of_another_block_is_damage(tmp_path):
    table = run(tmp_path, **SMALL)
    run(tmp_path / "other", **SMALL | {"seed": 9})
    (path,), (other,) = tmp_path.glob("*.parquet"), (tmp_path / "other").glob("*.parquet")
    whole = path.read_bytes()
    path.write_bytes(other.read_bytes())
    assert status(tmp_path, verify=True)["damaged"] == [path.name]
    with pytest.raises(ValueError, match=f"{path} is damaged: it holds another block"):
        collect(tmp_path)
    assert run(tmp_path, **SMALL).equals(table) and path.read_bytes() == whole
    lost = tables.read(path).query("init > 0")  # with all that the shard says of itself
    tables.write_raw(lost, path)
    assert status(tmp_path, verify=True)["damaged"] == [path.name]


@contextmanager
def killing(pid, directory):
    """Kill a process when the sweep in `directory` has two shards; tells how many it then has."""
    found = []

    def kill():
        wait_until(lambda: len(stamps(directory)) >= 2)
        os.kill(pid, signal.SIGKILL)
        found.append(len(stamps(directory)))

    killer = threading.Thread(target=kill)
    killer.start()
    yield found
    killer.join()


@pytest.mark.parametrize("name, workers", [("loky", 1), ("spawn", 2)])
def test_a_pool_gives_the_same_bytes_and_a_killed_worker_is_told(
    undisturbed, tmp_path, name, workers
):
    table, made = undisturbed
    executor = getattr(sweeping, name)(workers)
    assert run(tmp_path / "calm", executor=executor).equals(table)
    assert shards(tmp_path / "calm") == made
    victim = executor.submit(os.getpid).result()
    died = "a worker died at or near the block .*call sweep again"
    with killing(victim, tmp_path / "killed"), pytest.raises(RuntimeError, match=died):
        run(tmp_path / "killed", executor=executor, inits=150)
    executor.shutdown()
    before = stamps(tmp_path / "killed")
    assert run(tmp_path / "killed").equals(table)
    assert made.items() <= shards(tmp_path / "killed").items()
    assert before.items() <= stamps(tmp_path / "killed").items()
    outcome(f"worker of {name} killed", "error names the block, resume completes to the same bytes")


def killed_at_its_first_submit(directory, says):
    """A driver whose second worker never hears of a block."""
    os.setsid()
    executor = sweeping.loky(2)
    submit = executor.submit

    def last(*task):
        submit(*task)
        wait_until(lambda: len(executor._processes) == 2)
        says.send(list(executor._processes))
        os.kill(os.getpid(), signal.SIGKILL)

    executor.submit = last
    run(directory, **SMALL, executor=executor)


def test_workers_that_had_no_block_yet_end_with_their_driver(tmp_path):
    hears, says = FORK.Pipe(duplex=False)
    driver = FORK.Process(target=killed_at_its_first_submit, args=(tmp_path, says))
    driver.start()
    says.close()
    try:
        workers = hears.recv()
        driver.join()
        wait_until(lambda: not any(map(runs, workers)), seconds=30)
    finally:
        end(driver, 0)


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_dask_survives_a_killed_worker_and_gives_the_same_bytes(tmp_path):
    pytest.importorskip("distributed")

    def killed_once():  # in a child, since a process that has had a cluster cannot fork drivers
        executor = sweeping.dask()
        victim = executor.submit(os.getpid).result()
        with killing(victim, tmp_path / "killed") as killed:
            run(tmp_path / "killed", executor=executor, inits=100)
        return killed

    assert in_a_child(killed_once)[0] < 80, "the kill fell in mid-sweep"
    table = run(tmp_path / "serial", inits=100)
    assert shards(tmp_path / "killed") == shards(tmp_path / "serial")
    assert collect(tmp_path / "killed").equals(table)
    outcome("dask worker killed in mid-task", "sweep completes, same bytes")


def test_a_cluster_that_gives_up_is_one_sentence_and_no_block_counts_as_failed(tmp_path):
    with pytest.raises(RuntimeError, match="executor gave up the blocks that were left") as error:
        run(tmp_path, executor=sweeping.GivenUp())
    assert "\n" not in str(error.value)
    found = status(tmp_path)
    assert not found["failed"] and len(found["left"]) >= 11


def drive(name, directory, says):
    """A driver in a process group of its own, at work on a block that does not end."""
    os.setsid()
    if name == "this process":
        executor = None
        rows = probes.probe_rows
        probes.probe_rows = lambda **block: [rows(**block) for _ in itertools.count()]
    else:
        executor = Stalled(getattr(sweeping, name)())
    try:
        run(directory, **SMALL, executor=executor)
    except KeyboardInterrupt:
        says.send("interrupted")
        time.sleep(60)


@pytest.fixture
def started(tmp_path):
    running = []

    def start(name):
        hears, says = FORK.Pipe(duplex=False)
        driver = FORK.Process(target=drive, args=(name, tmp_path / "x", says))
        driver.start()
        running.append(driver)
        wait_until(lambda: list(tmp_path.glob("x/plan-*.json")))
        return driver, hears

    yield start
    for driver in running:
        end(driver, 3)


@pytest.mark.parametrize("name", ["this process", "loky", "spawn", "dask"])
def test_an_interrupt_ends_the_sweep(started, tmp_path, name):
    if name == "dask":
        pytest.importorskip("distributed")
    driver, hears = started(name)
    if name == "this process":
        time.sleep(0.5)  # in the middle of the block
    else:
        wait_until(lambda: (tmp_path / "x" / "begun").exists())
    began = time.time()
    os.killpg(driver.pid, signal.SIGINT)
    assert hears.poll(30) and hears.recv() == "interrupted", "a block takes longer"
    assert not shards(tmp_path / "x")
    outcome(f"Ctrl-C, {name}", f"ended in {time.time() - began:.1f} s")


@pytest.mark.parametrize(
    "name, moment",
    [
        ("loky", "at the start"),
        ("spawn", "at the start"),
        ("loky", "in mid-task"),
        ("forkserver", "in mid-task"),
    ],
)
def test_workers_end_with_their_driver_and_not_before(started, tmp_path, name, moment):
    driver, _ = started(name)
    at_work = psutil.Process(driver.pid)
    if moment == "at the start":
        wait_until(lambda: (tmp_path / "x" / "sent").exists())
        time.sleep(0.3)  # for the task to be in the worker's pipe
    else:
        wait_until(lambda: (tmp_path / "x" / "begun").exists())
        time.sleep(1.2)  # longer than it takes a worker to look for its driver
    group = at_work.children(recursive=True)
    assert group and all(process.is_running() for process in group)
    driver.kill()
    driver.join()
    began = time.time()
    _, alive = psutil.wait_procs(group, 30)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    outcome(f"driver killed {moment}, {name}", f"workers gone in {time.time() - began:.1f} s")


def test_two_drivers_at_once(undisturbed, tmp_path):
    _, made = undisturbed
    drivers = [FORK.Process(target=run, args=(tmp_path,)) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert [driver.exitcode for driver in drivers] == [0, 0] and shards(tmp_path) == made
    outcome("two drivers at once", "both finish, one set of shards")


def test_half_written_files_of_dead_drivers_alone_are_removed(undisturbed, tmp_path):
    name = next(iter(undisturbed[1]))

    def killed():
        with tables.whole(tmp_path / name) as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    driver = FORK.Process(target=killed)
    driver.start()
    driver.join()
    (dead,) = tmp_path.glob(f".{name}.*.part")
    foreign = foreign_parts(dead, name)
    with tables.whole(tmp_path / f"9{name}") as part:
        part.write_text("half")
        run(tmp_path, **SMALL)
        assert set(tmp_path.glob(".*.part")) == {part, *foreign}


def foreign_parts(dead, name):
    """Files beside `dead`, what a driver left of the shard `name`, that no driver left."""
    host = socket.gethostname()
    foreign = [f".thesis.{host}.999999.part", f".thesis.{host}.999999-1.part"]
    foreign += [f".{name}.{host}.999999.part", f".{name}.other{host}.999999-1.part"]
    foreign += [f".{name}.{host}.{9**40}-1.part", f".my-{name}.{host}.999999-1.part"]
    places = [dead.with_name(name) for name in foreign]
    for place in places:
        place.write_text("mine")
    folder, link = (dead.with_name(dead.name.replace(name, f"{i}{name}")) for i in (1, 2))
    folder.mkdir()
    link.symlink_to(places[0])
    return [*places, folder, link]


def with_small_files(work):
    """`work`, where no file can grow beyond 2500 bytes: a full disk without a disk."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
        return work()

    return in_a_child(limited)


def test_no_room_for_a_shard(tmp_path):
    says = with_small_files(lambda: len(run(tmp_path, **SMALL)))
    assert f"cannot write {tmp_path}" in says and ".parquet: " in says
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".jsonl"}
    outcome("no room for a shard", "error names the path, no partial shard")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_no_room_for_one_file_of_all_rows(tmp_path, name, capfd):
    run(tmp_path / "x", **SMALL)
    command = ["collect", str(tmp_path / "x"), "--out", str(tmp_path / name)]
    assert with_small_files(lambda: main(command)) == 1
    said = capfd.readouterr().err
    assert f"cannot write {tmp_path / name}: " in said and "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_full_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(OSError, match=f"cannot write {tmp_path}.*No space left"):
            run(tmp_path, inits=100, block=100)
        assert all(tables.read(path) is not None for path in tmp_path.glob("*.parquet"))
        assert not list(tmp_path.glob(".*.part"))
    finally:
        subprocess.run(["umount", tmp_path])
    outcome("disk full", "error names the path, no partial shard")


@pytest.mark.parametrize("name", ["this process", "loky"])
def test_a_folder_that_is_moved_is_an_error_and_not_made_anew(tmp_path, monkeypatch, name):
    executor = None if name == "this process" else sweeping.loky()
    append = log.append

    def move_after_a_shard(folder, **entry):
        append(folder, **entry)
        if "shard" in entry:
            folder.rename(tmp_path / "new")

    monkeypatch.setattr(log, "append", move_after_a_shard)
    old = re.escape(str(tmp_path / "old"))
    words = f"must stay where it is while a sweep runs, got {old}, which was moved or removed"
    with pytest.raises(OSError, match=words):
        run(tmp_path / "old", executor=executor)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    before = stamps(tmp_path / "new")
    assert before and len(run(tmp_path / "new")) == 60 * 6
    assert before.items() <= stamps(tmp_path / "new").items()


def test_a_finished_sweep_in_a_folder_that_cannot_be_written_is_read(tmp_path):
    table = run(tmp_path, **SMALL)
    locked(tmp_path)
    assert in_a_child(lambda: as_nobody(lambda: run(tmp_path, **SMALL).equals(table))) is True
    assert "cannot write" in in_a_child(lambda: as_nobody(lambda: run(tmp_path)))


def locked(folder):
    """Let all read `folder`, and nobody write there."""
    for path in (folder, *folder.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o055)
    folder.chmod(0o555)


def as_nobody(work):
    if os.getuid() == 0:
        os.setuid(65534)
    return work()


def test_a_directory_that_cannot_be_written(tmp_path):
    run(tmp_path / "done", **SMALL)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)

    def as_nobody():
        if os.getuid() == 0:
            os.setuid(65534)
        assert len(collect(tmp_path / "done")) == 5 * 6
        return len(run(locked))

    assert f"cannot write {locked}" in in_a_child(as_nobody) and not list(locked.iterdir())
    outcome("read-only directory", "error names the path, nothing written, files can be read")
