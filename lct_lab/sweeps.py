"""Sweeps over sizes, starts and seeds that survive: one parquet shard a block of inits, written whole or not at all."""

import hashlib
import itertools
import json
import os
import socket
import threading
import time
from functools import cache, partial
from pathlib import Path

from lct_lab import probes, tables
from lct_lab.checks import require_size

CODE = ("checks", "init", "nufft", "probes", "signals", "transform")  # what determines a shard's content


def sweep(n, m, *, init="random", tied=False, inits=100, seed=0, directory, executor=None, progress=True, block=100,
          signal="uniform", batch=1, amplitudes=None, engine="auto"):  # fmt: skip
    """`probe` over the product of the lists n, m and init: one DataFrame, with columns n, m, start beside probe's.

    Each block of `block` inits is one shard in `directory`, named by a hash of all that determines its content
    (parameters, code of the probe, versions) and written under a temporary name, synced and renamed. Shards that are
    there and whole are read, not recomputed; damaged ones are reported and replaced. So a sweep that was killed,
    at any moment, goes on where it stopped when it is called again, and gives the same bytes.

    executor : None (this process) or any concurrent.futures.Executor: loky's, a ProcessPoolExecutor with the spawn
    method, `dask.distributed.Client(…).get_executor()`, mpi4py.futures; every task computes on one thread.
    progress : a bar. Other arguments as in `probe`, whose seeds make a row the same in any block, order or process.

    Blocks that fail do not stop the rest; a RuntimeError lists them, with parameters and seed, at the end. Durations,
    commit and damage are logged in `directory`/log.jsonl. Raises ValueError or TypeError naming an argument, OSError
    naming the path where the directory cannot be written.
    """
    import pandas as pd

    settings = {"tied": tied, "seed": require_size("seed", seed, 0), "signal": signal, "batch": batch,
                "amplitudes": amplitudes, "engine": engine}  # fmt: skip
    inits, block = require_size("inits", inits), require_size("block", block)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(directory)
    tasks = []
    for one_n, one_m, start in itertools.product(*(v if isinstance(v, list | tuple) else [v] for v in (n, m, init))):
        probes.require_settings(one_n, one_m, start, **settings)
        for first in range(0, inits, block):
            tasks.append(
                {"n": one_n, "m": one_m, "init": start, "first": first, "count": min(block, inits - first), **settings}
            )
    _write_plan(directory, tasks)
    missing = [task for task in tasks if not _valid(directory / shard_name(task), directory)]
    failures = _run(missing, directory, executor, progress, len(tasks))
    if failures:
        listed = "\n".join(f"  {json.dumps(_described(task))}: {error}" for task, error in failures)
        raise RuntimeError(f"{len(failures)} of {len(tasks)} blocks failed, the others are in {directory}:\n{listed}")
    return pd.concat([tables.read(directory / shard_name(task)) for task in tasks], ignore_index=True)


def shard_name(task):
    """n, m, start and first init in clear, and the hash of all that determines the content."""
    text = json.dumps({**_described(task), "code": code_hash(), "versions": tables.provenance()}, sort_keys=True)
    kind = f"{task['init']}-tied" if task["tied"] else task["init"]
    return (
        f"{task['n']}x{task['m']}-{kind}-{task['first']:08d}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"
    )


@cache
def code_hash():
    folder = Path(__file__).parent
    return hashlib.sha256(b"\0".join((folder / f"{name}.py").read_bytes() for name in CODE)).hexdigest()[:16]


def _described(task):
    import numpy as np

    signal = task["signal"]
    if not isinstance(signal, str):
        signal = hashlib.sha256(np.ascontiguousarray(signal, dtype=float).tobytes()).hexdigest()[:16]
    amplitudes = task["amplitudes"]
    return {**task, "signal": signal, "amplitudes": None if amplitudes is None else [float(a) for a in amplitudes]}


