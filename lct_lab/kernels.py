"""The loss and its gradients for a block of starts: DCTs on a fine grid, and a kernel in between.

On the cells x_l = (l + 1/2) π/L, l = 0 … L-1, with L about 1.5 N, the cosine sums of v_1 … v_{N-1}
are a DCT, and their sine sums are one too, because cos((L - j) x_l) = (-1)^l sin(j x_l):

    c_l = Σ_j v_j cos(j x_l)              s_l = (-1)^l Σ_j v_j cos((L - j) x_l)

Between the cells a kernel φ of width W cells interpolates. What it does to each wave is undone
beforehand, by its Fourier transform φ̂; the adjoint spreads coefficients over the cells:

    Σ_j v_j cos(w j) = Σ_l φ(w L/π - l - 1/2) c_l      with v_j / φ̂(j/2L) in place of v_j
    Σ_k X_k cos(w_k j) = Σ_l g_l cos(j x_l) / φ̂(j/2L)  with g_l = Σ_k φ(w_k L/π - l - 1/2) X_k

φ is Kaiser's and Bessel's, with d in cells and f in waves a cell:

    φ(d) = I_0(β √(1 - (2d/W)²))       φ̂(f) = W sinh(√(β² - (πWf)²)) / √(β² - (πWf)²)

with β = πW (1 - 1/2σ), σ = L/N. W = 16 leaves an error of some 1e-12 of the largest sum. The
indices of cells beyond either end are mirrored: c is even there, and s, by its sign, odd.

Barnett, Magland and af Klinteberg, SIAM J. Sci. Comput. 41, C479 (2019). This module needs numba;
`nufft` decides where it is used. All arrays are of double precision and contiguous, and each start
is computed by itself: its numbers are the same in any block.
"""

import math
import threading
from functools import lru_cache

import numpy as np
from numba import njit
from scipy.fft import next_fast_len
from scipy.fftpack import dct  # scipy.fft's spends as long on its dispatch as on 1000 samples
from scipy.special import i0e

