"""Which engine is faster where: times both on a grid, fits the cost rule of `transform.costs`, and checks it.

Prints a line per size, batch and dtype with both times in one run, and how much slower "auto" is than the better one.
"""

import itertools
import time

import numpy as np
import torch
from scipy.optimize import nnls

import lct_lab
from lct_lab import transform

torch.set_num_threads(1)
SIZES = (
    (10, 10),
    (30, 100),
    (100, 30),
    (100, 100),
    (200, 200),
    (300, 300),
    (100, 1000),
    (1000, 100),
    (1000, 1000),
    (300, 4000),
    (4000, 300),
    (2000, 2000),
)
rows, worst = [], 0.0
for (n, m), batch, dtype in itertools.product(SIZES, (1, 8, 64), (torch.float64, torch.float32)):
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(batch, n, generator=draw, dtype=dtype) - 0.5
    w1, w2 = (torch.rand(m, generator=draw, dtype=dtype) * 3 for _ in range(2))
    times = {"dense": [], "nufft": []}
    for _ in range(9):
        for engine, spent in times.items():
            start = time.perf_counter()
            lct_lab.gradients(x, 1.0, 1.0, 1.0, 1.0, w1, w2, engine=engine)
            spent.append(time.perf_counter() - start)
    dense, nufft = (np.median(times[engine][1:]) * 1e9 for engine in times)
    chosen = transform.choose_engine(n, m, batch, dtype, "cpu")
    loss = (dense if chosen == "dense" else nufft) / min(dense, nufft)
    worst = max(worst, loss)
    rows.append((dtype, n, m, batch, dense, nufft))
    print(
        f"{n:5} x {m:5} batch {batch:3} {str(dtype)[6:]}: dense {dense / 1e6:.3f}, nufft {nufft / 1e6:.3f} ms;", end=" "
    )
    print(f"auto is {chosen}, x {loss:.2f}")
for dtype in (torch.float64, torch.float32):
    n, m, batch, dense, nufft = np.array([row[1:] for row in rows if row[0] == dtype], dtype=float).T
    for name, times, columns in (
        ("dense: 1, nm, nm batch", dense, [n * 0 + 1, n * m, n * m * batch]),
        ("nufft: 1, batch (n + m)", nufft, [n * 0 + 1, batch * (n + m)]),
    ):
        print(dtype, name, nnls(np.stack(columns, 1) / times[:, None], np.ones(len(times)))[0].round(2), "ns")
print(f"auto is at most {worst:.2f} times slower than the better engine")
