"""Sweeps survive: faults with real processes and kills, then the same bytes (-s: a table)."""

import ast
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

import lct_lab
from lct_lab import probes, sweeps, tables
from lct_lab.sweeps import log, plan
from lct_lab.sweeps.command import main

GRID = dict(
    n=[40, 64], m=[32], init=["random", "shuffled"], inits=15, block=5, seed=3, progress=False
)
SPAWN = multiprocessing.get_context("spawn")


def run(directory, **change):
    return lct_lab.sweep(**{**GRID, **change}, directory=directory)


def shards(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.parquet"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    return run(directory), shards(directory)


def outcome(fault, text):
    print(f"\n| {fault} | {text} |", end="")


def test_the_table_is_probes(undisturbed, tmp_path):
    table, made = undisturbed
    assert len(made) == 12 and len(table) == 4 * 15 * 6
    for (n, start), part in table.groupby(["n", "start"]):
        alone = lct_lab.probe(int(n), 32, init=start, inits=15, seed=3)
        assert part[list(alone)].reset_index(drop=True).equals(alone)
    many = run(tmp_path / "seven", block=7, inits=210)
    assert many.equals(run(tmp_path / "hundred", block=100, inits=210)), (
        "any blocks give the same table"
    )
    assert {key: many.attrs[key] for key in ("seed", "signal", "batch")} == {
        "seed": 3,
        "signal": "uniform",
        "batch": 1,
    }
    assert many.attrs["versions"] == tables.provenance() and "first" not in many.attrs
    outcome("blocks of 7 or 100", "same combined table")
    assert set(run(tmp_path / "tied", tied=True, inits=5)["group"]) == {
        "a1",
        "a2",
        "a3",
        "a4",
        "w1",
    }


def test_driver_killed_after_any_number_of_shards(undisturbed, tmp_path):
    table, made = undisturbed
    for k in range(1, 11):
        directory = tmp_path / str(k)
        driver = multiprocessing.get_context("fork").Process(target=run, args=(directory,))
        driver.start()
        while (
            driver.is_alive()
            and len(list(directory.glob("*.parquet")) if directory.exists() else ()) < k
        ):
            time.sleep(0.001)
        os.kill(driver.pid, signal.SIGKILL)
        driver.join()
        before = {path: path.stat().st_mtime_ns for path in directory.glob("*.parquet")}
        assert run(directory).equals(table) and shards(directory) == made
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items()), (
            "no finished shard recomputed"
        )
        assert not list(directory.glob(".*.part"))
    outcome("driver killed after ten different k", "same bytes, nothing recomputed")


def test_a_damaged_shard_is_recomputed(tmp_path, capsys):
    small = dict(n=40, init="random", inits=10)
    table = run(tmp_path, **small)
    path = sorted(tmp_path.glob("*.parquet"))[1]
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    damages = [whole[:length] for length in rng.integers(0, len(whole), 20)]
    for place in rng.integers(0, len(whole), 40):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damages.append(bytes(flipped))
    for damage in damages:
        path.write_bytes(damage)
        others = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.parquet") if p != path}
        assert run(tmp_path, **small).equals(table)
        assert all(p.stat().st_mtime_ns == stamp for p, stamp in others.items())
        assert path.read_bytes() == whole
        assert f"{path} is damaged" in capsys.readouterr().err
    outcome(
        "20 truncations, 40 flipped bytes", "each detected and recomputed, nothing else touched"
    )


def test_a_whole_shard_of_another_block_is_damage(tmp_path):
    small = dict(n=40, init="random", inits=5)
    table = run(tmp_path, **small)
    run(tmp_path / "other", **small | {"seed": 9})
    (path,), (other,) = tmp_path.glob("*.parquet"), (tmp_path / "other").glob("*.parquet")
    whole = path.read_bytes()
    path.write_bytes(other.read_bytes())
    assert run(tmp_path, **small).equals(table) and path.read_bytes() == whole


def test_worker_killed_in_a_pool(undisturbed, tmp_path):
    table, made = undisturbed
    for number, make in enumerate((loky_pool, spawn_pool)):
        directory, executor = tmp_path / str(number), make()
        victim = executor.submit(os.getpid).result()
        killer = subprocess.Popen(
            [sys.executable, "-c", f"import time, os; time.sleep(0.3); os.kill({victim}, 9)"]
        )
        with pytest.raises(
            RuntimeError, match="a worker died at or near the block .*call sweep again"
        ):
            while True:
                run(directory, executor=executor, inits=900)
                killer.wait()
        executor.shutdown(wait=False)
        fresh = make()
        assert run(directory, executor=fresh).equals(table)
        assert {name: shards(directory)[name] for name in made} == made
        fresh.shutdown()
    outcome("worker of loky or a pool killed", "error names the block, resume completes")


