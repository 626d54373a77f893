"""Two chains of exponential gaps: what sorting makes of the frequency gradients (notebook 06).

Near w_k the other frequencies of a sorted draw are a two-sided chain of exponential gaps. With N Δw
as the unit of length x_i and y_i (x_0 = y_0 = 0) are two such chains of mean gap πγ, and with
s(x) = sin x / x the mean squares hold

    F = γ  Σ_ij E[s(x_i) s(x_j)]   ( E s(y_i - y_j) + 6 E[s'(y_i) s'(y_j)] )
    F̃ = 3γ Σ_ij E[s'(x_i) s'(x_j)] ( E s(y_i - y_j) + 2 E[s(y_i) s(y_j)] )
    floor = 3γ Σ_ij E[s(x_i) s(x_j)] E[s'(y_i) s'(y_j)]

in the place of 1 + γ, 1 and 0.
"""

import math
from functools import lru_cache

import numpy as np

from lct_lab.laws.quadrature import gauss

REACH = 70  # how far, in units of 1/N, the sums over the chain run term by term
PANEL = 14  # the length of chain that one panel of twelve nodes integrates

# log2 γ, F, F̃ and their common floor, from `chain_sums`.
TABLE = np.array(
    [
        (-4.0, 16.79463, 13.50942, 0.586850),
        (-3.5, 12.21746, 9.38241, 0.491580),
        (-3.0, 9.02313, 6.57797, 0.408557),
        (-2.5, 6.81408, 4.69309, 0.339875),
        (-2.0, 5.31008, 3.44319, 0.286069),
        (-1.5, 4.31502, 2.62788, 0.246065),
        (-1.0, 3.69413, 2.10582, 0.217162),
        (-0.5, 3.35865, 1.77600, 0.195119),
        (0.0, 3.25754, 1.56552, 0.175139),
        (0.5, 3.37516, 1.42434, 0.153899),
        (1.0, 3.73123, 1.32279, 0.130827),
        (1.5, 4.37971, 1.24520, 0.107357),
        (2.0, 5.41156, 1.18602, 0.085346),
        (2.5, 6.96095, 1.13969, 0.066090),
        (3.0, 9.22265, 1.10381, 0.050121),
        (3.5, 12.47550, 1.07640, 0.037394),
        (4.0, 17.11685, 1.05578, 0.027547),
    ]
)


@lru_cache(maxsize=4096)
def chain(gamma):
    """F(γ), F̃(γ) and their floor by cubic interpolation in log γ of `TABLE`, to 2e-3."""
    place = (math.log2(gamma) - TABLE[0, 0]) / (TABLE[1, 0] - TABLE[0, 0])
    return tuple(np.exp(_spline(np.log(TABLE[:, 1:]), place)).tolist())


def _spline(values, place):
    """The cubic spline through values (rows, columns) at 0, 1, 2, …, at a place: (columns,).

    Its second derivatives c hold c_{i-1} + 4 c_i + c_{i+1} = 6 (v_{i-1} - 2 v_i + v_{i+1}), and at
    either end its third derivative does not jump. As scipy's, which takes a tenth of a second to
    import.
    """
    count = len(values)
    inner = np.eye(count, k=-1) + 4 * np.eye(count) + np.eye(count, k=1)
    inner[[0, -1]] = 0
    inner[0, :3] = inner[-1, -3:] = 1, -2, 1
    bends = np.zeros_like(values)
    bends[1:-1] = 6 * np.diff(values, 2, axis=0)
    c = np.linalg.solve(inner, bends)
    i = min(int(place), count - 2)
    after, before = place - i, i + 1 - place
    straight = before * values[i] + after * values[i + 1]
    return straight + (before**3 - before) / 6 * c[i] + (after**3 - after) / 6 * c[i + 1]


