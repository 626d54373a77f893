"""The transform itself: the dense definition, and the choice between it and the fast engine."""

from functools import wraps

import torch

from lct_lab import nufft
from lct_lab.checks import (
    require_choice,
    require_memory,
    require_one_gradient,
    require_real_tensor,
    require_scalar,
    require_size,
)

ENGINES = ("auto", "dense", "nufft")
BLOCK = 1 << 22  # cosines held at once by the dense engine: 32 MB in double


def eager(function):
    """`function`, which torch.compile calls as it is, and compiles what is around it.

    Tracing would find numpy and finufft in it. `torch.compiler.disable` as a decorator does the
    same, and takes two seconds at import.
    """

    @wraps(function)
    def called(*arguments, **options):
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*arguments, **options)
        return function(*arguments, **options)

    return called


@eager
def analyze(x, a1, a2, w, *, engine="auto"):
    """Cosine analysis of signals at the frequencies `w`.

    X_k = (a1 x_0 + a2 Σ_{n=1}^{N-1} cos(w_k n) x_n) / √N,    k = 0 … M-1

    Parameters
    ----------
    x : tensor (..., N), float32 or float64; any leading batch shape, also empty.
    a1, a2 : amplitudes of the first and of the later samples; numbers or one-element tensors.
    w : tensor (M,), frequencies in radians per sample; the transform has period 2π in each, and
        both engines lose digits as |w| N ε, the rounding of w n.
    engine : "dense" sums the definition, "nufft" is its fast form, "auto" the faster of the two
        (`choose_engine`).

    Returns a tensor (..., M), twice differentiable in x, a1, a2 and w.
    Raises TypeError for a wrong type, dtype or device, ValueError for a wrong shape, value or
    engine.
    Source: the learnable cosine transform; at the orthogonal init with M = N this is the
    orthonormal DCT-III.
    """
    _check("x", x, w, engine)
    a1 = require_scalar("a1", a1, like=("x", x))
    a2 = require_scalar("a2", a2, like=("x", x))
    if resolve_engine(engine, x, w) == "nufft":
        return nufft.analyze(x, a1, a2, w)
    n = x.shape[-1]
    first = x[..., :1]
    later = x[..., 1:]
    C = cosine_product(later, w, later_samples(n, x))
    return (a1 * first + a2 * C) / n**0.5


@eager
def synthesize(X, n, a3, a4, w, *, engine="auto"):
    """Cosine synthesis of N samples from coefficients at the frequencies `w`.

    y_0 = a3 Σ_k X_k / √M,    y_n = a4 Σ_k cos(w_k n) X_k / √M,    n = 1 … N-1

    Parameters
    ----------
    X : tensor (..., M), float32 or float64; any leading batch shape, also empty.
    n : number of samples N, at least 1.
    a3, a4 : amplitudes of the first and of the later samples; numbers or one-element tensors.
    w : tensor (M,), frequencies in radians per sample.
    engine : as in `analyze`.

    Returns a tensor (..., N), twice differentiable in X, a3, a4 and w.
    Raises TypeError for a wrong type, dtype or device, ValueError for a wrong shape, value or
    engine.
    Source: the learnable cosine transform; at the orthogonal init with M = N this is the transpose
    of `analyze`.
    """
    n = require_size("n", n)
    _check("X", X, w, engine)
    a3 = require_scalar("a3", a3, like=("X", X))
    a4 = require_scalar("a4", a4, like=("X", X))
    m = len(w)
    got = X.shape[-1]
    if got != m:
        raise ValueError(
            f"X must have one coefficient per frequency, {m} along its last axis, got {got}"
        )
    require_memory(X.shape[:-1].numel() * n, n=n)
    if resolve_engine(engine, X, w, n) == "nufft":
        return nufft.synthesize(X, n, a3, a4, w)
    first = a3 * X.sum(-1, keepdim=True)
    later = a4 * cosine_product(X, later_samples(n, X), w)
    return torch.cat([first, later], -1) / m**0.5


def later_samples(n, like):
    """1 … n-1, the samples after the first, as a tensor of the dtype and device of `like`."""
    return torch.arange(1, n, dtype=like.dtype, device=like.device)


