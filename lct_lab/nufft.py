"""The sums of the transform as nonuniform FFTs, O(N log N + M): the only importer of finufft.

Gradients of small problems go to `kernels` where numba is installed: `gradients_of_starts` chooses.

Cosine sums of real v are real parts of Σ_j v_j e^{iwj}. Where Σ_j j sin(wj) v_j is wanted too, both
come from one transform of 2N modes: even coefficients v_j/2 at ±j carry the cosines into the real
part, odd ones ±(j/N) v_j/2 the sines into the imaginary part. Single precision is computed in
double, whose phases w j it would spoil.
"""

import atexit
import os
import threading
from functools import cache, lru_cache

import numpy as np
import torch

from lct_lab import compiled
from lct_lab.checks import are_finite, require_one_gradient

# Modes from which rounding of w j, not eps, bounds the error; a smaller grid and two threads pay.
LARGE = 1 << 18
TOGETHER = 1 << 21  # modes held at once in a batch
SMALL = 20_000  # samples and frequencies up to which `kernels` are faster, where numba is there


def analyze(x, a1, a2, w):
    """`transform.analyze` by nonuniform FFT; differentiable any number of times."""
    n = x.shape[-1]
    scaled = x * _amplitudes(n, a1, a2, x)
    return _Analysis.apply(scaled, w, False) / n**0.5


def synthesize(X, n, a3, a4, w):
    """`transform.synthesize` by nonuniform FFT; differentiable any number of times."""
    Y = _Synthesis.apply(X, w, n, False)
    m = len(w)
    return Y * _amplitudes(n, a3, a4, X) / m**0.5


def _amplitudes(n, first, later, like):
    """(first, later, …, later): the amplitude of each of n samples."""
    place = {"dtype": like.dtype, "device": like.device}
    one = torch.as_tensor(first, **place).reshape(1)
    other = torch.as_tensor(later, **place).reshape(1)
    return torch.cat([one, other.expand(n - 1)])


class _Analysis(torch.autograd.Function):
    """Σ_j cos(w_k j) v_j, or with sin, j = 0 … n-1: v (..., n), w (m,) -> (..., m)."""

    @staticmethod
    def forward(ctx, v, w, sine):
        _, wants_w, _ = ctx.needs_input_grad
        moments = None
        if wants_w and not sine:
            sums, moments = _pair(v, w)
        else:
            sums = _part(_waves(v, w), sine)
        ctx.sine = sine
        ctx.save_for_backward(v, w, moments)
        return sums

    @staticmethod
    def backward(ctx, g):
        require_one_gradient(g)
        v, w, moments = ctx.saved_tensors
        wants_v, wants_w, _ = ctx.needs_input_grad
        n = v.shape[-1]
        by_v = None
        by_w = None
        if wants_v:
            by_v = _Synthesis.apply(g, w, n, ctx.sine)
        if wants_w:
            if moments is None or torch.is_grad_enabled():
                moments = _Analysis.apply(_times_index(v), w, not ctx.sine)
            by_w = _by_frequency(g, moments, ctx.sine, w)
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
        require_one_gradient(g)
        c, w = ctx.saved_tensors
        wants_c, wants_w, _, _ = ctx.needs_input_grad
        sine = ctx.sine
        by_c = None
        by_w = None
        if wants_c and wants_w and not sine and not torch.is_grad_enabled():
            by_c, moments = _pair(g, w)
            return by_c, _by_frequency(c, moments, sine, w), None, None
        if wants_c:
            by_c = _Analysis.apply(g, w, sine)
        if wants_w:
            moments = _Analysis.apply(_times_index(g), w, not sine)
            by_w = _by_frequency(c, moments, sine, w)
        return by_c, by_w, None, None


def _by_frequency(values, moments, sine, w):
    """∂/∂w_k of Σ values_k wave_k, summed over the batch; moments: Σ_j j sin(w_k j) v_j, or cos."""
    slope = 1 if sine else -1  # sin' = cos, cos' = -sin
    return slope * (values * moments).sum_to_size(w.shape)


def _times_index(v):
    index = torch.arange(v.shape[-1], dtype=v.dtype, device=v.device)
    return v * index


def _part(waves, sine):
    return waves.imag if sine else waves.real


def _waves(v, w):
    """Σ_j v_j e^{i w_k j}: v (..., n) -> complex (..., m).

    The transform's modes are centred, and the centre's phase is put back.
    """
    centre = v.shape[-1] // 2
    phase = _unit(w.double() * centre)
    values = v.to(torch.complex128)
    sums = _transform(values, w, v.dtype)
    return (sums * phase).to(_complex(v))


