"""Sweeps over sizes, starts and seeds that survive: one parquet shard a block of inits, written whole or not at all."""

import hashlib
import itertools
import json
import os
import socket
import sys
import threading
import time
from functools import cache, partial
from pathlib import Path

from lct_lab import tables
from lct_lab.checks import require_size

CODE = (
    "checks",
    "init",
    "nufft",
    "probes",
    "signals",
    "sweeps",
    "tables",
    "transform",
)  # what determines a shard


def sweep(
    n,
    m,
    *,
    init="random",
    tied=False,
    inits=100,
    seed=0,
    directory,
    executor=None,
    progress=True,
    block=100,
    signal="uniform",
    batch=1,
    amplitudes=None,
    engine="auto",
):
    """`probe` over the product of the lists n, m and init: one DataFrame, with columns n, m, start beside probe's.

    Each block of `block` inits is one shard in `directory`, named by a hash of all that determines its content
    (parameters, code of the probe, versions) and renamed when it is written. Shards that are there and whole are read,
    not recomputed; damaged ones are reported and replaced. So a sweep that was killed, at any moment, goes on where it
    stopped when it is called again, and gives the same bytes.

    executor : None (this process) or any concurrent.futures.Executor: loky's, a ProcessPoolExecutor with the spawn
    method, `dask.distributed.Client(…).get_executor()`, mpi4py.futures; every task computes on one thread.
    progress : a bar. Other arguments as in `probe`, whose seeds make a row the same in any block, order or process.

    Blocks that fail do not stop the rest; a RuntimeError lists them, with parameters and seed, at the end. An
    interrupt ends a pool's workers at once and keeps the finished shards. Durations, commit and damage are logged in
    `directory`/log.jsonl. `attrs` of the result holds what all rows share, versions included. Raises ValueError or
    TypeError naming an argument before anything is written, OSError naming the path that cannot be.
    """
    tasks = _tasks(
        n,
        m,
        init,
        inits,
        block,
        dict(
            tied=tied, seed=seed, signal=signal, batch=batch, amplitudes=amplitudes, engine=engine
        ),
    )
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(f"executor must be a concurrent.futures.Executor or None, got {executor!r}")
    try:
        directory = Path(directory)
    except TypeError:
        raise TypeError(f"directory must be a path, got {directory!r}") from None
    directory.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(directory)
    names = [shard_name(task) for task in tasks]
    _write_plan(directory, names)
    made, failures = _run(tasks, directory, executor, progress)
    if failures:
        listed = "\n".join(f"  {json.dumps(_described(task))}: {error}" for task, error in failures)
        raise RuntimeError(
            f"{len(failures)} of {len(tasks)} blocks failed, the others are in {directory}:\n{listed}"
        )
    return tables.joined([made[name] for name in names], names)


