"""The curvature of the expected loss at the evenly spread frequencies: a spectrum of sine waves.

Let w_k = (k + ½) π/m, k = 0 … m-1, and displace it along a wave of the index,

    δw_k = A sin(q w_k),    q = 1 … m.

To first order only two of the lag sums P(l) = Σ_k cos(l w_k) move, because

    δP(l) = -l A Σ_k sin(l w_k) sin(q w_k)

is zero on the grid but at l = q and at its *alias* l = 2m - q, where the sampled waves are those
of q. The product of synthesis and analysis is the identity on the grid, so that near it E L / Nσ²
is the mean square of the product's displacement alone, E = h_q A². Short waves are stiff, since
their lags are met by many pairs of samples. Long ones would be almost free without their alias.
"""

import math
from functools import lru_cache

import numpy as np

from lct_lab.checks import require_size
from lct_lab.training.loss import index_pairs

# Waves on the grid: the discrete sine transform of the index


def wave_sums(values):
    """Σ_k v_k sin(q w_k), q = 1 … m, on the grid w_k = (k + ½) π/m: (m,) -> (m,)."""
    from scipy.fft import dst

    return dst(values, 2) / 2


def sum_of_waves(heights):
    """Σ_q A_q sin(q w_k), k = 0 … m-1, on the grid w_k = (k + ½) π/m: (m,) -> (m,)."""
    from scipy.fft import idst

    m = len(heights)
    weights = m * np.asarray(heights, float)
    weights[-1] *= 2  # sin(m w_k) = ±1, whose square sums to m and not to m/2
    return idst(weights, 2)


# The spectra


@lru_cache(maxsize=2)
def tied_curvature(n, m):
    """h_q of a tied model at a1 a3 = 1, a2 a4 = 2, scaled by 1/m: E L / Nσ² = h_q A².

    h_q = (c(q) q² + c(2m-q) (2m-q)²) / 4n,    twice that at q = m, its own alias

    c(l) counts the pairs of samples i, j ≥ 1 with |i-j| = l or i+j = l, and four for the edges of
    the product, row and column 0, where 1 ≤ l < n. At m = n and 1 < q ≪ n this is (q-1) n + …:
    waves of w are up to n times stiffer than each other, and q = 1 has no alias below 2n - 1.

    n, m : samples, and as many frequencies or more. Returns (m,), q = 1 … m; A in radians a sample.
    Raises ValueError or TypeError naming n or m.
    """
    n, m = _require_sizes(n, m)
    counts = np.zeros(2 * m + 1)
    counts[: 2 * n - 1] = index_pairs(n).c
    counts[1:n] += 4
    lag = np.arange(1, m + 1)
    alias = 2 * m - lag
    h = (counts[lag] * lag**2 + counts[alias] * alias**2) / (4 * n)
    h[-1] *= 2
    return _read_only(h)


@lru_cache(maxsize=2)
def one_sided_curvature(n, m):
    """h_q of an untied model where only one of its two sides is displaced: E L / Nσ² = h_q A².

    h_q = (Σ j² over i+j = q, i+j = 2m-q and |i-j| = q, and 2q² where q < n) / 4n

    Here the samples i and j of a pair count by j², the one whose cosine is displaced. At m = n this
    is n²/6 for every q ≪ n: one side alone has no soft waves. Arguments as in `tied_curvature`.
    """
    n, m = _require_sizes(n, m)
    q = np.arange(1, m + 1)
    diagonals = _squares_to(n - 1) - _squares_to(q) + _squares_to(n - 1 - q)
    antidiagonals = _squares_on_antidiagonal(q, n) + _squares_on_antidiagonal(2 * m - q, n)
    edge = np.where(q < n, 2 * q**2, 0)
    h = (np.where(q < n, diagonals, 0) + antidiagonals + edge) / (4 * n)
    h[-1] *= 2
    return _read_only(h)


def opposite_curvature(n, m):
    """h_q of an untied model whose sides are displaced by A and -A: four one-sided less the tied.

    The loss is a square form: E(A, A) + E(A, -A) = 2 E(A, 0) + 2 E(0, A). With `tied_curvature`, of
    both sides alike, this is the spectrum of an untied model. Arguments as there.
    """
    return 4 * one_sided_curvature(n, m) - tied_curvature(n, m)


def valley(height, n):
    """E L / Nσ² along w_k = (k + ½) π/n + A sin w_k, the softest wave, at large n.

    E = Σ_{p ≥ 2} (p - 1) J_p(2 n A)² / n  →  n³ A⁴ / 4,    to which q = 1 adds A²/2

    The displaced chain leaves the identity only where i + j is close to 2n, by the coefficients
    of exp(i 2 n A sin w), which are Bessel functions. `height` : A, radians a sample.
    """
    from scipy.special import jv

    n = require_size("n", n)
    argument = 2 * n * np.abs(np.asarray(height, float))
    orders = np.arange(2, 40 + int(2 * argument.max(initial=0.0)))
    squares = jv(orders, argument[..., None]) ** 2
    return squares @ (orders - 1) / n + np.asarray(height) ** 2 / 2