def _waves_adjoint(c, w, n):
    """Σ_k c_k e^{i w_k j}, j = 0 … n-1: c (..., m) -> complex (..., n)."""
    centre = n // 2
    phase = _unit(-w.double() * centre)
    sums = _transform(c * phase, w, c.dtype, n)
    return sums.conj().resolve_conj().to(_complex(c))


def _unit(angles):
    """e^{i angles}."""
    return torch.polar(torch.ones_like(angles), angles)


def _pair(v, w):
    """Σ_j cos(w_k j) v_j and Σ_j j sin(w_k j) v_j, j = 0 … n-1: v (..., n) -> two (..., m)."""
    if v.is_cuda:
        both = torch.stack([v, _times_index(v)])
        plain, weighted = _waves(both, w)
        return plain.real, weighted.imag
    n = v.shape[-1]
    double = v.dtype == torch.float64
    # as the kernels were compiled for: contiguous
    flat, places = map(np.ascontiguousarray, (as_doubles(v.reshape(-1, n)), as_doubles(w)))
    found = pair_sums(flat, places, double)
    sums = torch.from_numpy(found).reshape(*v.shape[:-1], len(w))
    cosines = sums.real + v[..., :1]
    sines = sums.imag * n
    return cosines.to(v.dtype), sines.to(v.dtype)


def as_doubles(values):
    """A real tensor on the processor as a float64 array."""
    numbers = values.numpy(force=True)  # detached, and its sign resolved
    return numbers if numbers.dtype == np.float64 else numbers.astype(float)


def _complex(v):
    return torch.complex64 if v.dtype == torch.float32 else torch.complex128


def _transform(values, w, dtype, modes=None):
    """Σ_l values_l e^{i w_k l} over centred l: complex (..., n) -> (..., m).

    With `modes`, its adjoint Σ_k values_k e^{-i w_k l} at that many l: (..., m) -> (..., modes).
    """
    run = _on_gpu if w.is_cuda else _on_processor
    points = w.detach().double()
    given = values.shape[-1]
    wanted = len(w) if modes is None else modes
    rows = values.detach().reshape(-1, given)
    result = values.new_empty(*values.shape[:-1], wanted)
    flat = result.view(-1, wanted)
    for part in _batches(len(rows), max(given, wanted)):
        run(rows[part], points, dtype, modes, out=flat[part])
    return result


