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
from scipy.fft import next_fast_len
from scipy.fftpack import dct  # scipy.fft's spends as long on its dispatch as on 1000 samples
from scipy.special import i0e

from lct_lab.compiled import compiled

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


@compiled
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


@compiled
def _fold(cell, cells):
    """The cell of 0 … L-1 whose mirror image `cell` is, where that lies beyond an end."""
    inside = cell % (2 * cells)
    return min(inside, 2 * cells - 1 - inside)


@compiled
def _waves(v, scale, waves):
    """What two DCTs take of the rows v (rows, n), each first sample left out: (rows, 2, L).

    v_j / 2φ̂ at j for the cosines, (j/N) v_j / 2φ̂ at L - j for the sines.
    """
    rows, n = v.shape
    cells = waves.shape[2]
    waves[:] = 0.0
    for r in range(rows):
        for j in range(1, n):
            wave = v[r, j] * scale[j]
            waves[r, 0, j] = wave
            waves[r, 1, cells - j] = wave * j / n


@compiled
def _interpolate(grids, first, sign, weights, cosines, sines):
    """Both sums of every row at its start's frequencies, (rows, m), from grids (rows, 2, L)."""
    rows, m = cosines.shape
    cells = grids.shape[2]
    batch = rows // len(first)
    for r in range(rows):
        i = r // batch
        even, odd = grids[r % len(grids)]
        for k in range(m):
            start = first[i, k]
            c = 0.0
            s = 0.0
            if 0 <= start <= cells - WIDTH:
                for t in range(WIDTH):
                    c += weights[i, k, t] * even[start + t]
                    s += weights[i, k, t] * BESIDE[t] * odd[start + t]
            else:
                for t in range(WIDTH):
                    cell = _fold(start + t, cells)
                    c += weights[i, k, t] * even[cell]
                    s += weights[i, k, t] * BESIDE[t] * odd[cell]
            cosines[r, k] = c
            sines[r, k] = s * sign[i, k]


@compiled
def _spread(X, first, weights, g):
    """g_l = Σ_k φ(w_k L/π - l - 1/2) X_k of every row: (rows, m) -> (rows, L)."""
    rows, m = X.shape
    cells = g.shape[1]
    batch = rows // len(first)
    g[:] = 0.0
    for r in range(rows):
        i = r // batch
        for k in range(m):
            start = first[i, k]
            if 0 <= start <= cells - WIDTH:
                for t in range(WIDTH):
                    g[r, start + t] += weights[i, k, t] * X[r, k]
            else:
                for t in range(WIDTH):
                    g[r, _fold(start + t, cells)] += weights[i, k, t] * X[r, k]


