"""Sums over 1 <= i, j < N on a grid, averaged over its jitter: exact at any N and M."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Sums:
    """Sums over 1 <= i, j < N, averaged over the jitter."""

    row: float  # Σ_i E P_i²
    fourth: float  # Σ_i (E P_i)⁴
    trace: float  # Σ_i E A_ii
    total: float  # Σ_ij E A_ij²


@lru_cache(maxsize=64)
def sums(n, m, tied, jitter):
    """Σ E P_i², Σ (E P_i)⁴, Σ E A_ii and Σ E A_ij² of n samples and m frequencies, as `Sums`.

    jitter is in units of the spacing π/m. Exact for every n and m (notebook 08, step 1).
    """
    lags = _lags(n, m, jitter)
    inner = slice(1, n)
    trace, total = (_tied_trace, _tied_total) if tied else (_untied_trace, _untied_total)
    return Sums(
        row=np.sum(lags.square[inner]),
        fourth=np.sum(lags.mean[inner] ** 4),
        trace=trace(n, lags),
        total=total(n, m, lags),
    )


@dataclass(frozen=True)
class _Lags:
    """P_i and what it is made of, at every lag 0 <= i <= 2n - 2."""

    i: np.ndarray
    r: np.ndarray  # r_i = E cos(iδ) = sinc(jitter i / m), δ = uπ/m the jitter in radians
    r_twice: np.ndarray  # r_2i
    D: np.ndarray  # D_i, the mean of cos(w_k i) over the exact grid
    D_twice: np.ndarray  # D_2i
    mean: np.ndarray  # E P_i
    square: np.ndarray  # E P_i²


def _lags(n, m, jitter):
    """E P_i = r_i D_i,   Var P_i = (1 - r_i² + D_2i (r_2i - r_i²)) / 2m   (notebook 08, step 1)."""
    i = np.arange(2 * n - 1)
    r = np.sinc(jitter * i / m)
    r_twice = np.sinc(2 * jitter * i / m)
    D = _alternating(i, 2 * m)
    D_twice = _alternating(i, m)
    mean = r * D
    variance = (1 - r**2 + D_twice * (r_twice - r**2)) / (2 * m)
    return _Lags(i, r, r_twice, D, D_twice, mean, mean**2 + variance)


def _alternating(i, period):
    """(-1)^q at i = q period, else 0: with period 2m it is D_i, with period m it is D_2i."""
    sign = 1.0 - 2 * (i // period % 2)
    return np.where(i % period == 0, sign, 0.0)


# --- w̃ = w: A_ij = P_|i-j| + P_{i+j} -------------------------------------------------------------


def _tied_trace(n, lags):
    """Σ_i E A_ii = Σ_i (1 + E P_2i)."""
    inner = slice(1, n)
    return np.sum(1 + lags.r_twice[inner] * lags.D_twice[inner])


def _tied_total(n, m, lags):
    """Σ_ij E A_ij² = Σ_ij E (P_|i-j|² + P_{i+j}²) + 2 Σ_ij E P_|i-j| P_{i+j}."""
    return _pairs_at_lag(n) @ lags.square + _correlation(n, m, lags)


def _pairs_at_lag(n):
    """How many pairs 1 <= i, j < n have |i - j| = l, plus how many i + j = l, l = 0 ... 2n - 2."""
    lag = np.arange(2 * n - 1)
    difference = 2 * np.maximum(n - 1 - lag, 0)
    difference[0] = n - 1
    total = np.minimum(lag - 1, 2 * n - 1 - lag)
    return difference + np.maximum(total, 0)


def _correlation(n, m, lags):
    """2 Σ_ij E P_|i-j| P_{i+j} = 2 Σ_ij [ρ D_|i-j| D_{i+j} + D_2i (r_2i - ρ) / m].

    ρ = r_|i-j| r_{i+j}. The second part is the covariance, of which half comes from D_2i and
    as much from D_2j. Both parts vanish unless i is a multiple of m.
    """
    i = np.arange(m, n, m)[:, None]
    j = np.arange(1, n)
    near = abs(i - j)
    far = i + j
    rho = lags.r[near] * lags.r[far]
    means = rho * lags.D[near] * lags.D[far]
    covariance = lags.D_twice[i] * (lags.r_twice[i] - rho) / m
    return 2 * np.sum(means + covariance)


# --- w̃ with jitter of its own: E A_ij = r_i r_j (D_{i-j} + D_{i+j}) -------------------------------


def _untied_trace(n, lags):
    """Σ_i E A_ii = Σ_i r_i² (1 + D_2i)."""
    inner = slice(1, n)
    return np.sum(lags.r[inner] ** 2 * (1 + lags.D_twice[inner]))


def _untied_total(n, m, lags):
    """Σ_ij E A_ij² = Σ_ij (E A_ij)² + Σ_ij Var A_ij."""
    i = lags.i[1:n]
    kept = lags.r[1:n] ** 2
    r_twice = lags.r_twice[1:n]
    return _squared_means(m, i, kept) + _summed_variances(m, i, kept, r_twice)


def _squared_means(m, i, kept):
    """Σ_ij (E A_ij)², E A_ij = r_i r_j (D_{i-j} + D_{i+j}), kept = r_i².

    i and j meet where i = ±j modulo 2m, so that classes of equal distance c to a multiple of 2m
    meet among themselves: at c = 0 with both signs (4 times), at c = m with opposite ones (never).
    """
    distance = np.minimum(i % (2 * m), -i % (2 * m))
    met = np.bincount(distance, kept, m + 1)
    return 4 * met[0] ** 2 + np.sum(met[1:m] ** 2)


def _summed_variances(m, i, kept, r_twice):
    """Σ_ij Var A_ij = (4/m²) Σ_l (p_l² - q_l²) = (1/m) Σ_c s_c (h_c² - k_c²), kept = r_i².

    On the exact grid cos(2w_l i) = ± cos(2w_l c) for one 0 <= c <= m/2, so that

        2 p_l = 2 Σ_i E cos²(w_l i)   = Σ_i (1 + r_2i cos(2w_l i)) = Σ_c h_c cos(2w_l c),
        2 q_l = 2 Σ_i (E cos(w_l i))² = Σ_i r_i² (1 + cos(2w_l i)) = Σ_c k_c cos(2w_l c).

    s_c, the mean of cos²(2w_l c) over the grid, is 1 at c = 0, 0 at c = m/2, and else ½.
    """
    c, sign = _alias(i, m)
    length = m // 2 + 1
    h = np.bincount(c, sign * r_twice, length)
    k = np.bincount(c, sign * kept, length)
    h[0] += len(i)
    k[0] += kept.sum()
    s = np.full(length, 0.5)
    if m % 2 == 0:
        s[-1] = 0
    s[0] = 1
    return s @ (h**2 - k**2) / m


def _alias(i, m):
    """c and the sign of cos(2w_l i) = ± cos(2w_l c) at every l of the exact grid, 0 <= c <= m/2."""
    rest = i % m
    turns = 1 - 2 * (i // m % 2)
    mirrored = np.where(2 * rest > m, -1, 1)
    return np.minimum(rest, m - rest), turns * mirrored
