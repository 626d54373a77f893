"""What a sweep costs beyond its computing, and what a second process brings: ratios from one run.

python benchmarks/sweep.py        (part of `make bench`) prints the claims, writes bench-sweep.csv
"""

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import lct_lab
from lct_lab import probes, tables
from lct_lab.sweeps import blocks, shard_name

GRID = dict(
    n=[100, 1000, 10_000],
    m=[100, 1000, 10_000],
    init=["random", "shuffled"],
    inits=400,
    progress=False,
)
SETTINGS = dict(tied=False, seed=0, signal="uniform", batch=1, amplitudes=None, engine="auto")


def main():
    torch.set_num_threads(1)
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with tempfile.TemporaryDirectory() as folder, pool:
        folder = Path(folder)
        warm(folder, pool)
        rows = [*two_processes(folder, pool), *beside_the_probe(folder), *many_shards(folder)]
    tables.write(pd.DataFrame(rows), "bench-sweep")


def warm(folder, pool):
    """What is imported and drawn at first use, here and in the workers."""
    sizes = [100, 1000]
    swept(sizes, sizes, inits=400, directory=folder / "warm", executor=pool)
    swept(100, 100, inits=400, directory=folder / "warm one")


def two_processes(folder, pool):
    one = timed(swept, **GRID, directory=folder / "one")
    two = timed(swept, **GRID, directory=folder / "two", executor=pool)
    what = "default grid: two processes against one"
    yield claim(what, two, one, "s", one / two)


def beside_the_probe(folder):
    alone, whole = [], []
    for turn in range(9):  # in turns, so that both meet the same noise
        alone.append(timed(probed))
        whole.append(timed(swept, 1000, 1000, inits=1000, directory=folder / f"{turn}"))
    ours, theirs = np.median(whole), np.median(alone)
    what = "blocks of 100, N = M = 1000: sweep / probe, less one"
    yield claim(what, ours, theirs, "s", ours / theirs - 1)
    yield claim("one init, N = M = 1000", ours, np.nan, "ms", ours)
    share = next((folder / "0").glob("*.parquet")).stat().st_size / 100
    yield claim("one init's share of a shard of 100", share, np.nan, "bytes", share)


def many_shards(folder):
    directory = folder / "many"
    write_many(directory, 100_000)
    command = [sys.executable, "-m", "lct_lab", "status", directory]
    listed = timed(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
    yield claim("status of 100,000 shards, as a command", listed, np.nan, "s", listed)


def write_many(directory, count):
    """What `status` reads of `count` shards: the plan, the log, and as many files."""
    directory.mkdir()
    planned = blocks(1000, 1000, "random", 100 * count, 100, **SETTINGS)
    names = [shard_name(block) for block in planned]
    for name in names:
        (directory / name).write_bytes(b"x")
    (directory / "plan-0.json").write_text(json.dumps(names))
    entry = {"time": "2026-01-01T00:00:00", "seconds": 1.0, "bytes": 1}
    lines = [json.dumps({**entry, "shard": name}) + "\n" for name in names]
    (directory / "log.jsonl").write_text("".join(lines))


def swept(*sizes, **settings):
    return lct_lab.sweep(*sizes, **{"progress": False, **settings})


def probed():
    place = dict(init="random", dtype=torch.float64, device="cpu")
    for first in range(0, 1000, 100):
        pd.DataFrame(probes.probe_rows(1000, 1000, first, 100, **place, **SETTINGS))


def timed(function, *arguments, **options):
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def claim(what, ours, theirs, unit, figure):
    print(f"{what:72} {ours:9.4g} {theirs:9.4g} {unit:6} {figure:9.3g}", flush=True)
    return dict(what=what, ours=ours, theirs=theirs, unit=unit, figure=figure)


if __name__ == "__main__":
    main()
