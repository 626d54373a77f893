"""What a sweep costs beyond its computing, and what a second process brings: ratios from one run."""

import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

import lct_lab
from lct_lab import probes, sweeps

GRID = dict(n=[100, 1000, 10_000], m=[100, 1000, 10_000], init=["random", "shuffled"], inits=400, progress=False)


def timed(function, *arguments, **options):
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        folder = Path(folder)
        list(pool.map(abs, range(8)))
        lct_lab.sweep(100, 100, inits=400, directory=folder / "warm", executor=pool, progress=False)
        one = timed(lct_lab.sweep, **GRID, directory=folder / "one")
        two = timed(lct_lab.sweep, **GRID, directory=folder / "two", executor=pool)
        print(f"default grid: one process {one:.1f} s, two {two:.1f} s, ratio {one / two:.2f} (aim: 1.6)")
        settings = dict(init="random", tied=False, amplitudes=None, signal="uniform", batch=1, seed=0, engine="auto",
                        dtype=torch.float64, device="cpu")  # fmt: skip
        bare = sum(timed(probes.probe_rows, 1000, 1000, first, 100, **settings) for first in range(0, 1000, 100))
        swept = timed(lct_lab.sweep, 1000, 1000, inits=1000, directory=folder / "blocks", progress=False)
        over = swept / bare - 1
        print(f"blocks of 100 at N = M = 1000: probe {bare:.2f} s, sweep {swept:.2f} s, {over:.1%} over (aim: 5 %)")
        many = folder / "many"
        many.mkdir()
        names = [f"{index}.parquet" for index in range(100_000)]
        for name in names:
            (many / name).write_bytes(b"x")
        (many / "plan.json").write_text(json.dumps(names))
        (many / "log.jsonl").write_text("")
        print(f"status of 100,000 shards: {timed(sweeps.status, many):.2f} s (aim: 2)")


if __name__ == "__main__":
    main()