def loky_pool():
    from loky import get_reusable_executor

    return get_reusable_executor(2, reuse=False)


def spawn_pool():
    return ProcessPoolExecutor(2, mp_context=SPAWN)


def test_dask_gives_the_same_bytes_and_survives_killed_workers(undisturbed, tmp_path):
    distributed = pytest.importorskip("distributed")
    table, made = undisturbed
    with distributed.LocalCluster(
        2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster) as client:
            assert run(tmp_path / "calm", executor=client.get_executor()).equals(table)
            assert shards(tmp_path / "calm") == made
            with spawn_pool() as pool:
                assert (
                    run(tmp_path / "two", executor=pool).equals(table)
                    and shards(tmp_path / "two") == made
                )
            outcome("serial, 2 processes, dask", "same bytes")
            pids, killed = list(client.run(os.getpid).values()), []

            def kill():  # each at work on a block, with blocks left to do
                for pid in pids:
                    while len(list((tmp_path / "killed").glob("*.parquet"))) < 2 + 3 * len(killed):
                        time.sleep(0.002)
                    os.kill(pid, signal.SIGKILL)
                    killed.append(len(list((tmp_path / "killed").glob("*.parquet"))))

            killer = threading.Thread(target=kill)
            killer.start()
            long = run(tmp_path / "killed", executor=client.get_executor(), inits=900, block=50)
            killer.join()
    assert max(killed) < 4 * 900 // 50, "both kills fell in mid-sweep"
    assert long.equals(run(tmp_path / "serial", inits=900, block=50))
    assert shards(tmp_path / "killed") == shards(tmp_path / "serial")
    outcome("dask workers killed in mid-task, twice", "sweep completes, same bytes")


INTERRUPTED = """if True:
    import sys, time; sys.path.insert(0, {root!r})
    from lct_lab import sweep
    def slow(executor):
        print("ready", flush=True)
        try:
            where = dict(directory={directory!r}, executor=executor, progress=False)
            sweep(60_000, 60_000, inits=400, block=100, **where)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    if __name__ == "__main__":
        {executor}
"""
EXECUTORS = {
    "this process": "slow(None)",
    "loky": "import loky; slow(loky.get_reusable_executor(2))",
    "processes": "import concurrent.futures as f, multiprocessing as m;"
    " slow(f.ProcessPoolExecutor(2, mp_context=m.get_context('spawn')))",
    "dask": "from distributed import Client, LocalCluster;"
    " slow(Client(LocalCluster(2, threads_per_worker=1, dashboard_address=None)).get_executor())",
}