WIDTH = 16  # cells under the kernel, W: a multiple of what a processor adds at once
FINER = 1.5  # cells a sample at least, σ
BETA = math.pi * WIDTH * (1 - 1 / (2 * FINER))
TOGETHER = 1 << 17  # weights or cells held at once: what stays near a processor
DEGREE = 12  # of the polynomials for φ, one a cell
BESIDE = np.array([1.0, -1.0] * (WIDTH // 2))  # the sign (-1)^l from the first cell on


def _kernel(d):
    """e^-β φ(d)."""
    root = np.sqrt(np.maximum(0, 1 - (2 * d / WIDTH) ** 2))
    return i0e(BETA * root) * np.exp(BETA * (root - 1))


def _kernel_transform(f):
    """e^-β φ̂(f)."""
    root = np.sqrt(BETA**2 - (np.pi * WIDTH * f) ** 2)
    return WIDTH * np.sinh(root) / root * math.exp(-BETA)


def _polynomials():
    """φ(t - W/2 + (1 + z)/2) by powers of z in [-1, 1], the highest first: (degree + 1, W)."""
    fits = [
        np.polynomial.Chebyshev.interpolate(lambda z, t=t: _kernel(t + (1 + z - WIDTH) / 2), DEGREE)
        for t in range(WIDTH)
    ]
    powers = [fit.convert(kind=np.polynomial.Polynomial).coef for fit in fits]
    return np.array(powers).T[::-1].copy()


POLYNOMIALS = _polynomials()


@lru_cache(maxsize=16)
def _scale(n):
    """1 / 2φ̂(j/2L), j = 0 … n-1, halved because a DCT counts its waves twice; and L."""
    cells = next_fast_len(max(WIDTH, math.ceil(FINER * n)), real=True)
    return 0.5 / _kernel_transform(np.arange(n) / (2 * cells)), cells


def _compiled(function):
    """`function` as machine code, without the interpreter's lock; kept on disk where that can be.

    The order of sums is free, and with it the last digits; numbers that are not finite stay so.
    """
    options = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written
        return njit(**options)(function)


@_compiled
def _fold(cell, cells):
    """The cell of 0 … L-1 that `cell`, beyond an end, is the mirror image of."""
    inside = cell % (2 * cells)
    return min(inside, 2 * cells - 1 - inside)


@_compiled
def _locate(w, cells, first, sign, weights):
    """The kernel about each frequency w (starts, m): its first cell, and its weights (…, W).

    sign : that of the sine sums there, ±1 for w folded to 0 … π, by (-1)^first.
    """
    for i in range(w.shape[0]):
        for k in range(w.shape[1]):
            turns = w[i, k] / (2 * math.pi)
            turns -= np.rint(turns)
            place = abs(turns) * 2 * cells - 0.5
            start = int(math.ceil(place - WIDTH / 2))
            first[i, k] = start
            sign[i, k] = (1 - 2 * (start & 1)) * (1 if turns >= 0 else -1)
            z = 2 * (start - place) + WIDTH - 1
            for t in range(WIDTH):
                weight = POLYNOMIALS[0, t]
                for d in range(1, DEGREE + 1):
                    weight = weight * z + POLYNOMIALS[d, t]
                weights[i, k, t] = weight


@_compiled
def _interpolate(grids, first, sign, weights, cosines, sines):
    """Both sums at the frequencies, (m,) each, from their values on the cells, grids (2, L)."""
    even, odd = grids
    cells = len(even)
    for k in range(len(first)):
        start = first[k]
        c = 0.0
        s = 0.0
        if 0 <= start <= cells - WIDTH:
            for t in range(WIDTH):
                c += weights[k, t] * even[start + t]
                s += weights[k, t] * BESIDE[t] * odd[start + t]
        else:
            for t in range(WIDTH):
                cell = _fold(start + t, cells)
                c += weights[k, t] * even[cell]
                s += weights[k, t] * BESIDE[t] * odd[cell]
        cosines[k] = c
        sines[k] = s * sign[k]


@_compiled
def _spread(X, first, weights, g):
    """g_l = Σ_k φ(w_k L/π - l - 1/2) X_k: (m,) -> (L,)."""
    cells = len(g)
    g[:] = 0.0
    for k in range(len(first)):
        start = first[k]
        if 0 <= start <= cells - WIDTH:
            for t in range(WIDTH):
                g[start + t] += weights[k, t] * X[k]
        else:
            for t in range(WIDTH):
                g[_fold(start + t, cells)] += weights[k, t] * X[k]


@_compiled
def _waves(v, scale, waves):
    """What the two DCTs take of samples v (n,), the first left out: waves (2, L).

    v_j / φ̂ at j for the cosines, (j/N) v_j / φ̂ at L - j for the sines.
    """
    n = len(v)
    cells = waves.shape[1]
    waves[:] = 0.0
    for j in range(1, n):
        wave = v[j] * scale[j]
        waves[0, j] = wave
        waves[1, cells - j] = wave * j / n


@_compiled
def _waves_of_signals(x, scale, waves):
    """`_waves` of every signal, x (starts or 1, batch, n)."""
    for i in range(x.shape[0]):
        for b in range(x.shape[1]):
            _waves(x[i, b], scale, waves[i, b])


@_compiled
def _coefficients(x, a, grids, at_w1, at_w2, C, T, X, g):
    """C, T/N and X of every start and signal, and X spread over the cells about w2."""
    first1, sign1, weights1 = at_w1
    first2, _, weights2 = at_w2
    starts, batch, _ = X.shape
    root_n = math.sqrt(x.shape[2])
    for i in range(starts):
        own = i % len(x)  # 0 where all starts share their signals
        for b in range(batch):
            _interpolate(grids[own, b], first1[i], sign1[i], weights1[i], C[i, b], T[i, b])
            X[i, b] = (a[i, 0] * x[own, b, 0] + a[i, 1] * C[i, b]) / root_n
            _spread(X[i, b], first2[i], weights2[i], g[i, b])


@_compiled
def _residuals(x, a, root_m, scale, grids, first, waves, totals):
    """e_0 and the waves of e; to `totals`, the loss and its gradients in a3 and a4."""
    starts, batch, _ = grids.shape
    n = len(scale)
    for i in range(starts):
        for b in range(batch):
            samples = x[i % len(x), b]
            Y = scale * grids[i, b, :n] / root_m
            e = 2 * (a[i, 3] * Y - samples)
            e[0] = 2 * (a[i, 2] * Y[0] - samples[0])
            first[i, b] = e[0]
            totals[i, 0] += np.sum(e * e) / 4
            totals[i, 3] += e[0] * Y[0]
            totals[i, 4] += np.sum(e[1:] * Y[1:])
            _waves(e, scale, waves[i, b])


@_compiled
def _gradients(x, a, e0, grids, at_w2, C, T, X, totals, by_w1, by_w2):
    """To `totals`, the gradients in a1 and a2; and those in the frequencies."""
    first, sign, weights = at_w2
    starts, batch, m = X.shape
    n = x.shape[2]
    root_n, root_m = math.sqrt(n), math.sqrt(m)
    G = np.empty(m)
    S = np.empty(m)
    for i in range(starts):
        for b in range(batch):
            _interpolate(grids[i, b], first[i], sign[i], weights[i], G, S)
            g = (a[i, 2] * e0[i, b] + a[i, 3] * G) / root_m
            totals[i, 1] += x[i % len(x), b, 0] * np.sum(g) / root_n
            totals[i, 2] += np.sum(g * C[i, b]) / root_n
            by_w1[i] -= a[i, 1] * root_n * g * T[i, b]
            by_w2[i] -= a[i, 3] * n / root_m * X[i, b] * S


class _Room:
    """Arrays for so many starts and signals, used again: new ones would cost as much as the sums."""

    def __init__(self, starts, batch, n, m, shared):
        self.scale, cells = _scale(n)
        self.signals = np.empty((1 if shared else starts, batch, 2, cells))
        self.residuals = np.empty((starts, batch, 2, cells))
        self.spread = np.empty((starts, batch, cells))
        self.sums = np.empty((3, starts, batch, m))  # C, T/N and X
        self.first = np.empty((starts, batch))
        self.w1, self.w2 = (
            (np.empty((starts, m), np.int64), np.empty((starts, m)), np.empty((starts, m, WIDTH)))
            for _ in range(2)
        )


@lru_cache(maxsize=8)
def _room(starts, batch, n, m, shared, thread):
    return _Room(starts, batch, n, m, shared)


def _add(x, a, w1, w2, totals, by_w1, by_w2):
    """Add the sums over these starts' signals to the last three arguments."""
    _, batch, n = x.shape
    starts, m = w1.shape
    room = _room(starts, batch, n, m, len(x) < starts, threading.get_ident())
    at_w1, at_w2 = room.w1, room.w1 if w2 is None else room.w2
    cells = room.spread.shape[2]
    _locate(w1, cells, *at_w1)
    if w2 is not None:
        _locate(w2, cells, *at_w2)
    _waves_of_signals(x, room.scale, room.signals)
    grids = dct(room.signals, 3, overwrite_x=True)
    C, T, X = room.sums
    _coefficients(x, a, grids, at_w1, at_w2, C, T, X, room.spread)
    grids = dct(room.spread, 2, overwrite_x=True)
    _residuals(x, a, m**0.5, room.scale, grids, room.first, room.residuals, totals)
    grids = dct(room.residuals, 3, overwrite_x=True)
    _gradients(x, a, room.first, grids, at_w2, C, T, X, totals, by_w1, by_w2)


def gradients(x, a, w1, w2=None):
    """The loss and its six gradients of many starts, by the equations of `probes.gradients`.

    x (starts, batch, n), or (1, batch, n) where all share it, a (starts, 4), w1, w2 (starts, m);
    w2 None where tied. Returns the loss and the gradients in a1 … a4 (starts, 5), and those in w1
    and w2 (starts, m); tied, that in w1 is the sum of both and that in w2 None.
    """
    starts, m = w1.shape
    _, batch, n = x.shape
    totals = np.zeros((starts, 5))
    by_w1 = np.zeros((starts, m))
    by_w2 = by_w1 if w2 is None else np.zeros((starts, m))
    _, cells = _scale(n)
    for i in _slices(starts, TOGETHER // max(WIDTH * m, 2 * cells * batch)):
        signals = x[i] if len(x) > 1 else x
        back = None if w2 is None else w2[i]
        for b in _slices(batch, TOGETHER // (2 * cells)):
            _add(signals[:, b], a[i], w1[i], back, totals[i], by_w1[i], by_w2[i])
    if w2 is None:
        return totals / batch, by_w1 / batch, None
    return totals / batch, by_w1 / batch, by_w2 / batch


def _slices(count, most):
    """Slices of `count`, of at most `most` each, or of one."""
    most = max(1, most)
    return [slice(start, start + most) for start in range(0, count, most)]
