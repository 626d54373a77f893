"""How fast: the loss and its six gradients by four implementations, each claim a ratio measured in one run.

    python benchmarks/bench.py        (`make bench`) prints the claims and writes data/bench.csv and figures/bench.*

`contestants` and `race` serve notebook 06 too. Times are medians of interleaved runs; memory is the peak of a fresh
process less what the imports take.
"""

import multiprocessing
import time
from pathlib import Path

import numpy as np
import torch

import lct_lab
from lct_lab import explore, nufft, plots, probes, tables

NAMES = ("dense loop", "dense", "fast", "pytorch-finufft", "autograd fast", "three executions")


def problem(n, m, dtype=torch.float64):
    draw = torch.Generator().manual_seed(n)
    x = torch.rand(n, generator=draw, dtype=torch.float64) * 2 - 1
    w1, w2 = (
        torch.sort(torch.rand(m, generator=draw, dtype=torch.float64) * torch.pi).values
        for _ in range(2)
    )
    return [v.to(dtype) for v in (x, torch.tensor([1.1, 0.8, 0.9, 1.2]), w1, w2)]


def dense_loop(n, m):
    """The original's way: both N x M matrices in single precision, and autograd through them."""
    x, a, w1, w2 = problem(n, m, torch.float32)
    leaves = [v.requires_grad_() for v in (a, w1, w2)]
    index = torch.arange(n)

    def run():
        analysis = a[1] * torch.cos(torch.outer(w1, index))
        analysis[:, 0] = a[0]
        synthesis = a[3] * torch.cos(torch.outer(index, w2))
        synthesis[0] = a[2]
        y = torch.matmul(synthesis, torch.matmul(analysis, x) / n**0.5) / m**0.5
        return torch.autograd.grad((y - x).square().sum(), leaves)

    return run


def by_hand(engine):
    def prepare(n, m):
        x, a, w1, w2 = problem(n, m)
        return lambda: lct_lab.gradients(x, *a.tolist(), w1, w2, engine=engine)

    return prepare


def autograd_fast(n, m):
    """Forward and backward of our differentiable transforms: for comparison with pytorch-finufft alone."""
    x, a, w1, w2 = problem(n, m)
    return lambda: probes._by_autograd(x, a, w1, w2, nufft)


def pytorch_finufft(n, m):
    """The same model on another library's differentiable transforms, forward and backward."""
    from pytorch_finufft.functional import finufft_type1, finufft_type2

    x, a, w1, w2 = problem(n, m)
    leaves = [v.requires_grad_() for v in (a, w1, w2)]

    def run():
        later = a[1] * x[1:] / 2
        modes = torch.cat([x[:1] * 0, later.flip(0), a[0] * x[:1], later]).to(torch.complex128)
        X = finufft_type2(w1[None], modes, eps=1e-11, isign=1).real / n**0.5
        sums = finufft_type1(w2[None], X.to(torch.complex128), (2 * n,), eps=1e-11, isign=-1).real[
            n:
        ]
        y = torch.cat([a[2] * sums[:1], a[3] * sums[1:]]) / m**0.5
        return torch.autograd.grad((y - x).square().sum(), leaves)

    return run


def three_executions(n, m):
    """The floor: set points and execute the three bare plans that a gradient needs, and nothing else."""
    _, _, w1, w2 = problem(n, m)
    plan, w1, w2 = nufft._plan(2 * n, 1, True), w1.numpy(), w2.numpy()
    modes, strengths = np.ones(2 * n, complex), np.ones(m, complex)

    def run():
        plan.setpts(w1)
        plan.execute(modes)
        plan.setpts(w2)
        plan.execute_adjoint(strengths)
        plan.execute(modes)

    return run


def contestants():
    """{name: function of (n, m) that prepares a run}; without pytorch-finufft where it is not installed."""
    found = dict(
        zip(
            NAMES,
            (
                dense_loop,
                by_hand("dense"),
                by_hand("nufft"),
                pytorch_finufft,
                autograd_fast,
                three_executions,
            ),
            strict=True,
        )
    )
    try:
        import pytorch_finufft as _  # noqa: F401
    except ImportError:
        del found["pytorch-finufft"]
    return found