@pytest.fixture
def started(tmp_path):
    """A driver in a process group of its own that is at work on blocks of half a minute."""
    running = []

    def start(name):
        code = INTERRUPTED.format(
            root=os.getcwd(), directory=str(tmp_path / "x"), executor=EXECUTORS[name]
        )
        (tmp_path / "driver.py").write_text(code)
        running.append(
            subprocess.Popen(
                [sys.executable, "driver.py"],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        )
        assert running[0].stdout.readline() == "ready\n"
        wait_until(lambda: list((tmp_path / "x").glob("plan-*.json")), 20)
        return running[0]

    yield start
    for process in running:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def wait_until(holds, seconds):
    end = time.time() + seconds
    while not holds():
        assert time.time() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_interrupt_ends_the_sweep(started, tmp_path, name):
    driver = started(name)
    time.sleep(2.5)  # for workers to be in the middle of a block
    os.killpg(driver.pid, signal.SIGINT)
    began = time.time()
    assert driver.stdout.readline() == "interrupted\n"
    spent = time.time() - began
    assert spent < 5, "a block takes half a minute"
    assert not list((tmp_path / "x").glob("*.parquet"))
    outcome(f"Ctrl-C, {name}", f"ended in {spent:.1f} s")


@pytest.mark.parametrize("name", ["loky", "processes"])
@pytest.mark.parametrize("moment", ["at the start", "in mid-task"])
def test_workers_end_with_their_driver(started, name, moment):
    driver = started(name)
    time.sleep(0.7 if moment == "at the start" else 3)
    group = [process for process in psutil.Process(driver.pid).children(recursive=True)]
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(group, 5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    outcome(f"driver killed {moment}, {name}", "workers gone within five seconds")


def test_two_drivers_at_once(undisturbed, tmp_path):
    table, made = undisturbed
    drivers = [
        multiprocessing.get_context("fork").Process(target=run, args=(tmp_path,)) for _ in range(2)
    ]
    for driver in drivers:
        driver.start()
    host = socket.gethostname()
    live = tmp_path / f".living.parquet.{host}.{os.getpid()}.part"
    dead = tmp_path / f".dead.parquet.{host}.{2**22 - 7}.part"
    for driver in drivers:
        driver.join()
    assert [driver.exitcode for driver in drivers] == [0, 0] and shards(tmp_path) == made
    live.write_text("half")
    dead.write_text("half")
    run(tmp_path)
    assert live.exists() and not dead.exists(), "leftovers of dead drivers alone are removed"
    outcome("two drivers at once", "both finish, one set of shards")


def in_a_child(work):
    """The sentence of the OSError that `work` raises in a process of its own."""
    reader, writer = multiprocessing.Pipe(duplex=False)

    def child():
        try:
            work()
            writer.send("no error")
        except OSError as error:
            writer.send(str(error))

    driver = multiprocessing.get_context("fork").Process(target=child)
    driver.start()
    driver.join()
    return reader.recv()


def test_no_room_on_the_disk(tmp_path):
    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
        run(tmp_path / "limited", n=40, init="random", inits=5)

    says = in_a_child(limited)
    assert f"cannot write {tmp_path / 'limited'}" in says and ".parquet" in says
    assert not [p for p in (tmp_path / "limited").iterdir() if p.suffix in (".parquet", ".part")]
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True
    ).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(OSError, match=f"cannot write {small}.*No space left"):
            run(small, inits=100, block=100)
        assert all(lct_lab.tables.read(path) is not None for path in small.glob("*.parquet"))
        assert not list(small.glob("*.part"))
    finally:
        subprocess.run(["umount", small])
    outcome("disk full", "error names the path, no partial shard")


def test_a_directory_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="file"):
        run(blocked)

    def as_nobody():
        if os.getuid() == 0:
            os.setuid(65534)
        run(locked)

    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    assert str(locked) in in_a_child(as_nobody) and not list(locked.iterdir())
    outcome("read-only directory", "error names the path, nothing written")


def test_a_task_that_always_fails_leaves_the_rest(undisturbed, tmp_path, monkeypatch):
    table, made = undisturbed
    rows = probes.probe_rows

    def sometimes(n, m, first, count, **settings):
        found = rows(n, m, first, count, **settings)
        if n == 40 and first == 10:
            found[0]["rms"] = float("inf")
        return found

    monkeypatch.setattr(probes, "probe_rows", sometimes)
    with pytest.raises(
        RuntimeError,
        match=r'2 of 12 blocks failed(.|\n)*"n": 40, "m": 32(.|\n)*"seed": 3(.|\n)*not finite',
    ):
        run(tmp_path)
    assert len(shards(tmp_path)) == 10
    found = sweeps.status(tmp_path)
    assert {state: len(names) for state, names in found.items()} == {
        "done": 10,
        "left": 0,
        "failed": 2,
        "damaged": 0,
    }
    assert all(
        name.startswith(("40x32-random-00000010", "40x32-shuffled-00000010"))
        for name in found["failed"]
    )
    monkeypatch.undo()
    assert run(tmp_path).equals(table) and shards(tmp_path) == made
    outcome("a block that always fails", "the rest finishes, failures listed")