def amplitude_curvature(n, a1, a2, a3, a4, trained):
    """∂²(E L / Nσ²) along the amplitudes of the start and of the rest, near the identity.

    E = (a1 a3 - 1)² / n + (a2 a4 / 2 - 1)² (n - 1) / n

    so that the curvature of the first pair is 2 (a1² + a3²)/n and of the second ½ (a2² + a4²):
    only the products matter, and a pair moves together. An amplitude that is not among the names
    `trained` leaves its partner alone with the curvature of one. Returns one number a name.
    """
    value = {"a1": a1, "a2": a2, "a3": a3, "a4": a4}
    of_pair = {("a1", "a3"): 2 / n, ("a2", "a4"): 0.5}
    curvature = {}
    for (left, right), factor in of_pair.items():
        partner = {left: right, right: left}
        moving = [name for name in partner if name in trained]
        square = sum(value[partner[name]] ** 2 for name in moving)
        curvature |= dict.fromkeys(moving, factor * square)
    return curvature


# Newton's step


def newton_waves(slopes, n, damping=0.0):
    """The heights A_q that Newton's method takes off tied frequencies: ∂E/∂A_q, (m,) -> (m,).

    With fewer samples than frequencies, A_q = slope / 2h_q. At m = n the whole Hessian is known,

    ½ ∂²E/∂A_q∂A_r = h_q δ_qr + C_qr,    C_qr = min(q, r) for q ≠ r of one parity, else zero,

    and solved in O(m). q = 1 stands apart: there the loss is A²/2 + n³A⁴/4 (`valley`), and what the
    other waves leave of its slope, A + n³A³, gives A at once. It waits until it has more to gain
    than they have: before, its slope is mostly theirs.

    damping : μ of Levenberg and Marquardt, added to h_q as μ q n. Waves shorter than the samples
        can see, q ≥ n, count as q n / 4 at least.
    """
    n, m = require_size("n", n), len(slopes)
    q = np.arange(1, m + 1)
    h = tied_curvature(n, m) + damping * n * q
    if n < m:
        unseen = np.where(q >= n, n * q / 4, 0)
        return slopes / (2 * np.maximum(h, unseen))
    heights = np.empty(m)
    for first in (1, 2):  # even and odd waves, q = 1 left out
        same = slice(first, None, 2)
        heights[same] = _solve(slopes[same], h[same], q[same])
    left = slopes[0] - 2 * heights[2::2].sum()  # C_1r = 1 for every odd r
    height = _height_in_valley(left, n)
    gain = height**2 / 2 + n**3 * height**4 / 4
    gain_of_others = slopes[1:] @ heights[1:] / 2
    heights[0] = height if gain > gain_of_others else 0.0
    return heights


def _solve(slopes, h, q):
    """x of 2 (D + K) x = slopes, D = diag(h - q), K_qr = min(q, r), by one banded solve.

    K is the covariance of a random walk that is looked at at the times q. Its inverse T has three
    diagonals, and y = K x obeys (T + D⁻¹) y = D⁻¹ slopes / 2.
    """
    from scipy.linalg import solveh_banded

    if len(q) < 2:
        return slopes / (2 * h)
    inverse_steps = 1 / np.diff(q, prepend=0)
    middle = inverse_steps.copy()
    middle[:-1] += inverse_steps[1:]
    above = np.concatenate([[0.0], -inverse_steps[1:]])
    D = h - q
    y = solveh_banded(np.vstack([above, middle + 1 / D]), slopes / 2 / D)
    return (slopes / 2 - y) / D


def _height_in_valley(slope, n):
    """A of A + n³ A³ = slope."""
    unit = 2 / math.sqrt(3 * n**3)
    return unit * math.sinh(math.asinh(3 * slope / unit) / 3)


def _squares_to(k):
    """Σ_{j=1}^k j², zero for k below 1."""
    k = np.maximum(k, 0.0)
    return k * (k + 1) * (2 * k + 1) / 6


def _squares_on_antidiagonal(l, n):
    """Σ j² over i + j = l, 1 ≤ i, j < n."""
    first = np.maximum(1, l - n + 1)
    last = np.minimum(l - 1, n - 1)
    return np.where(last >= first, _squares_to(last) - _squares_to(first - 1), 0)


def _require_sizes(n, m):
    n, m = require_size("n", n), require_size("m", m)
    if n > m:
        raise ValueError(f"n must be at most m = {m}, the frequencies, got {n}")
    return n, m


def _read_only(values):
    values.flags.writeable = False
    return values
