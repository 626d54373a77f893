"""What a sweep costs beyond its computing, and what a second process brings: ratios from one run.

python benchmarks/sweep.py        (part of `make bench`) prints the claims and writes data/bench-sweep.csv
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
from lct_lab import probes, sweeps, tables

GRID = dict(
    n=[100, 1000, 10_000],
    m=[100, 1000, 10_000],
    init=["random", "shuffled"],
    inits=400,
    progress=False,
)
SETTINGS = dict(
    init="random", tied=False, amplitudes=None, signal="uniform", batch=1, seed=0, engine="auto"
)


def timed(function, *arguments, **options):
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def bare():
    for first in range(0, 1000, 100):
        pd.DataFrame(
            probes.probe_rows(1000, 1000, first, 100, dtype=torch.float64, device="cpu", **SETTINGS)
        )


def write_many(folder, count):
    """What `status` reads of `count` shards: the plan, the log, and as many files."""
    folder.mkdir()
    task = {**SETTINGS, "n": 1000, "m": 1000, "count": 100}
    names = [sweeps.shard_name({**task, "first": 100 * index}) for index in range(count)]
    for name in names:
        (folder / name).write_bytes(b"x")
    (folder / "plan-0.json").write_text(json.dumps(names))
    entry = {"time": "2026-01-01T00:00:00", "seconds": 1.0, "bytes": 1}
    (folder / "log.jsonl").write_text(
        "".join(json.dumps({**entry, "shard": name}) + "\n" for name in names)
    )


def main():
    torch.set_num_threads(1)
    rows = []

    def claim(what, ours, theirs, unit, figure, target):
        rows.append(
            {
                "what": what,
                "ours": ours,
                "theirs": theirs,
                "unit": unit,
                "figure": figure,
                "target": target,
            }
        )
        print(f"{what:72} {ours:9.4g} {theirs:9.4g} {unit:6} {figure:9.3g}  {target}", flush=True)

    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
    ):
        folder = Path(folder)
        lct_lab.sweep(
            [100, 1000],
            [100, 1000],
            inits=400,
            directory=folder / "warm",
            executor=pool,
            progress=False,
        )
        lct_lab.sweep(100, 100, inits=400, directory=folder / "warm one", progress=False)
        one = timed(lct_lab.sweep, **GRID, directory=folder / "one")
        two = timed(lct_lab.sweep, **GRID, directory=folder / "two", executor=pool)
        claim("default grid: two processes against one", two, one, "s", one / two, ">= 1.6")
        alone, swept = [], []
        for turn in range(9):  # in turns, so that both meet the same noise
            alone.append(timed(bare))
            swept.append(
                timed(
                    lct_lab.sweep,
                    1000,
                    1000,
                    inits=1000,
                    directory=folder / f"{turn}",
                    progress=False,
                )
            )
        ours, theirs = np.median(swept), np.median(alone)
        claim(
            "blocks of 100, N = M = 1000: sweep / probe, less one",
            ours,
            theirs,
            "s",
            ours / theirs - 1,
            "<= 0.05",
        )
        claim("one init, N = M = 1000", ours, 1, "ms", ours, "")
        shard = next((folder / "0").glob("*.parquet")).stat().st_size
        claim("one init's share of a shard of 100", shard / 100, 1, "bytes", shard / 100, "")
        write_many(folder / "many", 100_000)
        command = [sys.executable, "-m", "lct_lab", "status", folder / "many"]
        listed = timed(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
        claim("status of 100,000 shards, as a command", listed, 2, "s", listed, "<= 2")
    tables.write(pd.DataFrame(rows), "bench-sweep")


if __name__ == "__main__":
    main()