def _tasks(n, m, init, inits, block, settings):
    """One dict a block: all that determines its content."""
    from lct_lab import probes

    lists = {
        name: list(
            dict.fromkeys(
                [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
            )
        )
        for name, value in (("n", n), ("m", m), ("init", init))
    }
    for name, values in lists.items():
        if not values:
            raise ValueError(f"{name} must have at least one entry, got none")
    inits, block, tasks = require_size("inits", inits), require_size("block", block), []
    for one_n, one_m, start in itertools.product(*lists.values()):
        probes.require_settings(one_n, one_m, start, **settings)
        for first in range(0, inits, block):
            numbers = {
                "n": int(one_n),
                "m": int(one_m),
                "seed": int(settings["seed"]),
                "batch": int(settings["batch"]),
            }
            place = {
                "init": start,
                "tied": bool(settings["tied"]),
                "first": first,
                "count": min(block, inits - first),
            }
            tasks.append({**settings, **numbers, **place})
    return tasks


def shard_name(task):
    """n, m, start and first init in clear, and the hash of all that determines the content."""
    text = json.dumps(
        {**_described(task), "code": code_hash(), "versions": tables.provenance()}, sort_keys=True
    )
    kind = f"{task['init']}-tied" if task["tied"] else task["init"]
    return f"{task['n']}x{task['m']}-{kind}-{task['first']:08d}-{_digest(text.encode())}.parquet"


@cache
def code_hash():
    folder = Path(__file__).parent
    return _digest(b"\0".join((folder / f"{name}.py").read_bytes() for name in CODE))


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def _described(task):
    """The task in JSON: arrays and recordings by the hash of their samples."""
    from lct_lab import signals

    signal, amplitudes = task["signal"], task["amplitudes"]
    if not isinstance(signal, str):
        signal = _hash_of(signal)
    elif signal in signals.RECORDINGS:
        signal = f"{signal} {_hash_of(signals.recording(signal))}"
    return {
        **task,
        "signal": signal,
        "amplitudes": None if amplitudes is None else [float(a) for a in amplitudes],
    }


def _hash_of(samples):
    import numpy as np

    return _digest(np.ascontiguousarray(samples, dtype=float).tobytes())


def compute(task, directory):
    """One block, from parameters to a renamed shard; the task that an executor runs. Returns its rows and seconds.

    The shard is not forced to the disk, which takes longer than a block: what a power failure garbles is found by its
    content and computed again.
    """
    import numpy as np
    import pandas as pd
    import torch

    from lct_lab import probes

    began = time.perf_counter()
    place = {
        "n": task["n"],
        "m": task["m"],
        "start": f"{task['init']}, tied" if task["tied"] else task["init"],
    }
    table = pd.DataFrame(
        [place | row for row in probes.probe_rows(**task, dtype=torch.float64, device="cpu")]
    )
    if not all(np.isfinite(table[column].to_numpy()).all() for column in ("rms", "loss")):
        raise FloatingPointError("a gradient is not finite")
    table.attrs = {**_described(task), "dtype": "float64", "code": code_hash()}
    path = Path(directory) / shard_name(task)
    table = _written(path, lambda part: tables.write_raw(table, path, part))
    return table, time.perf_counter() - began


def _written(path, write):
    """`write(part)` under a temporary name of this process; an OSError names `path` and leaves nothing behind."""
    part = path.with_name(
        f".{path.name}.{socket.gethostname()}.{os.getpid()}-{threading.get_ident()}.part"
    )
    try:
        return write(part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}: {error}") from error


def _task(task, directory, driver):
    """`compute` in a worker, on one thread; the worker of a pool ends soon after `driver`, its parent."""
    import torch

    torch.set_num_threads(1)
    watched = any(thread.name == "lct_lab driver" for thread in threading.enumerate())
    if driver is not None and not watched:
        threading.Thread(
            target=_outlive_no_driver, args=(driver,), name="lct_lab driver", daemon=True
        ).start()
    return compute(task, directory)


def _outlive_no_driver(driver):
    while os.getppid() == driver:
        time.sleep(1)
    os._exit(1)


def _run(tasks, directory, executor, progress):
    """The rows of each task by the name of its shard, read or computed; and the failures as (task, error)."""
    from concurrent.futures import BrokenExecutor, as_completed

    import torch
    from tqdm.auto import tqdm

    made, failures, futures, threads = {}, [], {}, torch.get_num_threads()
    driver = (
        os.getpid() if hasattr(executor, "_processes") else None
    )  # a pool's workers are this process's children
    with tqdm(total=len(tasks), unit="block", disable=not progress) as bar:
        settle = partial(_settle, directory=directory, bar=bar, made=made, failures=failures)
        try:
            torch.set_num_threads(1)
            for task in tasks:
                if (table := _whole(task, directory)) is not None:
                    made[shard_name(task)] = table
                    bar.update()
                elif executor is None:
                    settle(task, partial(compute, task, directory))
                else:
                    futures[executor.submit(_task, task, str(directory), driver)] = task
            for future in as_completed(futures):
                settle(task := futures[future], future.result)
        except BrokenExecutor as error:
            described = json.dumps(_described(task))
            raise RuntimeError(
                f"a worker died at or near the block {described}; call sweep again to go on"
            ) from error
        except KeyboardInterrupt:
            for process in list((getattr(executor, "_processes", None) or {}).values()):
                process.terminate()
            raise
        finally:
            torch.set_num_threads(threads)
            for future in futures:
                future.cancel()
    return made, failures


def _settle(task, result, directory, bar, made, failures):
    from concurrent.futures import BrokenExecutor

    name = shard_name(task)
    try:
        made[name], seconds = result()
    except (BrokenExecutor, OSError):
        raise
    except Exception as error:
        _log(directory, {"shard": name, "failed": _described(task), "error": str(error)})
        failures.append((task, f"{type(error).__name__}: {error}"))
    else:
        _log(
            directory,
            {
                "shard": name,
                "seconds": round(seconds, 4),
                "bytes": (directory / name).stat().st_size,
            },
        )
        bar.update()


def _whole(task, directory):
    """The rows of a task's shard where it is there, undamaged and this task's; else None, and damage is reported."""
    path = directory / shard_name(task)
    if not path.exists():
        return None
    try:
        table = tables.read(path)
        if any(table.attrs.get(key) != value for key, value in _described(task).items()):
            raise ValueError(f"{path} is damaged: it holds another block")
    except ValueError as error:
        print(error, file=sys.stderr)
        _log(directory, {"damaged": path.name})
        return None
    return table


def _log(directory, entry):
    path, line = (
        directory / "log.jsonl",
        json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry}),
    )
    try:
        with path.open("a") as file:
            file.write(line + "\n")
    except OSError as error:
        raise OSError(f"cannot write {path}: {error}") from error


