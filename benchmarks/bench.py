"""How fast: the loss and its six gradients by several implementations, and what is claimed of them.

python benchmarks/bench.py        (`make bench`) prints the claims, each a ratio measured in one
run, and writes data/bench.csv
"""

import time

import numpy as np
import pandas as pd
import torch
from contest import agreement, contestants, errors, peak, race

import lct_lab
from lct_lab import explore, tables

MILLION = 10**6


class Claims:
    """The rows of the table, printed as they come."""

    def __init__(self):
        self.rows = []
        print(f"{'what':88} {'ours':>11} {'theirs':>11}          figure")

    def add(self, what, ours, theirs, figure, unit="ms"):
        self.rows.append(dict(what=what, ours=ours, theirs=theirs, unit=unit, figure=figure))
        print(f"{what:88} {ours:11.4g} {theirs:11.4g} {unit:3} {figure:9.3g}", flush=True)

    def alone(self, what, ours, unit):
        """A row of what is compared with nothing."""
        self.add(what, ours, np.nan, ours, unit)


def claim_gradients(claims, cores):
    """One thread against the original's dense loop on all; returns the loop's ms by size."""
    loop = {}
    for n in (1000, 4000):
        times = race(n, n, ("fast", "dense loop"), 3, {"dense loop": cores})
        ours, loop[n] = times["fast"] * 1e3, times["dense loop"] * 1e3
        what = f"loss and six gradients, N = M = {n}, one thread, dense loop / ours"
        claims.add(what, ours, loop[n], loop[n] / ours)
    return loop


def claim_probe(claims, cores, loop):
    """Many starts, per start, on all cores; and the most of them on one."""
    for n, inits in ((1000, 10_000), (1000, 1000), (4000, 500)):
        ours = probed(n, inits, cores)
        what = f"probe, {inits:,} inits, N = M = {n}, per init, dense loop / ours"
        claims.add(what, ours, loop[n], loop[n] / ours)
        if inits == 10_000:
            one = probed(n, inits, 1)
            claims.add("the same, one core / all cores", ours, one, one / ours)


def probed(n, inits, threads):
    """Milliseconds a start: the median of three runs, after a short one."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    lct_lab.probe(n, n, inits=100)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        lct_lab.probe(n, n, inits=inits)
        spent.append(time.perf_counter() - start)
    torch.set_num_threads(before)
    return float(np.median(spent)) / inits * 1e3


def claim_million(claims):
    """Time, memory and accuracy at N = M = 10^6, and how time grows up to there."""
    size = f"N = M = 10^{np.log10(MILLION):.0f}"
    seconds = race(MILLION, MILLION, ("fast",), 5)["fast"]
    what = f"{size}, double: time of loss and six gradients"
    claims.alone(what, seconds, "s")
    memory = peak(MILLION, MILLION, "fast") / 1024
    claims.alone(f"{size}, double: memory", memory, "GB")
    for name, error in errors(MILLION).items():
        what = f"{size}: error of the {name} sums / their rms, 100 outputs"
        claims.alone(what, error, "")
    return seconds


def claim_transforms(claims):
    """Against bare transforms, and against another library's derivatives of them."""
    for n in (256, 1000, 4000, 16_000, 100_000):
        times = race(n, n, ("fast", "three executions"), 2)
        ours, theirs = times["fast"] * 1e3, times["three executions"] * 1e3
        what = f"gradients / three bare executions, N = M = {n}"
        claims.add(what, ours, theirs, ours / theirs)
    if "pytorch-finufft" not in contestants():
        return
    for n in (4000, 10_000, 100_000):
        times = race(n, n, ("autograd fast", "pytorch-finufft"), 2)
        ours, theirs = times["autograd fast"] * 1e3, times["pytorch-finufft"] * 1e3
        what = f"forward and backward, pytorch-finufft / ours, N = M = {n}"
        claims.add(what, ours, theirs, theirs / ours)


def claim_growth(claims, seconds):
    short = race(100_000, 100_000, ("fast",), 2)["fast"]
    power = np.log10(seconds / short)
    what = "growth exponent of time, 10^5 to 10^6"
    claims.add(what, seconds, short, power, "s")


def claim_accuracy(claims):
    what = "error against dense double, N = M = 4000, "
    fast, _ = agreement(4000, torch.float64)
    claims.alone(what + "float64", fast, "")
    fast, dense = agreement(4000, torch.float32)
    claims.add(what + "float32, ours / dense single's", fast, dense, fast / dense, "")


def claim_explorer(claims):
    panels, settings = explore.Panels(), explore.Settings(n=2000, m=2000)
    spent = []
    for _ in range(12):
        start = time.perf_counter()
        panels.draw(explore.measure(settings), settings)
        panels.png()
        spent.append(1e3 * (time.perf_counter() - start))
    ours = float(np.median(spent[3:]))
    what = "explorer, from settings to a new picture, N = M = 2000"
    claims.alone(what, ours, "ms")


def main():
    cores, claims = torch.get_num_threads(), Claims()
    loop = claim_gradients(claims, cores)
    claim_probe(claims, cores, loop)
    seconds = claim_million(claims)
    claim_transforms(claims)
    claim_growth(claims, seconds)
    claim_accuracy(claims)
    claim_explorer(claims)
    tables.write(pd.DataFrame(claims.rows), "bench")


if __name__ == "__main__":
    main()
