"""Sweeps survive: every fault with real processes and real kills, then the same bytes. `-s` prints the table."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest

import lct_lab
from lct_lab import probes, sweeps, tables
from lct_lab.__main__ import main

GRID = dict(n=[40, 64], m=[32], init=["random", "shuffled"], inits=15, block=5, seed=3, progress=False)
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
    assert run(tmp_path / "seven", block=7).equals(table), "any blocks give the same table"
    assert set(run(tmp_path / "tied", tied=True, inits=5)["group"]) == {"a1", "a2", "a3", "a4", "w1"}


def test_driver_killed_after_any_number_of_shards(undisturbed, tmp_path):
    table, made = undisturbed
    for k in range(1, 11):
        directory = tmp_path / str(k)
        driver = multiprocessing.get_context("fork").Process(target=run, args=(directory,))
        driver.start()
        while driver.is_alive() and len(list(directory.glob("*.parquet")) if directory.exists() else ()) < k:
            time.sleep(0.001)
        os.kill(driver.pid, signal.SIGKILL)
        driver.join()
        before = {path: path.stat().st_mtime_ns for path in directory.glob("*.parquet")}
        assert run(directory).equals(table) and shards(directory) == made
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items()), "no finished shard recomputed"
        assert not list(directory.glob(".*.part"))
    outcome("driver killed after ten different k", "same bytes, nothing recomputed")


def test_a_damaged_shard_is_recomputed(tmp_path, capsys):
    small = dict(n=40, init="random", inits=10)
    table = run(tmp_path, **small)
    path = sorted(tmp_path.glob("*.parquet"))[1]
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    damages = [whole[:length] for length in rng.integers(0, len(whole), 20)]
    for place in rng.integers(0, len(whole), 10):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damages.append(bytes(flipped))
    caught = 0
    for damage in damages:
        path.write_bytes(damage)
        others = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.parquet") if p != path}
        assert run(tmp_path, **small).equals(table)
        assert all(p.stat().st_mtime_ns == stamp for p, stamp in others.items())
        recomputed = path.read_bytes() == whole
        caught += recomputed
        assert recomputed or len(damage) == len(whole), "truncation is always seen"
        path.write_bytes(whole)
    assert "is damaged" in capsys.readouterr().out
    outcome("20 truncations, 10 flipped bytes", f"{caught} recomputed, the rest read the same rows")


def test_worker_killed_in_a_pool(undisturbed, tmp_path):
    table, made = undisturbed
    for number, make in enumerate((loky_pool, spawn_pool)):
        directory, executor = tmp_path / str(number), make()
        victim = executor.submit(os.getpid).result()
        killer = subprocess.Popen([sys.executable, "-c", f"import time, os; time.sleep(0.3); os.kill({victim}, 9)"])
        with pytest.raises(RuntimeError, match="a worker died at or near the block .*call sweep again"):
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
    with distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            assert run(tmp_path / "calm", executor=client.get_executor()).equals(table)
            assert shards(tmp_path / "calm") == made
            pids = list(client.run(os.getpid).values())
            killer = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"import time, os; time.sleep(0.2); os.kill({pids[0]}, 9); time.sleep(0.3); os.kill({pids[1]}, 9)",
                ]
            )
            long = run(tmp_path / "killed", executor=client.get_executor(), inits=900, block=100)
            killer.wait()
    assert long.equals(run(tmp_path / "serial", inits=900, block=100))
    assert shards(tmp_path / "killed") == shards(tmp_path / "serial")
    outcome("dask workers killed, twice", "sweep completes, same bytes")


def test_two_drivers_at_once(undisturbed, tmp_path):
    table, made = undisturbed
    drivers = [multiprocessing.get_context("fork").Process(target=run, args=(tmp_path,)) for _ in range(2)]
    for driver in drivers:
        driver.start()
    live = tmp_path / f".living.parquet.{sweeps.socket.gethostname()}.{os.getpid()}.part"
    dead = tmp_path / f".dead.parquet.{sweeps.socket.gethostname()}.{2**22 - 7}.part"
    for driver in drivers:
        driver.join()
    assert [driver.exitcode for driver in drivers] == [0, 0] and shards(tmp_path) == made
    live.write_text("half")
    dead.write_text("half")
    run(tmp_path)
    assert live.exists() and not dead.exists(), "leftovers of dead drivers alone are removed"
    outcome("two drivers at once", "both finish, one set of shards")


def test_no_room_on_the_disk(tmp_path):
    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
        try:
            run(tmp_path, n=40, init="random", inits=5)
        except OSError as error:
            os._exit(0 if "cannot write the shard" in str(error) and str(tmp_path) in str(error) else 2)
        os._exit(1)

    driver = multiprocessing.get_context("fork").Process(target=limited)
    driver.start()
    driver.join()
    assert driver.exitcode == 0 and not list(tmp_path.glob("*.parquet")) and not list(tmp_path.glob(".*.parquet*"))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="file"):
        run(blocked)
    outcome("no room, no directory", "error names the path, no partial shard")


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
        RuntimeError, match=r'2 of 12 blocks failed(.|\n)*"n": 40, "m": 32(.|\n)*"seed": 3(.|\n)*not finite'
    ):
        run(tmp_path)
    assert len(shards(tmp_path)) == 10
    assert sweeps.status(tmp_path) == {"done": 10, "left": 2, "failed": 2, "damaged": 0}
    monkeypatch.undo()
    assert run(tmp_path).equals(table) and shards(tmp_path) == made
    outcome("a block that always fails", "the rest finishes, failures listed")


def test_workers_end_with_their_driver(tmp_path):
    code = f"""if True:
        import sys; sys.path.insert(0, {os.getcwd()!r})
        from loky import get_reusable_executor
        import lct_lab, os
        pool = get_reusable_executor(2)
        print(pool.submit(os.getpid).result(), flush=True)
        lct_lab.sweep(256, 256, inits=10**6, directory={str(tmp_path)!r}, executor=pool, progress=False)
    """
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = int(driver.stdout.readline())
    while not list(tmp_path.glob("*.parquet")):
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    end = time.time() + 8
    while alive(worker) and time.time() < end:
        time.sleep(0.1)
    assert not alive(worker)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_command_and_status(tmp_path, capsys):
    command = ["sweep", "--n", "40", "--m", "32", "64", "--inits", "6", "--block", "3", "--out", str(tmp_path / "x")]
    assert main(command) == 0 and "72 rows in" in capsys.readouterr().out
    assert main(["status", str(tmp_path / "x"), "--verify"]) == 0
    assert "4 done, 0 left, 0 failed, 0 damaged" in capsys.readouterr().out
    next((tmp_path / "x").glob("*.parquet")).write_bytes(b"half")
    assert main(["status", str(tmp_path / "x"), "--verify"]) == 1 and "1 damaged" in capsys.readouterr().out
    assert main(["sweep", "--n", "0", "--m", "4", "--out", str(tmp_path / "y")]) == 1
    assert "n must be at least 1, got 0" in capsys.readouterr().err
    assert main(["status", str(tmp_path)]) == 1 and "without plan.json" in capsys.readouterr().err


def test_tables_that_disagree_are_not_mixed(tmp_path):
    for name, code in (("one", "a"), ("two", "b")):
        table = pd.DataFrame({"init": [0]})
        table.attrs = {"code": code, "seed": 1}
        tables.write_raw(table, tmp_path / name)
    with pytest.raises(ValueError, match="two and .*one disagree on code: b and a"):
        tables.read(tmp_path / "one", tmp_path / "two")
    assert tables.read(tmp_path / "one", tmp_path / "one").attrs["seed"] == 1