class _Product(torch.autograd.Function):
    """Σ_j cos(outer_i · inner_j) v_j, or with sin: v (..., J) -> (..., I).

    By blocks of rows i: memory does not grow with I · J, in any pass. In the dtype of v, also under
    torch.autocast, whose half precision would keep three of its digits.
    """

    @staticmethod
    def forward(ctx, v, outer, inner, sine):
        ctx.save_for_backward(v, outer, inner)
        ctx.sine = sine
        wanted = len(outer)
        most = BLOCK // max(1, len(inner))
        rows = max(1, min(wanted, most))
        result = v.new_empty(*v.shape[:-1], wanted)
        block = v.new_empty(rows, len(inner))
        for start in range(0, wanted, rows):
            stop = start + rows
            part = outer[start:stop]
            phases = torch.outer(part, inner, out=block[: len(part)])
            waves = phases.sin_() if sine else phases.cos_()
            with torch.autocast(v.device.type, enabled=False):
                result[..., start:stop] = v @ waves.T
        return result

    @staticmethod
    def backward(ctx, g):
        require_one_gradient(g)
        v, outer, inner = ctx.saved_tensors
        sine = ctx.sine
        wants_v, wants_outer, wants_inner, _ = ctx.needs_input_grad
        slope = 1 if sine else -1  # sin' = cos, cos' = -sin
        by_v = None
        by_outer = None
        by_inner = None
        if wants_v:
            by_v = _Product.apply(g, inner, outer, sine)
        if wants_outer:
            moments = _Product.apply(v * inner, outer, inner, not sine)
            by_outer = slope * (g * moments).sum_to_size(outer.shape)
        if wants_inner:
            back = _Product.apply(g * outer, inner, outer, not sine)
            by_inner = slope * (v * back).sum_to_size(inner.shape)
        return by_v, by_outer, by_inner, None


def cosine_product(v, outer, inner):
    """Σ_j cos(outer_i · inner_j) v_j for every i: v (..., J) -> (..., I).

    Differentiable any number of times.
    """
    return _Product.apply(v, outer, inner, False)


def cosine_sine_sums(v, w):
    """Σ_{n≥1} cos(w_k n) v_n and Σ_{n≥1} n sin(w_k n) v_n for v (..., N): two tensors (..., M)."""
    later = v[..., 1:]
    n = later_samples(v.shape[-1], v)
    cosines = cosine_product(later, w, n)
    sines = _Product.apply(n * later, w, n, True)
    return cosines, sines


# Nanoseconds on one thread, fitted by benchmarks/engine.py: of gradients by torch's backward pass
# ("graph"), or by hand ("plain").
DENSE = {  # fixed, by N M, by N M B
    ("graph", torch.float64): (630_000, 21, 0.3),
    ("graph", torch.float32): (660_000, 8.5, 0.16),
    ("plain", torch.float64): (445_000, 21, 0.34),
    ("plain", torch.float32): (480_000, 8.5, 0.17),
}
NUFFT = {  # fixed, by B, by B (N + M), in either precision
    "graph": (1_140_000, 4000, 125),
    "plain": (270_000, 4000, 100),
    "kernels": (80_000, 200, 23.5),  # where numba compiles them
}


def costs(n, m, batch, dtype, graph=False, device="cpu"):
    """Nanoseconds of the loss and its gradients by each engine, on one thread.

    dense: fixed + N M (p + q B),    nufft: fixed + B (s + r (N + M))

    With `graph` by torch's backward pass, without by `gradients`, whose fast engine at small sizes
    is `kernels` where that can be had.
    """
    n, m, batch = require_size("n", n), require_size("m", m), require_size("batch", batch, 0)
    use = "graph" if graph else "plain"
    compiled = not graph and torch.device(device).type == "cpu" and nufft.is_small(n, m)
    fixed, p, q = DENSE[use, dtype]
    dense = fixed + n * m * (p + q * batch)
    fixed_fast, s, r = NUFFT["kernels" if compiled else use]
    fast = fixed_fast + batch * (s + r * (n + m))
    return {"dense": dense, "nufft": fast}


def choose_engine(n, m, batch, dtype, device, graph=True):
    """The faster engine for n samples, m frequencies and `batch` signals: "dense" or "nufft".

    The smaller of `costs`, for `gradients` and, with `graph`, for differentiable transforms.
    benchmarks/engine.py finds the choice at most 1.1 times slower than the better engine. On CUDA
    dense unless cufinufft is installed.
    """
    expected = costs(n, m, batch, dtype, graph, device)
    if expected["dense"] <= expected["nufft"]:
        return "dense"
    if torch.device(device).type != "cpu":
        return "dense" if nufft.missing(device) else "nufft"
    return "nufft"


def resolve_engine(engine, values, w, n=None, graph=True):
    """`engine`, with "auto" replaced by the faster one.

    For `values` (..., n), or (..., m) where `n` is given, at the frequencies `w`.
    """
    if engine != "auto":
        return engine
    last = values.shape[-1]
    batch = values.numel() // last
    samples = last if n is None else n
    place = (values.dtype, values.device)
    return choose_engine(samples, len(w), batch, *place, graph)


def _check(name, values, w, engine):
    """Raise unless the values, named as the caller does, and the frequencies fit together."""
    require_choice("engine", engine, ENGINES)
    require_real_tensor(name, values)
    require_real_tensor("w", w, like=(name, values), dims=1)