def _batches(count, modes):
    """Slices of `count` signals of so many modes, as many at a time as are held together."""
    most = max(1, TOGETHER // modes)
    starts = range(0, count, most)
    return [slice(start, start + most) for start in starts]


def _on_processor(values, points, dtype, modes, out):
    count, size = values.shape
    plan = _plan(modes or size, count, dtype == torch.float64)
    _set_points(plan, points.resolve_neg().numpy())
    run = plan.execute if modes is None else plan.execute_adjoint
    given = values.contiguous().resolve_conj().numpy()
    result = out.numpy()
    if count == 1:
        run(given[0], result[0])
    else:
        run(given, result)


def _on_gpu(values, points, dtype, modes, out):
    _require(values.device)
    import cufinufft

    _require_finite(points.cpu().numpy())
    eps = 1e-12 if dtype == torch.float64 else 1e-7
    folded = torch.remainder(points, 2 * torch.pi)
    part = values.contiguous()
    if modes is None:
        found = cufinufft.nufft1d2(folded, part, eps=eps, isign=1)
    else:
        found = cufinufft.nufft1d1(folded, part, (modes,), eps=eps, isign=-1)
    out.copy_(found)


def missing(device):
    """What the engine lacks on `device`, as the sentence to raise, or None."""
    package = "cufinufft" if torch.device(device).type == "cuda" else "finufft"
    try:
        __import__(package)
    except Exception as error:  # whatever a broken library raises when it is loaded
        return (
            f"engine 'nufft' needs {package} for tensors on {device}, "
            f"which cannot be loaded: {error}"
        )
    return None


def _require(device):
    if sentence := missing(device):
        raise RuntimeError(sentence)


def _owner():
    """Threads to use, thread and process: no two threads share a plan, nor parent and fork."""
    return torch.get_num_threads(), threading.get_ident(), os.getpid()


def _plan(modes, count, double):
    threads, thread, process = _owner()
    used = threads if modes >= LARGE else 1
    return _plans(modes, count, double, used, thread, process)


@lru_cache(maxsize=6)
def _plans(modes, count, double, threads, thread, process):
    """A reusable plan, which holds its points and therefore belongs to one `_owner`."""
    _require("cpu")
    import finufft

    options = {"n_trans": count, "isign": 1, "nthreads": threads}
    if modes >= LARGE:
        options |= {"eps": 3e-10 if double else 1e-7, "upsampfac": 1.25, "spread_sort": 1}
    else:  # upsampfac, if it were left to finufft, would change with the points
        options |= {"eps": 1e-11 if double else 1e-7, "upsampfac": 2}
    return finufft.Plan(2, (modes,), **options)


@atexit.register
def _forget():
    """Let go of all plans while finufft is still there to take them back."""
    _workspaces.cache_clear()
    _plans.cache_clear()


def _set_points(plan, w):
    """Give a plan its points: the one place where that is done."""
    _require_finite(w)
    plan.setpts(np.ascontiguousarray(w))


def _require_finite(w):
    """Raise for a frequency that is not finite, with which finufft would end Python."""
    if not are_finite(w):
        raise ValueError(f"w must be finite, got {w[~np.isfinite(w)][0]}")


def lag_sums(w, count):
    """P(l) = Σ_k cos(l w_k), l = 0 … count-1, and the function G -> Σ_l l sin(l w_k) G_l.

    Arrays of double precision, w (m,); the function is good until the thread's next transform.
    """
    plan = _plan(count, 1, True)
    _set_points(plan, w)
    phase = np.exp(1j * w * (count // 2))
    P = plan.execute_adjoint(phase.conj()).real

    def moments(G):
        weighted = np.arange(count) * G
        waves = plan.execute(weighted.astype(complex))
        return (waves * phase).imag

    return P, moments


class _Workspace:
    """Reused arrays for the pair sums of `count` signals of n samples.

    In numpy, whose calls cost less than torch's.
    """

    def __init__(self, n, count, double):
        j = np.arange(1, n)
        modes = np.zeros((count, 2 * n), complex)
        self.n = n
        self.plan = _plan(2 * n, count, double)
        self.single = count == 1
        self.modes = modes[0] if self.single else modes
        self.above = modes.real[:, n + 1 :]
        self.below = modes.real[:, n - 1 : 0 : -1]
        self.up = (1 + j / n) / 2
        self.down = (1 - j / n) / 2

    def pair(self, v):
        """Σ_{j≥1} (cos(w_k j) + i (j/n) sin(w_k j)) v_j at the plan's points: (count, m)."""
        later = v[:, 1:]
        np.multiply(later, self.up, out=self.above)
        np.multiply(later, self.down, out=self.below)
        found = self.plan.execute(self.modes)
        return found[None] if self.single else found

    def transpose(self, c):
        """Σ_k cos(w_k j) c_k, j = 0 … n-1, at the plan's points: c (count, m) -> (count, n)."""
        waves = c.astype(complex)
        found = self.plan.execute_adjoint(waves[0] if self.single else waves)
        later = found[..., self.n :].real
        return later[None] if self.single else later


@lru_cache(maxsize=3)
def _workspaces(n, count, double, threads, thread, process):
    return _Workspace(n, count, double)


def _workspace(n, count, double):
    return _workspaces(n, count, double, *_owner())


def pair_sums(x, w, double=True):
    """Σ_{j≥1} (cos(w_k j) + i (j/n) sin(w_k j)) x_j of arrays x (batch, n), w (m,).

    A complex array (batch, m).
    """
    batch, n = x.shape
    m = len(w)
    sums = np.empty((batch, m), complex)
    for rows in _batches(batch, 2 * n):
        part = x[rows]
        work = _workspace(n, len(part), double)
        _set_points(work.plan, w)
        sums[rows] = work.pair(part)
    return sums


def gradients_of_starts(x, a, w1, w2=None, *, double=True):
    """`probes.gradients` of many starts, each as it would be alone, by the faster engine.

    x : (starts, batch, n), or (1, batch, n) where all starts share it. a : (starts, 4). w1, w2 :
    (starts, m), or None for w2 where tied. Contiguous arrays of double precision. double : whether
    to its precision.

    Returns the loss and the gradients in a1 … a4 (starts, 5), and those in w1 and w2 (starts, m);
    tied, that in w1 is the sum of both and that in w2 None.
    """
    found = kernels(x.shape[2], w1.shape[1])
    if found is None:
        return _one_by_one(x, a, w1, w2, double)
    for w in (w1,) if w2 is None else (w1, w2):
        _require_finite(w.reshape(-1))
    return found.gradients(x, a, w1, w2)


def _one_by_one(x, a, w1, w2, double):
    """`gradients` of one start after another; the sums of one shared signal are taken once."""
    starts, m = w1.shape
    sums = [None] * starts
    signals = x
    if len(x) == 1 and starts > 1:
        signals = [x[0]] * starts
        if x.shape[1] == 1:
            sums = pair_sums(x[0], w1.reshape(-1), double).reshape(starts, 1, m)
    back = [None] * starts if w2 is None else w2
    found = [
        gradients(signal, *amplitudes.tolist(), own, other, sums=known, double=double)
        for signal, amplitudes, own, other, known in zip(signals, a, w1, back, sums, strict=True)
    ]
    *totals, by_w1, by_w2 = zip(*found, strict=True)
    return np.array(totals).T, _rows(by_w1), None if w2 is None else _rows(by_w2)


def _rows(arrays):
    """Arrays as the rows of one, which of one array is a view of it."""
    return arrays[0][None] if len(arrays) == 1 else np.array(arrays)


def kernels(n, m):
    """The module `kernels`, compiled, where it is the faster engine at this size; else None."""
    return _kernels() if is_small(n, m) else None


def is_small(n, m):
    """Whether a problem is one for `kernels`, in which numba compiles it."""
    return max(n, m) <= SMALL and compiled.available()


def is_large(n):
    """Whether the sums of n samples are taken by several threads."""
    return 2 * n >= LARGE


@cache
def _kernels():
    """`kernels` with its functions compiled, or None where numba cannot be loaded."""

    def load():
        from lct_lab import kernels

        ones = np.ones((1, 1))
        kernels.gradients(ones[None], np.ones((1, 4)), ones, ones)
        return kernels

    return compiled.loaded(load)


def gradients(x, a1, a2, a3, a4, w1, w2=None, *, sums=None, double=True):
    """`probes.gradients` of double arrays x (batch, n), w1, w2 (m,) by three transforms.

    The letters are those of its equation, but for three that save a pass over an array each: X
    stands for X/√M, so that the transform gives Y, and T, S stand for T/N, S/N.

    sums : the `pair_sums` of x at w1, where known already. double : whether to its precision.

    Returns the loss and the gradients in a1, a2, a3, a4, w1 and w2, as floats and arrays; tied
    (w2 None), that in w1 is the sum of both and that in w2 is None.
    """
    batch, n = x.shape
    m = len(w1)
    parts = _batches(batch, 2 * n)
    if len(parts) > 1:
        pieces = [x[rows] for rows in parts]
        parameters = (a1, a2, a3, a4, w1, w2)
        each = [gradients(piece, *parameters, double=double) for piece in pieces]
        return _average(each, [len(piece) / batch for piece in pieces])
    work = _workspace(n, batch, double)
    if sums is None or w2 is None:
        _set_points(work.plan, w1)
    at_w1 = work.pair(x) if sums is None else sums
    C = at_w1.real
    T = at_w1.imag
    size = 1 / (n * m) ** 0.5
    X = _combine(a1 * size, x[:, :1], a2 * size, C)
    if w2 is not None:
        _set_points(work.plan, w2)
    Y = work.transpose(X)
    e = _slope_of_loss(x, a3, a4, Y)
    at_w2 = work.pair(e)
    G = at_w2.real
    S = at_w2.imag
    g = _combine(a3 / m**0.5, e[:, :1], a4 / m**0.5, G)
    by_w1 = -a2 * n**0.5 / batch * _over_batch(g, T)
    by_w2 = -a4 * n / batch * _over_batch(X, S)
    scalars = _loss_and_amplitudes(x, C, Y, e, g)
    if w2 is None:
        return *scalars, by_w1 + by_w2, None
    return *scalars, by_w1, by_w2


def _average(each, shares):
    """The gradients of a batch, from those of its parts and their shares in it."""
    means = []
    for values in zip(*each, strict=True):
        tied = values[0] is None
        terms = [] if tied else [f * v for f, v in zip(shares, values, strict=True)]
        means.append(None if tied else sum(terms))
    return tuple(means)


def _combine(first, start, later, sums):
    """first · start + later · sums."""
    result = sums * later
    result += start * first
    return result


def _slope_of_loss(x, a3, a4, Y):
    """e_0 = 2 (a3 Y_0 - x_0), e_n = 2 (a4 Y_n - x_n)."""
    e = Y * (2 * a4)
    e[:, 0] = 2 * a3 * Y[:, 0]
    e -= 2 * x
    return e


def _loss_and_amplitudes(x, C, Y, e, g):
    """The loss and its gradients in a1, a2, a3 and a4."""
    batch, n = x.shape
    loss = float(np.vdot(e, e)) / 4
    by_a1 = float(x[:, 0] @ g.sum(1)) / n**0.5
    by_a2 = float(np.vdot(g, C)) / n**0.5
    by_a3 = float(e[:, 0] @ Y[:, 0])
    by_a4 = float(np.vdot(e, Y)) - by_a3
    totals = (loss, by_a1, by_a2, by_a3, by_a4)
    return [total / batch for total in totals]


def _over_batch(u, v):
    """Σ_b u_bk v_bk."""
    if len(u) == 1:
        return u[0] * v[0]
    return np.einsum("bi,bi->i", u, v)
