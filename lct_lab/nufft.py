"""The sums of the transform as nonuniform FFTs, O(N log N + M): the only importer of finufft.

Cosine sums of real v are real parts of Σ_j v_j e^{iwj}. Where Σ_j j sin(wj) v_j is wanted too, both come from one
transform of 2N modes: even coefficients v_j/2 at ±j carry the cosines into the real part, odd ones ±(j/N) v_j/2 the
sines into the imaginary part. Single precision is computed in double, whose phases w j it would spoil.
"""

import os
import threading
from functools import lru_cache

import numpy as np
import torch

LARGE = (
    1 << 18
)  # modes from which rounding of w j, not eps, bounds the error; a smaller grid and two threads then pay
TOGETHER = 1 << 21  # modes held at once in a batch


def analyze(x, a1, a2, w):
    """`transform.analyze` by nonuniform FFT; differentiable any number of times."""
    scale = _amplitudes(x.shape[-1], a1, a2, x)
    return _Analysis.apply(x * scale, w, False) / x.shape[-1] ** 0.5


def synthesize(X, n, a3, a4, w):
    """`transform.synthesize` by nonuniform FFT; differentiable any number of times."""
    return _Synthesis.apply(X, w, n, False) * _amplitudes(n, a3, a4, X) / len(w) ** 0.5


def _amplitudes(n, first, later, like):
    first, later = (
        torch.as_tensor(a, dtype=like.dtype, device=like.device).reshape(1) for a in (first, later)
    )
    return torch.cat([first, later.expand(n - 1)])


class _Analysis(torch.autograd.Function):
    """Σ_j cos(w_k j) v_j, or with sin, j = 0 … n-1: v (..., n), w (m,) -> (..., m)."""

    @staticmethod
    def forward(ctx, v, w, sine):
        ctx.sine, moments = sine, None
        if ctx.needs_input_grad[1] and not sine:
            sums, moments = _pair(v, w)
        else:
            sums = _part(_waves(v, w), sine)
        ctx.save_for_backward(v, w, moments)
        return sums

    @staticmethod
    def backward(ctx, g):
        v, w, moments = ctx.saved_tensors
        by_v = _Synthesis.apply(g, w, v.shape[-1], ctx.sine) if ctx.needs_input_grad[0] else None
        by_w = None
        if ctx.needs_input_grad[1]:
            if moments is None or torch.is_grad_enabled():
                moments = _Analysis.apply(_times_index(v), w, not ctx.sine)
            by_w = (1 if ctx.sine else -1) * (g * moments).sum_to_size(w.shape)
        return by_v, by_w, None


class _Synthesis(torch.autograd.Function):
    """Σ_k cos(w_k j) c_k, or with sin, j = 0 … n-1: c (..., m), w (m,) -> (..., n)."""

    @staticmethod
    def forward(ctx, c, w, n, sine):
        ctx.save_for_backward(c, w)
        ctx.sine = sine
        return _part(_waves_adjoint(c, w, n), sine)

    @staticmethod
    def backward(ctx, g):
        c, w = ctx.saved_tensors
        by_c = by_w = None
        if all(ctx.needs_input_grad[:2]) and not ctx.sine and not torch.is_grad_enabled():
            by_c, moments = _pair(g, w)
        else:
            by_c = _Analysis.apply(g, w, ctx.sine) if ctx.needs_input_grad[0] else None
            moments = (
                _Analysis.apply(_times_index(g), w, not ctx.sine)
                if ctx.needs_input_grad[1]
                else None
            )
        if moments is not None:
            by_w = (1 if ctx.sine else -1) * (c * moments).sum_to_size(w.shape)
        return by_c, by_w, None, None


def _times_index(v):
    return v * torch.arange(v.shape[-1], dtype=v.dtype, device=v.device)


def _part(waves, sine):
    return waves.imag if sine else waves.real


