"""The exact grid with N > M at finite sizes: sums over the classes of samples it cannot tell apart.

On the grid cos(w_k n) is, up to one sign for all k, that of the place of n: its distance from the
nearest 2Mq. All samples of one place are a class. With C samples in the class, and t_n the sum of
n' over them, with the sign that n' sin(w_k n') has beside sin(w_k n), `around.Local` is made of

    place            E cos²   E sin²   (cos(w_k ·) A)_n   (n sin(w_k ·) A)_n
    0 (n = 2Mq)      1        0        2C cos             0
    between          1/2      1/2      C cos              t_n sin
    M                0        1        0                  0

Near N = M, or where α C is nearly 1, what one sample does is all there is: a limit N → ∞ has it
wrong.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Folded:
    """Sums over the samples of an exact grid with N > M: means over frequencies, as in `Local`.

    u_1 is the error of a cosine and u_2 that of n times a sine. alone : how far one class of
    samples makes all of either, Σ_c s_c² / (Σ_c s_c)² of what each class c adds to its square.
    """

    first: float  # E |u_1|²
    second: float  # E |u_2|²
    pull: float  # E τ·u_2
    own: float  # E ẽ_0·u_1
    wobble: float  # E tr S_s² / N
    diagonal: float  # Σ_n (E S_nn)² / N
    alone: float


def folded(near, n, m, alpha, tied):
    """A `Local` of the exact grid, with what sums over n < N alone at this size."""
    of = sums_of_folded(n, m, alpha)
    both = of.first / 3 + of.second + 2 * of.own * of.pull
    return replace(
        near,
        square_w1=both if tied else of.first / 3,
        square_w2=0.0 if tied else of.second,
        second=of.second,
        pull=of.pull,
        own=of.own,
        wobble=of.wobble,
        diagonal=of.diagonal,
    )


@lru_cache(maxsize=64)
def sums_of_folded(n, m, alpha):
    """The `Folded` of N, M and α."""
    place, count, added = classes(n, m)
    sample, at_first, at_last = np.arange(1, n), place == 0, place == m
    of_cosine = np.where(at_first, 1.0, np.where(at_last, 0.0, 0.5))  # E cos²
    of_sine = 1 - of_cosine
    gain = np.where(at_first, 2 * count, np.where(at_last, 0, count))
    cosine, sine = alpha * gain - 1, alpha * added - sample
    eigenvalue = alpha**2 * gain**2 - alpha * gain
    energy = np.sum(sample.astype(float) ** 2)  # 2 Σ n² E sin²
    return Folded(
        first=2 * np.mean(of_cosine * cosine**2),
        second=2 * np.sum(of_sine * sine**2) / energy / 3,
        pull=2 * np.sum(of_sine * sine * sample) / energy / 3,
        own=2 * np.mean(of_cosine * cosine),
        wobble=np.sum(eigenvalue**2 / count) / n,
        diagonal=np.sum((eigenvalue / count) ** 2) / n,
        alone=max(_alone(place, of_cosine * cosine**2), _alone(place, of_sine * sine**2)),
    )


def _alone(place, square):
    added = np.bincount(place, square)
    return float(added @ added / added.sum() ** 2) if added.sum() else 0.0


def classes(n, m):
    """(place, C, t) of each sample 1 <= n' < n; t is 0 at the places 0 and M."""
    sample = np.arange(1, n)
    rest = sample % (2 * m)
    place = np.minimum(rest, 2 * m - rest)
    count = np.bincount(place, minlength=m + 1)[place]
    signed = np.bincount(rest, sample, 2 * m)
    return place, count, signed[rest] - signed[-rest % (2 * m)]
