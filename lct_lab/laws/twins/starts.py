"""The size of a twin, its drawn frequencies, and the vectors that a gradient is made of."""

import math
from typing import NamedTuple

import numpy as np

from lct_lab.init import INITS

ENTRIES = 6144  # frequencies of all starts of a twin together: their median errs by about 1 %
FEWEST = 32  # frequencies of a start, at least, unless that takes more than WIDEST samples
SHORTEST = 128  # samples of a start, at least, unless there are fewer
WIDEST = 1024  # samples of a start, or an eighth more, where FEWEST asks for so many
LARGEST = 2**22  # samples times frequencies of a start: what is made of it takes a few 100 MB
SLIGHTLY = 1e-6  # how much N/M may be off for one sample more
STEP = 16  # samples whose waves are multiplied by those of the multiples of it

# The vectors that a gradient is made of, of each k. Those over 1 <= n < N, with
# K = (2/M) Σ_j cos w̃_j cos w_j: n sin(w_k n), P_n = Σ_j cos(w_j n)/M, cos(w̃_k ·) K, cos(w̃_k n),
# cos(w_k n), n sin(w̃_k ·) K and n sin(w̃_k n). Those at n = 0, with P̃_n = Σ_j cos(w̃_j n)/M:
# 1, Σ_n cos(w̃_k n) P̃_n and Σ_n n sin(w̃_k n) P̃_n
LATER = SLOPE, ROW, OUTPUT, BACK, FRONT, SLOPE_OF_OUTPUT, BACK_SLOPE = range(7)
FIRST, FIRST_IN_OUTPUT, FIRST_IN_SLOPE = range(7, 10)


class Median(NamedTuple):
    """A median, and its relative standard error where few starts and windows were drawn for it."""

    value: float
    error: float


class Waves(NamedTuple):
    """cos(w_k n) and n sin(w_k n), 1 <= n < N, and the same of w̃: four arrays (m, n - 1)."""

    front: np.ndarray
    slope: np.ndarray
    back: np.ndarray
    back_slope: np.ndarray

    def of(self, entries):
        """The waves of some k."""
        return Waves(*(wave[entries] for wave in self))


def size_of_twin(n, m, most):
    """Samples and frequencies of a twin: N/M kept as well as whole numbers allow.

    `most` samples or fewer, as `LARGEST` allows. If that left fewer than `FEWEST` frequencies, more
    samples, up to 9/8 of `WIDEST`: few frequencies make another start of it if N/M is not kept.
    Far from N = M it is not, beyond 128 and below 1/256: see `keeps_ratio`.
    """
    needed = min(math.ceil(FEWEST * n / m), WIDEST)
    affordable = max(math.isqrt(LARGEST * n // m), SHORTEST)
    most = max(min(most, affordable), needed)
    if n <= most:
        return n, min(m, LARGEST // n)
    samples = np.arange(max(most * 3 // 4, needed), max(most, needed * 9 // 8) + 1)
    samples = samples[samples <= n]
    exact = samples * m / n
    off = abs(exact - np.round(exact)) / exact
    best = np.argmin(off - SLIGHTLY * samples)
    frequencies = min(round(exact[best]), LARGEST // samples[best])
    return int(samples[best]), int(max(FEWEST // 4, frequencies))


def keeps_ratio(n, m, twin):
    """Whether a twin has the N/M of n and m, as well as a whole number of frequencies can."""
    return 2 * abs(twin.n * m - n * twin.m) <= n


def waves_of(n, m, init, tied, rng):
    """The `Waves` of drawn frequencies."""
    front = waves(INITS[init].frequencies(m, rng), n)
    back = front if tied else waves(INITS[init].frequencies(m, rng), n)
    return Waves(*front, *back)


def waves(w, n):
    """cos(w_k j) and j sin(w_k j), 1 <= j < n: two arrays (m, n - 1).

    By e^{iw(r + q)} = e^{iwr} e^{iwq}, 0 <= r < `STEP` and q its multiples.
    """
    near = np.exp(1j * np.outer(w, np.arange(STEP)))
    far = np.exp(1j * np.outer(w, np.arange(0, n, STEP)))
    turns = (far[:, :, None] * near[:, None, :]).reshape(len(w), -1)[:, 1:n]
    return np.ascontiguousarray(turns.real), np.arange(1, n) * turns.imag


def at_first(start, entries):
    """(entries, 3) the vectors at n = 0."""
    P, kept = start.back.mean(0), start.of(entries)
    return np.stack([np.ones(len(kept.back)), kept.back @ P, kept.back_slope @ P], axis=1)


def on_signals(start, signals, entries):
    """(entries, 10, signals) products of the vectors with signals (n, signals)."""
    later = signals[1:]
    coefficients = start.front @ later
    output = 2 / len(start.front) * start.back.T @ coefficients
    kept = start.of(entries)
    front = coefficients[entries]
    of_later = in_order(
        {
            SLOPE: kept.slope @ later,
            ROW: np.broadcast_to(coefficients.mean(0), front.shape),
            OUTPUT: kept.back @ output,
            BACK: kept.back @ later,
            FRONT: front,
            SLOPE_OF_OUTPUT: kept.back_slope @ output,
            BACK_SLOPE: kept.back_slope @ later,
        }
    )
    of_first = at_first(start, entries)[:, :, None] * signals[0]
    return np.concatenate([of_later, of_first], axis=1)


def in_order(vectors):
    """(entries, 7, …) of {name: (entries, …)}, `LATER`."""
    return np.stack([vectors[name] for name in LATER], axis=1)


def evenly(count, most):
    """Which of `count` to take, `most` of them or all."""
    taken = min(count, most)
    return np.arange(taken) * count // taken


def cut_at_random(windows, rows, n, rng):
    """(rows, n): of each of these rows n samples from a random place, and its own x_0 as first."""
    starts = rng.integers(windows.shape[1] - n + 1, size=len(rows))
    pieces = windows[rows[:, None], starts[:, None] + np.arange(n)]
    pieces[:, 0] = windows[rows, 0]
    return pieces