def test_the_command_and_status(tmp_path, capsys):
    command = [
        "sweep",
        "--n",
        "40",
        "--m",
        "32",
        "64",
        "--inits",
        "6",
        "--block",
        "3",
        "--out",
        str(tmp_path / "x"),
    ]
    assert main(command) == 0 and "72 rows in" in capsys.readouterr().out
    assert main(["status", str(tmp_path / "x"), "--verify"]) == 0
    assert "4 done, 0 left, 0 failed, 0 damaged" in capsys.readouterr().out
    one, other = sorted((tmp_path / "x").glob("*.parquet"))[:2]
    one.write_bytes(b"half")
    flipped = bytearray(other.read_bytes())
    flipped[99] ^= 1
    other.write_bytes(flipped)
    assert main(["status", str(tmp_path / "x")]) == 1
    said = capsys.readouterr().out
    assert (
        said.splitlines()[0] == "3 done, 0 left, 0 failed, 1 damaged"
        and f"damaged: {one.name}" in said
    )
    assert main(["status", str(tmp_path / "x"), "--verify"]) == 1
    said = capsys.readouterr().out
    assert (
        "2 done, 0 left, 0 failed, 2 damaged" in said
        and f"  40x32-random: 2 damaged\n  damaged: {one.name}" in said
    )
    assert main(command) == 0 and main(["status", str(tmp_path / "x"), "--verify"]) == 0
    capsys.readouterr()
    assert main(["sweep", "--n", "0", "--m", "4", "--out", str(tmp_path / "y")]) == 1
    assert (
        "n must be at least 1, got 0" in capsys.readouterr().err and not (tmp_path / "y").exists()
    )
    assert (
        main(["sweep", "--n", "4", "--m", "4", "--workers", "0", "--out", str(tmp_path / "y")]) == 1
    )
    assert "--workers must be at least 1, got 0" in capsys.readouterr().err
    assert main(["status", str(tmp_path)]) == 1 and "without a plan" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change, words",
    [
        ({"n": []}, "n must have at least one entry"),
        ({"init": ["sorted"]}, "init must be one of"),
        ({"m": [4, 0]}, "m must be at least 1, got 0"),
        ({"block": 0}, "block must be at least 1"),
        ({"executor": 3}, "executor must be a concurrent.futures.Executor or None, got 3"),
        ({"signal": "ecg", "n": 2000}, "n must be between 2 and 1024"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path, change, words):
    with pytest.raises((ValueError, TypeError), match=words):
        run(tmp_path / "x", **change)
    assert not (tmp_path / "x").exists()


def test_numbers_of_numpy_and_repeated_sizes_are_as_good(undisturbed, tmp_path):
    table, made = undisturbed
    given = dict(n=np.array([40, 64, 40]), m=np.int64(32), batch=np.int64(1), tied=np.bool_(False))
    assert run(tmp_path, **given).equals(table) and shards(tmp_path) == made


def test_threads_share_a_sweep_and_leave_torch_as_it_was(undisturbed, tmp_path):
    table, made = undisturbed
    torch.set_num_threads(2)
    with ThreadPoolExecutor(2) as pool:
        assert run(tmp_path, executor=pool).equals(table) and shards(tmp_path) == made
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    log.commit.cache_clear()
    run(tmp_path, n=40, init="random", inits=5)
    assert '"commit": "unknown"' in (tmp_path / "log.jsonl").read_text()


def test_drivers_of_different_sweeps_in_one_directory_keep_both_plans(tmp_path):
    for n in (40, 48):
        run(tmp_path, n=n, init="random", inits=5)
    assert len(sweeps.status(tmp_path)["done"]) == 2
    next(tmp_path.glob("plan-*.json")).write_text("[")
    with pytest.raises(ValueError, match="plan-.*json is damaged"):
        sweeps.status(tmp_path)


def imported(path):
    """The files of the package that `path` imports, at the top or inside its functions."""
    package = Path(lct_lab.__file__).parent
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("lct_lab"):
            names = [f"{node.module}.{name.name}" for name in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            names = []
        for name in names:
            file = package.parent / (name.replace(".", "/") + ".py")
            if package in file.parents and file.is_file():
                yield file


def test_a_shards_name_covers_all_the_code_that_its_content_depends_on():
    package = Path(lct_lab.__file__).parent
    found, waiting = set(), [package / "sweeps" / "shards.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(imported(path))
    assert {str(path.relative_to(package)) for path in found} == set(plan.CODE)


def test_tables_that_disagree_are_not_mixed(tmp_path):
    for name, code in (("one", "a"), ("two", "b")):
        table = pd.DataFrame({"init": [0]})
        table.attrs = {"code": code, "seed": 1}
        tables.write_raw(table, tmp_path / name)
    with pytest.raises(ValueError, match="two and .*one disagree on code: b and a"):
        tables.read(tmp_path / "one", tmp_path / "two")
    assert tables.read(tmp_path / "one", tmp_path / "one").attrs["seed"] == 1
    for key in ("seed", "signal", "batch"):
        table.attrs = {"code": "a", "seed": 1, key: 2}
        tables.write_raw(table, tmp_path / "three")
        with pytest.raises(ValueError, match=f"disagree on {key}"):
            tables.read(tmp_path / "one", tmp_path / "three")
    with pytest.raises(ValueError, match="paths must name at least one file"):
        tables.read()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tables.read(tmp_path / "nowhere")