@compiled
def _coefficients(x, a, C, X):
    """X_k = (a1 x_0 + a2 C_k) / √N."""
    rows, m = X.shape
    batch = rows // len(a)
    root_n = math.sqrt(x.shape[1])
    for r in range(rows):
        a1, a2, _, _ = a[r // batch]
        for k in range(m):
            X[r, k] = (a1 * x[r % len(x), 0] + a2 * C[r, k]) / root_n


@compiled
def _residuals(x, a, waves, scale, m, e, totals):
    """e = 2 (y - x) from Y's waves; to `totals`, the loss and its gradients in a3 and a4."""
    rows, n = e.shape
    batch = rows // len(a)
    root_m = math.sqrt(m)
    for r in range(rows):
        i = r // batch
        own = x[r % len(x)]
        _, _, a3, a4 = a[i]
        Y = waves[r, 0] * scale[0] / root_m
        e[r, 0] = 2 * (a3 * Y - own[0])
        loss = e[r, 0] * e[r, 0]
        by_a4 = 0.0
        totals[i, 3] += e[r, 0] * Y
        for j in range(1, n):
            Y = waves[r, j] * scale[j] / root_m
            slope = 2 * (a4 * Y - own[j])
            e[r, j] = slope
            loss += slope * slope
            by_a4 += slope * Y
        totals[i, 0] += loss / 4
        totals[i, 4] += by_a4


@compiled
def _gradients(x, a, e, C, T, X, G, S, totals, by_w1, by_w2):
    """To `totals`, the gradients in a1 and a2; and those in the frequencies. T and S are over N."""
    rows, m = X.shape
    n = x.shape[1]
    batch = rows // len(a)
    root_n, root_m = math.sqrt(n), math.sqrt(m)
    for r in range(rows):
        i = r // batch
        _, a2, a3, a4 = a[i]
        by_a1 = 0.0
        by_a2 = 0.0
        for k in range(m):
            g = (a3 * e[r, 0] + a4 * G[r, k]) / root_m
            by_a1 += g
            by_a2 += g * C[r, k]
            by_w1[i, k] -= a2 * g * T[r, k] * root_n
            by_w2[i, k] -= a4 * X[r, k] * S[r, k] * n / root_m
        totals[i, 1] += by_a1 * x[r % len(x), 0] / root_n
        totals[i, 2] += by_a2 / root_n


class _Room:
    """Arrays for so many rows and starts, used again: new ones would cost as much as the sums."""

    def __init__(self, rows, starts, n, m):
        _, cells = _scale(n)
        self.waves = np.empty((rows, 2, cells))
        self.spread = np.empty((rows, cells))
        self.sums = tuple(np.empty((5, rows, m)))
        self.e = np.empty((rows, n))
        self.w1, self.w2 = (
            (np.empty((starts, m), np.int64), np.empty((starts, m)), np.empty((starts, m, WIDTH)))
            for _ in range(2)
        )


@lru_cache(maxsize=8)
def _room(rows, starts, n, m, thread):
    return _Room(rows, starts, n, m)


def _add(x, a, w1, w2, totals, by_w1, by_w2):
    """Add the sums over rows of signals to the last three arguments.

    x (rows, n), the same number for each start, one start's after another's, or (1, n) where all
    share it; a (starts, 4), w1, w2 (starts, m).
    """
    starts, m = w1.shape
    n = x.shape[1]
    rows = max(starts, len(x))
    room = _room(rows, starts, n, m, threading.get_ident())
    C, T, X, G, S = room.sums
    at_w1 = at_w2 = room.w1
    scale, cells = _scale(n)
    _locate(w1, cells, *at_w1)
    if w2 is not None:
        at_w2 = room.w2
        _locate(w2, cells, *at_w2)
    first, _, weights = at_w2

    waves = room.waves[: len(x)]
    _waves(x, scale, waves)
    _interpolate(dct(waves, 3, overwrite_x=True), *at_w1, C, T)
    _coefficients(x, a, C, X)
    _spread(X, first, weights, room.spread)
    _residuals(x, a, dct(room.spread, 2, overwrite_x=True), scale, m, room.e, totals)
    _waves(room.e, scale, room.waves)
    _interpolate(dct(room.waves, 3, overwrite_x=True), *at_w2, G, S)
    _gradients(x, a, room.e, C, T, X, G, S, totals, by_w1, by_w2)


def gradients(x, a, w1, w2=None):
    """The loss and its six gradients of many starts, by the equations of `probes.gradients`.

    x (starts, batch, n), or (1, batch, n) where all share it, a (starts, 4), w1, w2 (starts, m);
    w2 None where tied. Returns the loss and the gradients in a1 … a4 (starts, 5), and those in w1
    and w2 (starts, m); tied, that in w1 is the sum of both and that in w2 None.
    """
    starts, m = w1.shape
    _, batch, n = x.shape
    _, cells = _scale(n)
    totals = np.zeros((starts, 5))
    by_w1 = np.zeros((starts, m))
    by_w2 = by_w1 if w2 is None else np.zeros((starts, m))
    for i in _slices(starts, TOGETHER // max(WIDTH * m, 2 * cells * batch)):
        signals = x[i] if len(x) > 1 else x
        back = None if w2 is None else w2[i]
        for b in _slices(batch, TOGETHER // (2 * cells)):
            rows = signals[:, b].reshape(-1, n)
            _add(rows, a[i], w1[i], back, totals[i], by_w1[i], by_w2[i])
    found = totals, by_w1, None if w2 is None else by_w2
    if batch > 1:
        for sums in found:
            if sums is not None:
                sums /= batch
    return found


def _slices(count, most):
    """Slices of `count`, of at most `most` each, or of one."""
    if count <= most:
        return (slice(None),)
    most = max(1, most)
    return [slice(start, start + most) for start in range(0, count, most)]
