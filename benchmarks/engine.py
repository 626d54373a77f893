"""Which engine is faster where: times both on a grid, fits the cost rules of `transform.costs`, and checks them.

Three uses: `gradients`, which builds no graph; the loss of a model with its backward pass; and one `analyze`. Prints a
line per use, size, batch and dtype with both times in one run, and how much slower "auto" is than the better one.
"""

import itertools
import time

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


def uses(n, m, batch, dtype):
    """{use: {engine: a run}}"""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(batch, n, generator=draw, dtype=dtype) - 0.5
    w1, w2 = (torch.rand(m, generator=draw, dtype=dtype) * 3 for _ in range(2))
    models = {
        engine: lct_lab.LCT(n, m, engine=engine, dtype=dtype) for engine in ("dense", "nufft")
    }
    return {
        "gradients": {
            e: lambda e=e: lct_lab.gradients(x, 1.0, 1.0, 1.0, 1.0, w1, w2, engine=e)
            for e in models
        },
        "backward": {
            e: lambda model=model: model.loss(x).backward() for e, model in models.items()
        },
        "analyze": {e: lambda e=e: lct_lab.analyze(x, 1.0, 1.0, w1, engine=e) for e in models},
    }


def main():
    torch.set_num_threads(1)
    rows, worst = [], dict.fromkeys(("gradients", "backward", "analyze"), 0.0)
    for (n, m), batch, dtype in itertools.product(
        SIZES, (1, 8, 64), (torch.float64, torch.float32)
    ):
        for use, runs in uses(n, m, batch, dtype).items():
            times = {engine: [] for engine in runs}
            for _ in range(15):
                for engine, run in runs.items():
                    start = time.perf_counter()
                    run()
                    times[engine].append(time.perf_counter() - start)
            dense, nufft = (np.median(times[engine][2:]) * 1e9 for engine in ("dense", "nufft"))
            chosen = transform.choose_engine(n, m, batch, dtype, "cpu", graph=use != "gradients")
            loss = (dense if chosen == "dense" else nufft) / min(dense, nufft)
            worst[use] = max(worst[use], loss)
            rows.append((use, dtype, n, m, batch, dense, nufft))
            print(
                f"{use:9} {n:5} x {m:5} batch {batch:3} {str(dtype)[6:]}: dense {dense / 1e6:7.3f}, "
                f"nufft {nufft / 1e6:7.3f} ms; auto is {chosen}, x {loss:.2f}"
            )
    for use, dtype in itertools.product(("gradients", "backward"), (torch.float64, torch.float32)):
        n, m, batch, dense, nufft = np.array(
            [row[2:] for row in rows if row[:2] == (use, dtype)], dtype=float
        ).T
        for name, times, columns in (
            ("dense: 1, nm, nm batch", dense, [n * 0 + 1, n * m, n * m * batch]),
            ("nufft: 1, batch, batch (n + m)", nufft, [n * 0 + 1, batch, batch * (n + m)]),
        ):
            fitted = nnls(np.stack(columns, 1) / times[:, None], np.ones(len(times)))[0]
            print(use, dtype, name, fitted.round(2), "ns")
    print(
        "auto over the better engine, at most:",
        {use: round(loss, 2) for use, loss in worst.items()},
    )


if __name__ == "__main__":
    main()
