"""Which engine is faster where: times both on a grid, and fits the rules of `transform.costs`.

Three uses: `gradients`, which builds no graph; the loss of a model with its backward pass; and one
`analyze`. Prints a line per use, size, batch and dtype with both times in one run, and how much
slower "auto" is than the better one.
"""

import itertools
import time
from functools import partial

import numpy as np
import torch
from scipy.optimize import nnls

import lct_lab
from lct_lab import transform

SIZES = (
    (10, 10),
    (30, 100),
    (64, 64),
    (100, 100),
    (150, 150),
    (200, 200),
    (300, 300),
    (100, 1000),
    (1000, 100),
    (1000, 1000),
    (300, 4000),
    (4000, 300),
)
BATCHES = (1, 8, 64)
DTYPES = (torch.float64, torch.float32)


def uses(n, m, batch, dtype):
    """{use: {engine: a run}}"""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(batch, n, generator=draw, dtype=dtype) - 0.5
    w1, w2 = (torch.rand(m, generator=draw, dtype=dtype) * 3 for _ in range(2))
    ones = (1.0, 1.0, 1.0, 1.0)
    found = {"gradients": {}, "backward": {}, "analyze": {}}
    for engine in ("dense", "nufft"):
        model = lct_lab.LCT(n, m, engine=engine, dtype=dtype)
        found["gradients"][engine] = partial(lct_lab.gradients, x, *ones, w1, w2, engine=engine)
        found["backward"][engine] = lambda model=model: model.loss(x).backward()
        found["analyze"][engine] = partial(lct_lab.analyze, x, 1.0, 1.0, w1, engine=engine)
    return found


def timed(runs):
    """Median nanoseconds of {engine: run}, run in turns, the first two rounds left out."""
    times = {engine: [] for engine in runs}
    for _ in range(15):
        for engine, run in runs.items():
            start = time.perf_counter()
            run()
            times[engine].append(time.perf_counter() - start)
    return {engine: np.median(spent[2:]) * 1e9 for engine, spent in times.items()}


def measure():
    """Rows of (use, dtype, n, m, batch, dense ns, nufft ns, how much slower "auto" is)."""
    rows = []
    for (n, m), batch, dtype in itertools.product(SIZES, BATCHES, DTYPES):
        for use, runs in uses(n, m, batch, dtype).items():
            times = timed(runs)
            chosen = transform.choose_engine(n, m, batch, dtype, "cpu", graph=use != "gradients")
            loss = times[chosen] / min(times.values())
            rows.append((use, dtype, n, m, batch, times["dense"], times["nufft"], loss))
            dense, nufft = times["dense"] / 1e6, times["nufft"] / 1e6
            setting = f"{use:9} {n:5} x {m:5} batch {batch:3} {str(dtype)[6:]}"
            print(f"{setting}: dense {dense:7.3f}, nufft {nufft:7.3f} ms", end="")
            print(f"; auto is {chosen}, x {loss:.2f}")
    return rows


def fit(rows, use, dtype):
    """Print the coefficients, in ns, of the two cost rules that fit the rows best."""
    mine = [row[2:7] for row in rows if row[:2] == (use, dtype)]
    n, m, batch, dense, nufft = np.array(mine, dtype=float).T
    one = np.ones(len(mine))
    rules = {
        "dense: 1, nm, nm batch": (dense, [one, n * m, n * m * batch]),
        "nufft: 1, batch, batch (n + m)": (nufft, [one, batch, batch * (n + m)]),
    }
    for name, (times, columns) in rules.items():
        coefficients, _ = nnls(np.stack(columns, 1) / times[:, None], one)
        print(use, dtype, name, coefficients.round(2), "ns")


def main():
    torch.set_num_threads(1)
    rows = measure()
    for use, dtype in itertools.product(("gradients", "backward"), DTYPES):
        fit(rows, use, dtype)
    worst = {}
    for use, *_, loss in rows:
        worst[use] = max(worst.get(use, 0.0), round(float(loss), 2))
    print("auto over the better engine, at most:", worst)


if __name__ == "__main__":
    main()
