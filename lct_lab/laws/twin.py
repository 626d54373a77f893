"""A small start of the same kind: what a law of mean squares cannot know, seen on drawn frequencies.

A median needs the distribution of a gradient, and that hangs on how the vectors that make it lie to
each other, frequency by frequency. They are drawn here, at a size of at most `SAMPLES` and the same
N/M, always the same draws; nothing of x is drawn. What changes with the size is scaled: notebook 08
("The median") derives how.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.init import INITS
from lct_lab.laws.spectrum import Spectrum

SAMPLES = 256  # of a twin at most
FEWEST = 32  # frequencies of a twin, at least
ENTRIES = 6144  # frequencies of all its draws together, at least
FEWEST_DRAWS = 4

# The vectors over 1 <= n < N that a gradient is made of, for each k; K = (2/M) Σ_j cos w̃_j cos w_j
SLOPE, ROW, OUTPUT, BACK, FRONT, SLOPE_OF_OUTPUT, BACK_SLOPE = range(7)
# those that are not orthogonal only where w̃_k happens to lie within 1/N of w_k
PAIRED = ((SLOPE, BACK), (OUTPUT, BACK), (FRONT, BACK_SLOPE), (SLOPE_OF_OUTPUT, BACK_SLOPE))


@dataclass(frozen=True, eq=False)
class Twin:
    """Drawn frequencies of a small start, as inner products.

    n, m   its size
    gram   (entries, 7, 7), of n sin(w_k n), z_n = Σ_j cos(w_j n)/M, cos(w̃_k ·) K, cos(w̃_k n),
           cos(w_k n), n sin(w̃_k ·) K and n sin(w̃_k n), with the correlations of the signal
    echo   (entries, 2), Σ_n cos(w̃_k n) P_n and Σ_n n sin(w̃_k n) P_n, P_n = Σ_j cos(w̃_j n)/M
    chance (entries,) even in (0, 1): which entries keep a chance meeting of w_k and w̃_k
    traces (draws, 9) of products of G = KᵀK and S = (K + Kᵀ)/2: `powers` reads them
    """

    n: int
    m: int
    gram: np.ndarray
    echo: np.ndarray
    chance: np.ndarray
    traces: np.ndarray

    def kept(self, share):
        """The Gram matrices where w_k and w̃_k meet by chance in a `share` of the entries alone."""
        apart = self.chance >= share
        gram = self.gram.copy()
        for one, other in PAIRED:
            gram[apart, one, other] = 0
            gram[apart, other, one] = 0
        return gram

    def powers(self, alpha):
        """tr Q, tr Q² and tr Q³ of each draw, Q = α² G - α S, of which xᵀQx is a4 ∂L/∂a4 / 2."""
        g, s, gg, gs, ss, ggg, ggs, gss, sss = self.traces.T
        second = alpha**4 * gg - 2 * alpha**3 * gs + alpha**2 * ss
        third = alpha**6 * ggg - 3 * alpha**5 * ggs + 3 * alpha**4 * gss - alpha**3 * sss
        return alpha**2 * g - alpha * s, second, third


def twin_of(s, init, tied):
    """The `Twin` of a `Setting`."""
    n, m = size(s.n, s.m)
    return twin(n, m, init, tied, s.signal.spectrum, s.signal.colour)


def size(n, m):
    """Samples and frequencies of the twin of n and m: N/M kept as well as whole numbers allow."""
    samples = np.arange(max(FEWEST, SAMPLES * 3 // 4), SAMPLES + 1) if n > SAMPLES else np.array([n])
    exact = samples * m / n
    best = np.argmin(abs(exact - np.round(exact)) / exact - 1e-6 * samples)
    return int(samples[best]), max(FEWEST, round(exact[best]))


@lru_cache(maxsize=64)
def twin(n, m, init, tied, spectrum, colour):
    """The `Twin` of n samples and m frequencies. spectrum : None if white."""
    rng = np.random.default_rng(0)
    draws = max(FEWEST_DRAWS, math.ceil(ENTRIES / m))
    root = None if spectrum is None else root_of_covariance(spectrum, colour, n - 1)
    parts = [_drawn(n, m, init, tied, root, rng) for _ in range(draws)]
    gram, echo, traces = (np.concatenate(part) for part in zip(*parts, strict=True))
    chance = rng.permutation(np.arange(len(gram)) + 0.5) / len(gram)
    return Twin(n, m, gram, echo, chance, traces)


def root_of_covariance(spectrum: Spectrum, colour, n):
    """The square root of the covariance of n samples, whose spectrum has the measured colour κ.

    A spectrum of few windows holds their noise, and its square is too large. So the correlations
    are faded out, by a Gaussian of the lag, until 1 + 2 Σ r_l² = κ.
    """
    lag = np.arange(1, len(spectrum.r))
    r = spectrum.r[1:] / (1 - lag / len(spectrum.r))
    rates = np.concatenate([[0], np.geomspace(1e-3, 100, 200)]) / len(spectrum.r)
    colours = np.array([1 + 2 * np.sum((r * np.exp(-((rate * lag) ** 2))) ** 2) for rate in rates])
    rate = rates[np.argmax(colours <= colour)]
    faded = np.concatenate([[1], r * np.exp(-((rate * lag) ** 2))])
    distance = abs(np.arange(n)[:, None] - np.arange(n))
    value, vector = np.linalg.eigh(faded[distance])
    value = np.maximum(value, 0)
    return vector * np.sqrt(value * n / value.sum())


def _drawn(n, m, init, tied, root, rng):
    """Gram matrices, echoes and traces of one start."""
    sample = np.arange(1, n)
    w = INITS[init].frequencies(m, rng)
    back_w = w if tied else INITS[init].frequencies(m, rng)
    front, slope = _waves(w, sample)
    back, back_slope = (front, slope) if tied else _waves(back_w, sample)
    K = 2 / m * back.T @ front
    P = back.mean(0)
    vectors = [slope, np.broadcast_to(front.mean(0), front.shape), back @ K, back, front]
    vectors = np.stack([*vectors, back_slope @ K, back_slope], axis=1)
    if root is not None:
        vectors = vectors @ root
        K = root.T @ K @ root
    gram = vectors @ vectors.transpose(0, 2, 1)
    return gram, np.stack([back @ P, back_slope @ P], axis=1), _traces(K)[None]


def _waves(w, sample):
    """cos(w_k n) and n sin(w_k n): two arrays (m, n - 1)."""
    phase = np.outer(w, sample)
    return np.cos(phase), sample * np.sin(phase)


def _traces(K):
    """tr G, S, GG, GS, SS, GGG, GGS, GSS, SSS."""
    G, S = K.T @ K, (K + K.T) / 2
    GG, SS = G @ G, S @ S
    single = [np.trace(G), np.trace(S)]
    double = [np.trace(GG), np.sum(G * S), np.trace(SS)]
    return np.array([*single, *double, *(np.sum(a * b) for a, b in ((GG, G), (GG, S), (SS, G), (SS, S)))])