def _write_plan(directory, names):
    """The names a finished sweep has, for `status`, in a file of this sweep's; and the commit, in the log."""
    text = json.dumps(names)
    plan = directory / f"plan-{_digest(text.encode())}.json"
    if not plan.exists():
        _written(plan, lambda part: (part.write_text(text), part.replace(plan)))
    _log(directory, {"sweep": len(names), "commit": _commit()})


@cache
def _commit():
    """The commit, and whether there are changes, of the code this process began with; unknown without git."""
    import subprocess

    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parent
        ).stdout.strip()
    except OSError:
        found = ""
    return found or "unknown"


def _clear_leftovers(directory):
    """Remove the unfinished files of drivers and workers of this host that are dead; those of the living stay."""
    for part in directory.glob(f".*.{socket.gethostname()}.*.part"):
        try:
            os.kill(int(part.name.split(".")[-2].partition("-")[0]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except (PermissionError, ValueError):
            pass


def status(directory, verify=False):
    """{"done", "left", "failed", "damaged"}: the names of planned shards, each in one list; they tell size and start.

    Failed are those left whose last try failed; damaged those that have another length than they were written with
    or, with `verify`, other content. Raises ValueError where there is no sweep.
    """
    directory = Path(directory)
    plans = sorted(directory.glob("plan-*.json"))
    if not plans:
        raise ValueError(f"directory must hold a sweep, got {directory} without a plan")
    with os.scandir(directory) as entries:
        sizes = {
            entry.name: entry.stat().st_size for entry in entries if entry.name.endswith(".parquet")
        }
    written, failed, log = {}, set(), directory / "log.jsonl"
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a driver that was killed
            continue
        if "bytes" in entry:
            written[entry["shard"]] = entry["bytes"]
        change = failed.add if "failed" in entry else failed.discard
        change(entry.get("shard"))
    found = {"done": [], "left": [], "failed": [], "damaged": []}
    for name in dict.fromkeys(name for plan in plans for name in _plan(plan)):
        if name not in sizes:
            found["failed" if name in failed else "left"].append(name)
        elif sizes[name] != written.get(name, sizes[name]) or (
            verify and not _reads(directory / name)
        ):
            found["damaged"].append(name)
        else:
            found["done"].append(name)
    return found


def _plan(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _reads(path):
    try:
        tables.read(path)
    except ValueError:
        return False
    return True