def race(n, m, names, seconds=1.0, threads=None):
    """Median seconds of each contestant at one size, in turns so that all meet the same noise, about `seconds` each."""
    threads, before = threads or {}, torch.get_num_threads()
    runs, times = {name: contestants()[name](n, m) for name in names}, {name: [] for name in names}
    for run in runs.values():
        run()
    end = time.perf_counter() + seconds * len(names)
    while len(times[names[0]]) < 3 or (time.perf_counter() < end and len(times[names[0]]) < 300):
        for name, run in runs.items():
            torch.set_num_threads(threads.get(name, 1))
            run()  # meets the threads and the cache that the one before it left
            for _ in range(3):
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    torch.set_num_threads(before)
    return {name: float(np.median(spent)) for name, spent in times.items()}


def peak(n, m, name):
    """Megabytes that one run of a contestant adds, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (n, m, name))


def _peak(n, m, name):
    contestants()[name](32, 32)()
    before = _high_water()
    contestants()[name](n, m)()
    return (_high_water() - before) / 1024


def _high_water():
    """The most this process has held, in kB; getrusage would start from what its parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def errors(n, outputs=100):
    """Largest error of each transform's sums on random outputs, against sums in extended precision, over their rms."""
    x, _, w1, w2 = problem(n, n)
    rng, j = np.random.default_rng(0), np.arange(n)
    both = nufft.pair_sums(x.numpy()[None], w1.numpy())[0]
    y = lct_lab.synthesize(x, n, 1.0, 1.0, w2, engine="nufft").numpy() * n**0.5
    worst = {"cosine": 0.0, "n sine": 0.0, "synthesis": 0.0}
    for k, place in zip(
        rng.integers(n, size=outputs), rng.integers(1, n, size=outputs), strict=True
    ):
        phase = np.longdouble(w1[k].item()) * j
        exact = (
            np.cos(phase)[1:] @ x.numpy()[1:],
            (j * np.sin(phase)) @ x.numpy(),
            np.cos(w2.numpy().astype(np.longdouble) * place) @ x.numpy(),
        )
        got = both[k].real, both[k].imag * n, y[place]
        scale = both.real.std(), both.imag.std() * n, y.std()
        for name, e, g, s in zip(worst, exact, got, scale, strict=True):
            worst[name] = max(worst[name], float(abs(g - e)) / s)
    return worst


def agreement(n, dtype):
    """Error of the fast and of the dense engine against dense double, over each group's largest entry: a pair."""
    values = [v.double() for v in problem(n, n, dtype)]
    x, a, w1, w2 = values
    exact = lct_lab.gradients(x, *a, w1, w2, engine="dense")
    x, a, w1, w2 = (v.to(dtype) for v in values)
    return tuple(
        max(
            ((f - e).abs().max() / e.abs().max()).item()
            for f, e in zip(lct_lab.gradients(x, *a, w1, w2, engine=engine), exact, strict=True)
        )
        for engine in ("nufft", "dense")
    )