def compute(task, directory):
    """One block, from parameters to a renamed shard; the task that an executor runs. Returns its seconds."""
    import numpy as np
    import pandas as pd
    import torch

    began, threads = time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        settings = {key: task[key] for key in ("init", "tied", "amplitudes", "signal", "batch", "seed", "engine")}
        rows = probes.probe_rows(
            task["n"], task["m"], task["first"], task["count"], dtype=torch.float64, device="cpu", **settings
        )
    finally:
        torch.set_num_threads(threads)
    table = pd.DataFrame(rows)
    if not np.isfinite(table.select_dtypes("number").to_numpy()).all():
        raise FloatingPointError("a gradient is not finite")
    table.insert(0, "n", task["n"])
    table.insert(1, "m", task["m"])
    table.insert(2, "start", f"{task['init']}, tied" if task["tied"] else task["init"])
    table.attrs = {**_described(task), "dtype": "float64", "code": code_hash()}
    path = Path(directory) / shard_name(task)
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        tables.write_raw(table, path, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(f"cannot write the shard {path}: {error}") from error
    return time.perf_counter() - began


def _task(task, directory):
    """`compute` in a worker, which ends soon after the process that started it."""
    if not any(thread.name == "lct_lab parent" for thread in threading.enumerate()):
        threading.Thread(target=_outlive_no_parent, args=(os.getppid(),), name="lct_lab parent", daemon=True).start()
    return compute(task, directory)


def _outlive_no_parent(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run(missing, directory, executor, progress, total):
    """Compute what is missing; the failures as (task, error)."""
    from concurrent.futures import BrokenExecutor, as_completed

    from tqdm.auto import tqdm

    failures, futures = [], {}
    with tqdm(total=total, initial=total - len(missing), unit="block", disable=not progress) as bar:
        try:
            for task in missing:
                if executor is None:
                    failures += _settle(task, directory, partial(compute, task, directory), bar)
                else:
                    futures[executor.submit(_task, task, str(directory))] = task
            for future in as_completed(futures):
                task = futures[future]
                failures += _settle(task, directory, future.result, bar)
        except BrokenExecutor as error:
            described = json.dumps(_described(task))
            raise RuntimeError(f"a worker died at or near the block {described}; call sweep again to go on") from error
        finally:
            for future in futures:
                future.cancel()
    return failures


def _settle(task, directory, result, bar):
    from concurrent.futures import BrokenExecutor

    try:
        seconds = result()
    except (BrokenExecutor, OSError):
        raise
    except Exception as error:
        _log(directory, {"failed": _described(task), "error": str(error)})
        return [(task, f"{type(error).__name__}: {error}")]
    _log(directory, {"shard": shard_name(task), "seconds": round(seconds, 4)})
    bar.update()
    return []


def _valid(path, directory):
    if not path.exists():
        return False
    try:
        tables.read(path)
    except ValueError as error:
        print(error)
        _log(directory, {"damaged": path.name})
        return False
    return True


def _log(directory, entry):
    with (directory / "log.jsonl").open("a") as file:
        file.write(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry}) + "\n")


def _write_plan(directory, tasks):
    """The names a finished sweep has, for `status`; and the commit, in the log."""
    import subprocess

    plan = directory / "plan.json"
    known = set(json.loads(plan.read_text())) if plan.exists() else set()
    part = directory / f".plan.{socket.gethostname()}.{os.getpid()}.part"
    part.write_text(json.dumps(sorted(known | {shard_name(task) for task in tasks})))
    os.replace(part, plan)
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    _log(directory, {"sweep": len(tasks), "commit": git.stdout.strip() or "unknown"})


def _clear_leftovers(directory):
    """Remove the unfinished files of drivers and workers of this host that are dead; those of the living stay."""
    for part in directory.glob(f".*.{socket.gethostname()}.*.part"):
        try:
            os.kill(int(part.name.split(".")[-2]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except PermissionError:
            pass


def status(directory, verify=False):
    """{done, left, failed, damaged}: how many planned shards exist, are missing, failed last, or do not read."""
    directory = Path(directory)
    if not (directory / "plan.json").exists():
        raise ValueError(f"directory must hold a sweep, got {directory} without plan.json")
    planned, there = (
        set(json.loads((directory / "plan.json").read_text())),
        {entry.name: entry for entry in os.scandir(directory)},
    )
    done = {name for name in planned if name in there and there[name].stat().st_size > 0}
    damaged = 0
    if verify:
        for name in done:
            try:
                tables.read(directory / name)
            except ValueError:
                damaged += 1
    failed = [line for line in (directory / "log.jsonl").read_text().splitlines() if '"failed"' in line]
    return {
        "done": len(done),
        "left": len(planned) - len(done),
        "failed": len(failed) if len(planned) > len(done) else 0,
        "damaged": damaged,
    }
