"""The transform itself: the dense definition, and the choice between it and the fast engine."""

import torch

from lct_lab.checks import require_choice, require_real_tensor, require_scalar, require_size

ENGINES = ("auto", "dense", "nufft")
BLOCK = 1 << 22  # cosines held at once by the dense engine: 32 MB in double


def analyze(x, a1, a2, w, *, engine="auto"):
    """Cosine analysis of signals at the frequencies `w`.

    X_k = (a1 x_0 + a2 Σ_{n=1}^{N-1} cos(w_k n) x_n) / √N,    k = 0 … M-1

    Parameters
    ----------
    x : tensor (..., N), float32 or float64; any leading batch shape, also empty.
    a1, a2 : amplitudes of the first and of the later samples; numbers or one-element tensors.
    w : tensor (M,), frequencies in radians per sample; the transform has period 2π in each, and both
        engines lose digits as |w| N ε, the rounding of w n.
    engine : "dense" sums the definition, "nufft" is its fast form, "auto" the faster of the two (`choose_engine`).

    Returns a tensor (..., M), twice differentiable in x, a1, a2 and w.
    Raises TypeError for a wrong type, dtype or device, ValueError for a wrong shape, value or engine.
    Source: the learnable cosine transform; at the orthogonal init with M = N this is the orthonormal DCT-III.
    """
    a1, a2 = _check("x", x, ("a1", a1), ("a2", a2), w, engine)
    n = x.shape[-1]
    if resolve_engine(engine, x, w) == "nufft":
        from lct_lab import nufft

        return nufft.analyze(x, a1, a2, w)
    later = torch.arange(1, n, dtype=x.dtype, device=x.device)
    return (a1 * x[..., :1] + a2 * cosine_product(x[..., 1:], w, later)) / n**0.5


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
    Raises TypeError for a wrong type, dtype or device, ValueError for a wrong shape, value or engine.
    Source: the learnable cosine transform; at the orthogonal init with M = N this is the transpose of `analyze`.
    """
    n = require_size("n", n)
    a3, a4 = _check("X", X, ("a3", a3), ("a4", a4), w, engine)
    m = w.shape[0]
    if X.shape[-1] != m:
        raise ValueError(
            f"X must have one coefficient per frequency, {m} along its last axis, got {X.shape[-1]}"
        )
    if resolve_engine(engine, X, w, n) == "nufft":
        from lct_lab import nufft

        return nufft.synthesize(X, n, a3, a4, w)
    later = torch.arange(1, n, dtype=X.dtype, device=X.device)
    first = a3 * X.sum(-1, keepdim=True)
    return torch.cat([first, a4 * cosine_product(X, later, w)], -1) / m**0.5


class _Product(torch.autograd.Function):
    """Σ_j cos(outer_i · inner_j) v_j, or with sin, by blocks: memory does not grow with I · J in any pass."""

    @staticmethod
    def forward(ctx, v, outer, inner, sine):
        ctx.save_for_backward(v, outer, inner)
        ctx.sine = sine
        rows = max(1, min(len(outer), BLOCK // max(1, len(inner))))
        result, block = v.new_empty(*v.shape[:-1], len(outer)), v.new_empty(rows, len(inner))
        for start in range(0, len(outer), rows):
            part = outer[start : start + rows]
            waves = torch.outer(part, inner, out=block[: len(part)])
            waves = waves.sin_() if sine else waves.cos_()
            result[..., start : start + rows] = v @ waves.T
        return result

    @staticmethod
    def backward(ctx, g):
        v, outer, inner = ctx.saved_tensors
        needs, slope = ctx.needs_input_grad, 1 if ctx.sine else -1
        by_v = _Product.apply(g, inner, outer, ctx.sine) if needs[0] else None
        by_outer = by_inner = None
        if needs[1]:
            by_outer = slope * (
                g * _Product.apply(v * inner, outer, inner, not ctx.sine)
            ).sum_to_size(outer.shape)
        if needs[2]:
            by_inner = slope * (
                v * _Product.apply(g * outer, inner, outer, not ctx.sine)
            ).sum_to_size(inner.shape)
        return by_v, by_outer, by_inner, None


def cosine_product(v, outer, inner):
    """Σ_j cos(outer_i · inner_j) v_j for every i: v (..., J) -> (..., I), differentiable any number of times."""
    return _Product.apply(v, outer, inner, False)


def cosine_sine_sums(v, w):
    """Σ_{n≥1} cos(w_k n) v_n and Σ_{n≥1} n sin(w_k n) v_n for v (..., N): two tensors (..., M)."""
    later = torch.arange(1, v.shape[-1], dtype=v.dtype, device=v.device)
    return cosine_product(v[..., 1:], w, later), _Product.apply(later * v[..., 1:], w, later, True)


def costs(n, m, batch, dtype, graph=False):
    """Nanoseconds of the loss and its gradients by each engine, one thread; with `graph`, by torch's backward pass."""
    double = dtype == torch.float64
    if graph:
        (start, p, q), fixed, r = (
            (630_000, 21, 0.3) if double else (660_000, 8.5, 0.16),
            1_140_000,
            125,
        )
    else:
        (start, p, q), fixed, r = (
            (445_000, 21, 0.34) if double else (480_000, 8.5, 0.17),
            270_000,
            100,
        )
    return {"dense": start + n * m * (p + q * batch), "nufft": fixed + batch * (4000 + r * (n + m))}


def choose_engine(n, m, batch, dtype, device, graph=True):
    """The faster engine for n samples, m frequencies and `batch` signals: "dense" or "nufft".

    The smaller of `costs`: a constant and N M (p + q B) for the dense engine, a constant and B (s + r (N + M)) for the
    fast one. benchmarks/engine.py fits them, for `gradients` and, with `graph`, for differentiable transforms, and
    finds the choice at most 1.1 times slower than the better engine. On CUDA dense unless cufinufft is installed.
    """
    expected = costs(n, m, batch, dtype, graph)
    if expected["dense"] <= expected["nufft"]:
        return "dense"
    if torch.device(device).type != "cpu":
        from lct_lab import nufft

        return "dense" if nufft.missing(device) else "nufft"
    return "nufft"


def resolve_engine(engine, values, w, n=None, graph=True):
    """`engine`, with "auto" replaced by the faster one for `values` (..., n) or (..., m) at the frequencies `w`."""
    if engine != "auto":
        return engine
    n = values.shape[-1] if n is None else n
    return choose_engine(
        n, len(w), values.numel() // values.shape[-1], values.dtype, values.device, graph
    )


def _check(name, values, first, later, w, engine):
    require_choice("engine", engine, ENGINES)
    require_real_tensor(name, values)
    require_real_tensor("w", w, like=(name, values), dims=1)
    return [
        require_scalar(amplitude, value, like=(name, values)) for amplitude, value in (first, later)
    ]