def chain_sums(gamma):
    """F(γ), F̃(γ) and their floor as integrals; takes seconds.

    Summed to x ≈ `REACH`; the rest, where s(x) s(x + d) is on average cos(d) / 2x², is added.
    """
    count = max(8, int(REACH / (math.pi * gamma)))
    single, slope, products, slopes = _moments(gamma, count)
    of_s = _two_sided(products, single, odd=False)
    of_slope = _two_sided(slopes, slope, odd=True)
    index = np.arange(2 * count + 1)
    apart = np.concatenate([[1.0], single, np.zeros(count)])[abs(index[:, None] - index)]
    tail = _tail(gamma, single)
    floor = 3 * gamma * np.sum(of_s * of_slope)
    f_w = gamma * (np.sum(of_s * apart) + tail) + 2 * floor
    f_w2 = 3 * gamma * (np.sum(of_slope * apart) + tail) + 2 * floor
    return float(f_w), float(f_w2), float(floor)


def _moments(gamma, count):
    """E s(x_i), E s'(x_i), E s(x_i) s(x_{i+d}), E s'(x_i) s'(x_{i+d}) at [i-1, d], i <= count.

    s(x) = ∫_0^1 cos(tx) dt and E e^{itx_i} = φ(t)^i, φ(t) = 1/(1 - iπγt), so each mean is an
    integral over (0, 1)² of powers of φ.
    """
    t, weight = _panels(max(10, int(count * math.pi * gamma / PANEL)))
    place = np.arange(1, count + 1)[:, None]
    distance = np.arange(count)[:, None]

    def power(argument, exponent):
        return (1 - 1j * math.pi * gamma * argument) ** -exponent

    one = power(t, place)
    single, slope = (one @ weight).real, -(one @ (weight * t)).imag
    products, slopes = np.zeros((count, count)), np.zeros((count, count))
    gaps = power(t, distance)
    for first, first_weight in zip(t, weight, strict=True):
        plus, minus = power(first + t, place), power(first - t, place)
        flat, sloped = first_weight * weight, first_weight * first * weight * t
        products += _half_sum(plus, minus, gaps, flat, sign=1)
        slopes += _half_sum(plus, minus, gaps, sloped, sign=-1)
    return single, slope, products, slopes


def _panels(count):
    """Nodes and weights of `count` panels of twelve Gauss nodes over (0, 1)."""
    t, weight = gauss(12)
    nodes = ((np.arange(count)[:, None] + t) / count).ravel()
    return nodes, np.tile(weight / count, count)


def _half_sum(plus, minus, gaps, weight, sign):
    """½ Re Σ_t weight [φ(t₁ - t)^i φ̄(t)^d ± φ(t₁ + t)^i φ(t)^d]: of cosines +, of sines -."""
    same = (minus * weight) @ gaps.conj().T
    other = (plus * weight) @ gaps.T
    return same.real / 2 + sign * other.real / 2


def _tail(gamma, single):
    """What lies beyond the last x_i: ½ Σ_i Σ_d E cos(x_d) E s(y_d) / x_i², d = |i - j|."""
    count = len(single)
    far = (1 - 1j * math.pi * gamma) ** -np.arange(1, count)
    both = 1 + 2 * np.sum(far.real * single[: count - 1])
    return both / ((math.pi * gamma) ** 2 * (count + 0.5))


def _two_sided(same, single, odd):
    """E f(x_i) f(x_j), -K <= i, j <= K, from one side's `same`[i-1, d] and E f(x_i) = `single`.

    Two places on one side differ by a chain of |i - j| gaps; across x_0 = 0 they are independent.
    f is even with f(0) = 1, or odd with f(0) = 0.
    """
    count = len(single)
    place = np.arange(1, count + 1)
    nearer, gap = np.minimum(place[:, None], place) - 1, abs(place[:, None] - place)
    side = same[nearer, gap]
    across = (-1.0 if odd else 1.0) * np.outer(single[::-1], single)
    full = np.empty((2 * count + 1, 2 * count + 1))
    full[count + 1 :, count + 1 :], full[:count, :count] = side, side[::-1, ::-1]
    full[:count, count + 1 :], full[count + 1 :, :count] = across, across.T
    centre = np.concatenate([single[::-1], [1.0], single]) * (not odd)
    full[count], full[:, count] = centre, centre
    return full
