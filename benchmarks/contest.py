"""Implementations of the loss and its six gradients, raced against each other.

`contestants` and `race` serve `bench.py` and notebook 14. Times are medians of interleaved runs;
memory is the peak of a fresh process less what the imports take.
"""

import multiprocessing
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

import lct_lab
from lct_lab import nufft, probes

WORDS = {  # name of a contestant: what a reader sees
    "dense loop": "the original's loop",
    "dense": "the definition",
    "fast": "ours",
    "pytorch-finufft": "pytorch-finufft",
    "autograd fast": "ours, by autograd",
    "three executions": "three executions",
}
NAMES = tuple(WORDS)


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
    """Forward and backward of our differentiable transforms, to compare with pytorch-finufft."""
    x, a, w1, w2 = problem(n, m)
    return lambda: probes._by_autograd(x, a, w1, w2, nufft)


def pytorch_finufft(n, m):
    """The same model on another library's differentiable transforms, forward and backward.

    On one thread: at these sizes the library's own threads wait for one another longer than they
    compute, and on a busy machine ten times as long.
    """
    from pytorch_finufft.functional import finufft_type1, finufft_type2

    x, a, w1, w2 = problem(n, m)
    leaves = [v.requires_grad_() for v in (a, w1, w2)]
    options = {"eps": 1e-11, "nthreads": 1}

    def run():
        later = a[1] * x[1:] / 2
        modes = torch.cat([x[:1] * 0, later.flip(0), a[0] * x[:1], later]).to(torch.complex128)
        X = finufft_type2(w1[None], modes, isign=1, **options).real / n**0.5
        strengths = X.to(torch.complex128)
        both = finufft_type1(w2[None], strengths, (2 * n,), isign=-1, **options).real
        sums = both[n:]
        y = torch.cat([a[2] * sums[:1], a[3] * sums[1:]]) / m**0.5
        return torch.autograd.grad((y - x).square().sum(), leaves)

    return run


def three_executions(n, m):
    """Set the points of, and execute, the three bare plans that a gradient needs, and no more."""
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


STAGES = {  # of a block of starts, the functions of `kernels` that do it
    "kernel weights": ("_locate",),
    "FFT": ("dct",),
    "spread, interpolate": ("_spread", "_interpolate"),
    "sums": ("_waves", "_coefficients", "_residuals", "_gradients"),
}


def stages(n, inits=32, turns=20):
    """Microseconds a start of `probe` at N = M = n, one thread, by stage: {stage: time}.

    Medians of `turns` blocks. Needs numba, which compiles what is timed here.
    """
    from lct_lab import kernels

    settings = dict(init="random", tied=False, amplitudes=None, signal="uniform", batch=1, seed=0)
    settings |= dict(engine="nufft", dtype=torch.float64, device="cpu")
    spent = dict.fromkeys(("draw", *STAGES, "the rest"), 0.0)
    places = {name: stage for stage, names in STAGES.items() for name in names}
    clocks = {name: _clocked(getattr(kernels, name), spent, places[name]) for name in places}
    draw = _clocked(probes._draw, spent, "draw")
    found = []
    with patch.multiple(kernels, **clocks), patch.object(probes, "_draw", draw):
        for first in range(0, (turns + 2) * inits, inits):
            spent.update(dict.fromkeys(spent, 0.0))
            start = time.perf_counter()
            probes.probe_rows(n, n, first, inits, **settings)
            spent["the rest"] = time.perf_counter() - start - sum(spent.values())
            found.append(list(spent.values()))
    medians = np.median(found[2:], axis=0) / inits * 1e6
    return dict(zip(spent, medians.tolist(), strict=True))


def _clocked(function, spent, stage):
    """`function`, whose time is added to that of its stage."""

    def run(*arguments, **options):
        start = time.perf_counter()
        result = function(*arguments, **options)
        spent[stage] += time.perf_counter() - start
        return result

    return run


def contestants():
    """{name: function of (n, m) that prepares a run}, of pytorch-finufft where it is installed."""
    prepare = (
        dense_loop,
        by_hand("dense"),
        by_hand("nufft"),
        pytorch_finufft,
        autograd_fast,
        three_executions,
    )
    found = dict(zip(NAMES, prepare, strict=True))
    try:
        import pytorch_finufft as _  # noqa: F401
    except ImportError:
        del found["pytorch-finufft"]
    return found


def race(n, m, names, seconds=1.0, threads=None):
    """Median seconds of each contestant at one size, about `seconds` each.

    They run in turns, so that all meet the same noise; `threads` is {name: threads}, else one.
    """
    threads, before = threads or {}, torch.get_num_threads()
    runs = {name: contestants()[name](n, m) for name in names}
    times = {name: [] for name in names}
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
    """Largest error of each transform's sums on random outputs, over their rms: {name: error}.

    The exact sums are in extended precision.
    """
    x, _, w1, w2 = problem(n, n)
    rng, j = np.random.default_rng(0), np.arange(n)
    both = nufft.pair_sums(x.numpy()[None], w1.numpy())[0]
    y = lct_lab.synthesize(x, n, 1.0, 1.0, w2, engine="nufft").numpy() * n**0.5
    scales = both.real.std(), both.imag.std() * n, y.std()
    worst = {"cosine": 0.0, "n sine": 0.0, "synthesis": 0.0}
    frequencies, samples = rng.integers(n, size=outputs), rng.integers(1, n, size=outputs)
    for k, place in zip(frequencies, samples, strict=True):
        phase = np.longdouble(w1[k].item()) * j
        exact = (
            np.cos(phase)[1:] @ x.numpy()[1:],
            (j * np.sin(phase)) @ x.numpy(),
            np.cos(w2.numpy().astype(np.longdouble) * place) @ x.numpy(),
        )
        got = both[k].real, both[k].imag * n, y[place]
        for name, sum_, fast, scale in zip(worst, exact, got, scales, strict=True):
            worst[name] = max(worst[name], float(abs(fast - sum_)) / scale)
    return worst


def agreement(n, dtype):
    """Errors of the fast and of the dense engine: a pair.

    Against dense double, and over each group's largest entry.
    """
    values = [v.double() for v in problem(n, n, dtype)]
    x, a, w1, w2 = values
    exact = lct_lab.gradients(x, *a, w1, w2, engine="dense")
    x, a, w1, w2 = (v.to(dtype) for v in values)
    found = []
    for engine in ("nufft", "dense"):
        groups = lct_lab.gradients(x, *a, w1, w2, engine=engine)
        pairs = zip(groups, exact, strict=True)
        found.append(max(((g - e).abs().max() / e.abs().max()).item() for g, e in pairs))
    return tuple(found)