def _waves(v, w):
    """Σ_j v_j e^{i w_k j}: v (..., n) -> complex (..., m). The modes are centred, and the centre's phase put back."""
    phase = torch.polar(torch.ones_like(w, dtype=torch.float64), w.double() * (v.shape[-1] // 2))
    return (_transform(v.to(torch.complex128), w, v.dtype) * phase).to(_complex(v))


def _waves_adjoint(c, w, n):
    """Σ_k c_k e^{i w_k j}, j = 0 … n-1: c (..., m) -> complex (..., n)."""
    phase = torch.polar(torch.ones_like(w, dtype=torch.float64), -w.double() * (n // 2))
    return _transform(c * phase, w, c.dtype, n).conj().resolve_conj().to(_complex(c))


def _pair(v, w):
    """Σ_j cos(w_k j) v_j and Σ_j j sin(w_k j) v_j, j = 0 … n-1: v (..., n) -> two tensors (..., m)."""
    if v.is_cuda:
        waves = _waves(torch.stack([v, _times_index(v)]), w)
        return waves[0].real, waves[1].imag
    flat, points = v.detach().reshape(-1, v.shape[-1]).double().numpy(), w.detach().double().numpy()
    both = torch.from_numpy(pair_sums(flat, points, v.dtype == torch.float64)).reshape(
        *v.shape[:-1], len(w)
    )
    return (both.real + v[..., :1]).to(v.dtype), (both.imag * v.shape[-1]).to(v.dtype)


def _complex(v):
    return torch.complex64 if v.dtype == torch.float32 else torch.complex128


def _transform(values, w, dtype, modes=None):
    """Σ_l values_l e^{i w_k l} over centred l; with `modes`, its adjoint Σ_k values_k e^{-i w_k l} at that many l."""
    points, sizes = (
        w.detach().double(),
        (values.shape[-1], len(w)) if modes is None else (len(w), modes),
    )
    flat, out = (
        values.detach().reshape(-1, sizes[0]),
        values.new_empty(*values.shape[:-1], sizes[1]),
    )
    results, count = out.view(-1, sizes[1]), max(1, TOGETHER // max(sizes))
    for start in range(0, len(flat), count):
        part, result = flat[start : start + count], results[start : start + count]
        if w.is_cuda:
            result.copy_(_on_gpu(part, points, dtype, modes))
            continue
        plan = _plan(modes or sizes[0], len(part), dtype == torch.float64)
        plan.setpts(points.numpy())
        run = plan.execute if modes is None else plan.execute_adjoint
        part = part.contiguous().resolve_conj()
        run(
            part[0].numpy() if len(part) == 1 else part.numpy(),
            (result[0] if len(part) == 1 else result).numpy(),
        )
    return out


def _on_gpu(values, points, dtype, modes):
    _require(values.device)
    import cufinufft

    points, eps = torch.remainder(points, 2 * torch.pi), 1e-12 if dtype == torch.float64 else 1e-7
    if modes is None:
        return cufinufft.nufft1d2(points, values.contiguous(), eps=eps, isign=1)
    return cufinufft.nufft1d1(points, values.contiguous(), (modes,), eps=eps, isign=-1)


def missing(device):
    """What the engine lacks on `device`, as the sentence to raise, or None."""
    package = "cufinufft" if torch.device(device).type == "cuda" else "finufft"
    try:
        __import__(package)
    except Exception as error:  # whatever a broken library raises when it is loaded
        return f"engine 'nufft' needs {package} for tensors on {device}, which cannot be loaded: {error}"
    return None


def _require(device):
    if sentence := missing(device):
        raise RuntimeError(sentence)


def _plan(modes, count, double):
    threads = torch.get_num_threads() if modes >= LARGE else 1
    return _plans(modes, count, double, threads, threading.get_ident(), os.getpid())


@lru_cache(maxsize=6)
def _plans(modes, count, double, threads, thread, process):
    """A reusable plan; plans hold their points, so no two threads share one, and no forked process its parent's."""
    _require("cpu")
    import finufft

    options = {
        "eps": 1e-11 if double else 1e-7,
        "upsampfac": 2,
    }  # left to finufft, it would change with the points
    if modes >= LARGE:
        options = {"eps": 3e-10 if double else 1e-7, "upsampfac": 1.25, "spread_sort": 1}
    return finufft.Plan(2, (modes,), n_trans=count, isign=1, nthreads=threads, **options)


def lag_sums(w, count):
    """P(l) = Σ_k cos(l w_k), l = 0 … count-1, and the function G -> Σ_l l sin(l w_k) G_l, in numpy on one plan."""
    plan, phase = _plan(count, 1, True), np.exp(1j * w * (count // 2))
    plan.setpts(w)
    P = plan.execute_adjoint(phase.conj()).real
    return P, lambda G: (plan.execute((np.arange(count) * G).astype(complex)) * phase).imag


class _Workspace:
    """Reused arrays for the pair sums of `count` signals of n samples; in numpy, whose calls cost less than torch's."""

    def __init__(self, n, count, double):
        self.n, self.plan = n, _plan(2 * n, count, double)
        self.modes = np.zeros((count, 2 * n), complex)
        self.up, self.down = (1 + np.arange(1, n) / n) / 2, (1 - np.arange(1, n) / n) / 2
        self.single = count == 1

    def pair(self, v):
        n = self.n
        np.multiply(v[:, 1:], self.up, out=self.modes.real[:, n + 1 :])
        np.multiply(v[:, 1:], self.down, out=self.modes.real[:, n - 1 : 0 : -1])
        return np.atleast_2d(self.plan.execute(self.modes[0] if self.single else self.modes))

    def transpose(self, c):
        c = c.astype(complex)
        return np.atleast_2d(self.plan.execute_adjoint(c[0] if self.single else c))[
            :, self.n :
        ].real


@lru_cache(maxsize=3)
def _workspaces(n, count, double, threads, thread, process):
    return _Workspace(n, count, double)


def _workspace(n, count, double):
    return _workspaces(
        n, count, double, torch.get_num_threads(), threading.get_ident(), os.getpid()
    )


def pair_sums(x, w, double=True):
    """Σ_{j≥1} (cos(w_k j) + i (j/n) sin(w_k j)) x_j of arrays x (batch, n), w (m,): a complex array (batch, m)."""
    sums = np.empty((len(x), len(w)), complex)
    for rows in _batches(x):
        work = _workspace(x.shape[1], len(x[rows]), double)
        work.plan.setpts(w)
        sums[rows] = work.pair(x[rows])
    return sums


def _batches(x):
    count = max(1, TOGETHER // (2 * x.shape[1]))
    return [slice(start, start + count) for start in range(0, len(x), count)]


def gradients(x, a1, a2, a3, a4, w1, w2=None, *, sums=None, double=True):
    """`probes.gradients` of double arrays x (batch, n), w1, w2 (m,) by three transforms: a tuple of floats and arrays.

    `sums`, where known already: the `pair_sums` of x at w1.
    """
    (batch, n), m, tied = x.shape, len(w1), w2 is None
    if len(batches := _batches(x)) > 1:
        parts = [gradients(x[rows], a1, a2, a3, a4, w1, w2, double=double) for rows in batches]
        shares = [len(x[rows]) / batch for rows in batches]
        columns = zip(*parts, strict=True)
        return tuple(
            None if c[0] is None else sum(f * v for f, v in zip(shares, c, strict=True))
            for c in columns
        )
    work = _workspace(n, batch, double)
    if sums is None or tied:
        work.plan.setpts(w1)
    both = work.pair(x) if sums is None else sums
    C, T = both.real, both.imag
    size = 1 / (n * m) ** 0.5
    X = C * (a2 * size)  # over √M as well: so that it is Y, not √M Y, that comes back
    X += x[:, :1] * (a1 * size)
    if not tied:
        work.plan.setpts(w2)
    Y = work.transpose(X)
    e = Y * (2 * a4)
    e[:, 0] = 2 * a3 * Y[:, 0]
    e -= 2 * x
    both = work.pair(e)
    G, S = both.real, both.imag
    g = G * (a4 / m**0.5)
    g += e[:, :1] * (a3 / m**0.5)
    by_w1 = _over_batch(g, T)
    by_w1 *= -a2 * n**0.5 / batch
    by_w2 = _over_batch(X, S)
    by_w2 *= -a4 * n / batch
    first = float(e[:, 0] @ Y[:, 0])
    return (
        float(np.vdot(e, e)) / 4 / batch,
        float(x[:, 0] @ g.sum(1)) / n**0.5 / batch,
        float(np.vdot(g, C)) / n**0.5 / batch,
        first / batch,
        (float(np.vdot(e, Y)) - first) / batch,
        by_w1 + by_w2 if tied else by_w1,
        None if tied else by_w2,
    )


def _over_batch(u, v):
    return u[0] * v[0] if len(u) == 1 else np.einsum("bi,bi->i", u, v)