def main():
    import pandas as pd

    cores = torch.get_num_threads()
    rows = []

    def claim(what, ours, theirs, figure, target, unit="ms"):
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
        print(f"{what:88} {ours:11.4g} {theirs:11.4g} {unit:3} {figure:9.3g}  {target}", flush=True)

    print(f"{'what':88} {'ours':>11} {'theirs':>11}          figure  target")
    loop = {}
    for n, target in ((1000, ">= 25"), (4000, ">= 400")):
        times = race(n, n, ("fast", "dense loop"), 3, {"dense loop": cores})
        ours, loop[n] = times["fast"] * 1e3, times["dense loop"] * 1e3
        claim(
            f"loss and six gradients, N = M = {n}, one thread, dense loop / ours",
            ours,
            loop[n],
            loop[n] / ours,
            target,
        )
    spent = {}
    for threads in (cores, 1):
        torch.set_num_threads(threads)
        lct_lab.probe(1000, 1000, inits=10_000 if threads > 1 else 100)  # starts the pool
        start = time.perf_counter()
        lct_lab.probe(1000, 1000, inits=10_000)
        spent[threads] = (time.perf_counter() - start) / 10
    torch.set_num_threads(cores)
    claim(
        "probe, 10,000 inits, N = M = 1000, per init, dense loop / ours",
        spent[cores],
        loop[1000],
        loop[1000] / spent[cores],
        ">= 40",
    )
    claim(
        "the same, one core / all cores", spent[cores], spent[1], spent[1] / spent[cores], ">= 1.6"
    )
    size = 10**6
    seconds = race(size, size, ("fast",), 5)["fast"]
    claim("N = M = 10^6, double: time of loss and six gradients", seconds, 1.0, seconds, "< 1", "s")
    memory = peak(size, size, "fast") / 1024
    claim("N = M = 10^6, double: memory", memory, 1.0, memory, "< 1", "GB")
    worst = errors(size)
    for name, error in worst.items():
        claim(
            f"N = M = 10^6: error of the {name} sums / their rms, 100 outputs",
            error,
            1e-8,
            error,
            "<= 1e-8",
            "",
        )
    for n in (4000, 16_000, 100_000):
        times = race(n, n, ("fast", "three executions"), 2)
        ours, theirs = times["fast"] * 1e3, times["three executions"] * 1e3
        claim(
            f"gradients / three bare executions, N = M = {n}", ours, theirs, ours / theirs, "<= 1.3"
        )
    if "pytorch-finufft" in contestants():
        for n in (4000, 10_000, 100_000):
            times = race(n, n, ("autograd fast", "pytorch-finufft"), 2)
            ours, theirs = times["autograd fast"] * 1e3, times["pytorch-finufft"] * 1e3
            claim(
                f"forward and backward, pytorch-finufft / ours, N = M = {n}",
                ours,
                theirs,
                theirs / ours,
                ">= 2",
            )
    short = race(10_000, 10_000, ("fast",), 2)["fast"]
    power = np.log(seconds / short) / np.log(100)
    claim("growth exponent of time, 10^4 to 10^6", seconds, short, power, "<= 1.15", "s")
    for dtype, target in ((torch.float64, "<= 1e-10"), (torch.float32, "<= 3")):
        fast, dense = agreement(4000, dtype)
        single = dtype == torch.float32
        claim(
            f"error against dense double, N = M = 4000, {str(dtype)[6:]}"
            + single * ", ours / dense single's",
            fast,
            dense,
            fast / dense if single else fast,
            target,
            "",
        )
    panels, settings = explore.Panels(), explore.Settings(n=2000, m=2000)
    spent = []
    for _ in range(12):
        start = time.perf_counter()
        panels.draw(explore.measure(settings), settings)
        panels.png()
        spent.append(1e3 * (time.perf_counter() - start))
    ours = float(np.median(spent[3:]))
    claim("explorer, from settings to a new picture, N = M = 2000", ours, 200, ours, "< 200")
    tables.write(pd.DataFrame(rows), "bench")
    plots.use_style()
    figure, ax = plots.figure(width=8, height=4.5)
    sizes = [100, 300, 1000, 3000, 10_000, 100_000, 1_000_000]
    for place, name in enumerate(NAMES):
        if name not in contestants():
            continue
        mine = [n for n in sizes if n <= 3000 or name not in ("dense loop", "dense")]
        times = [race(n, n, (name,), 0.5, {"dense loop": cores})[name] for n in mine]
        ax.loglog(mine, times, plots.MARKERS[place] + "-", color=plots.COLOURS[place], label=name)
    ax.set(xlabel="N = M", ylabel="seconds for loss and six gradients", title="Time against size")
    ax.legend()
    plots.save_figure(
        figure, "bench", alt="Time for a full gradient against size for six implementations."
    )


if __name__ == "__main__":
    main()
