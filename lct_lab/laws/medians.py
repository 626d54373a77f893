"""Medians over starts of |gradient| (notebook 08, "The median").

Given the frequencies an entry of a frequency's gradient is a product (u·x)(v·x), tied a sum of two.
x is normal as far as sums of many samples can tell, so that a mean over B signals is

    Σ_i λ_i χ²_B,i / B,   λ the eigenvalues of P·G:   λ± = (u·v ± |u||v|)/2 of one product,

G the Gram matrix of the vectors and P what pairs them. The Gram matrices are those of a small twin.
a2 and a4 scatter about their mean with the skewness that the twin has, which matters where one
vector serves both sides; a1 and a3 are products of x_0, of the signal's own first samples, with
normal numbers.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from lct_lab.init import FREQUENCIES, HIGHEST, LOWEST
from lct_lab.laws import twin as twins
from lct_lab.laws.scalars import total
from lct_lab.laws.setting import NOISES

DRAWS = 8192  # of what is drawn at random: amplitudes, and the signals of a1 … a4
SIGNALS = 16  # drawn one by one of a batch; from there on its mean scatters as 1/√batch
NODES = 7  # values of a2 a4 between which a median is interpolated
QUANTILES = 4096  # of χ², of which each entry of the twin draws SIGNALS_EACH for each eigenvalue
SIGNALS_EACH = 64
ROUNDING = 1e-9  # of the variance of xᵀQx/N, where nothing of Q is left


def medians(s, init, tied, coupling, batch):
    """{group: median of |gradient|}: for w and w̃ the median over starts of the median entry.

    s : the `Setting`; amplitudes that are averaged over are drawn from U(½, 3/2), `DRAWS` of each,
    evenly spread. coupling : the laws, as in `couplings`. Always the same draws.
    """
    rng = np.random.default_rng(0)
    if np.size(s.a1) > 1:
        s = _with_drawn_amplitudes(s, rng)
    twin = twins.twin_of(s, init, tied)
    found = of_scalars(s, twin, coupling, batch, rng)
    return found | of_frequencies(s, twin, coupling.meetings, tied, batch)


def _with_drawn_amplitudes(s, rng):
    even = rng.permuted(np.tile(np.arange(DRAWS) + 0.5, (4, 1)), axis=1) / DRAWS
    a1, a2, a3, a4 = LOWEST + (HIGHEST - LOWEST) * even
    return replace(s, a1=a1, a2=a2, a3=a3, a4=a4)


# --- the frequencies ------------------------------------------------------------------------------


def of_frequencies(s, twin, meetings, tied, batch):
    """{group: median} of w and w̃; over drawn amplitudes by way of a2 a4, on which they hang."""
    if np.size(s.a1) == 1:
        a = [float(np.squeeze(value)) for value in (s.a1, s.a2, s.a3, s.a4)]
        return of_given_amplitudes(s, a, twin, meetings, tied, batch)
    node = np.geomspace(LOWEST**2, HIGHEST**2, NODES)
    at_nodes = [
        of_given_amplitudes(s, (1.0, root, 1.0, root), twin, meetings, tied, batch)
        for root in np.sqrt(node)
    ]
    drawn = np.log(s.a2 * s.a4)
    found = {}
    for group in at_nodes[0]:
        value = np.log([median[group] for median in at_nodes])
        found[group] = float(np.exp(np.median(np.interp(drawn, np.log(node), value))))
    return found


def of_given_amplitudes(s, a, twin, meetings, tied, batch):
    """{group: median over the twin's entries and over signals}, scaled by √(N³/M) to the size."""
    share = min(1.0, meetings(twin.n / s.n))
    analysis, synthesis = analysis_side(s, a, twin), synthesis_side(s, a, twin)
    groups = {"w1": [*analysis, *synthesis]} if tied else {"w1": analysis, "w2": synthesis}
    scale = s.variance * np.sqrt((s.n / twin.n) ** 3 * twin.m / s.m)
    gram = twin.kept(share)
    return {
        group: float(scale * median_of(eigenvalues(gram, vectors), batch))
        for group, vectors in groups.items()
    }


def analysis_side(s, a, twin):
    """[u, v] of w: ∂L/∂w_k = -(2 a2/√NM) (Σ n sin(w_k n) x_n) (√M g_k/2), as `Vector`s.

    √M g_k/2 = a3 (y_0 - x_0) + a4 Σ_n cos(w̃_k n) (y_n - x_n), with r = √(M/N)
             = x_0 (a3 p + a1 a4² r Σ cos P) + [a3² a2 r z + a4 (α cos(w̃_k ·) K - cos(w̃_k n))]·x
    """
    a1, a2, a3, a4 = a
    r, alpha, first = _ratios(s, a)
    p = a1 * a3 * r - 1
    own = np.sqrt(s.signal.slope_share)
    u = {twins.SLOPE: own * 2 * a2 / np.sqrt(twin.n * twin.m)}
    v = {
        twins.ROW: a3**2 * a2 * r * np.sqrt(twin.n / s.n),
        twins.OUTPUT: a4 * alpha,
        twins.BACK: -a4,
    }
    at_first = first * (a3 * p + a1 * a4**2 * r * twin.echo[:, 0])
    return [(u, 0.0), (v, at_first * np.sqrt(twin.n / s.n))]


def synthesis_side(s, a, twin):
    """[u, v] of w̃: ∂L/∂w̃_k = -(2 a4/√NM) (√N X_k) (S_k/2).

    √N X_k = a1 x_0 + a2 cos(w_k n)·x,   S_k/2 = a1 a4 r x_0 Σ n sin P + [α n sin(w̃_k ·) K - n sin]·x
    """
    a1, a2, _, a4 = a
    r, alpha, first = _ratios(s, a)
    scale = 2 * a4 / np.sqrt(twin.n * twin.m)
    thin = np.sqrt(twin.n / s.n)
    u = {twins.FRONT: scale * a2}
    v = {twins.SLOPE_OF_OUTPUT: alpha, twins.BACK_SLOPE: -np.sqrt(s.signal.slope_share)}
    return [(u, scale * first * a1 * thin), (v, first * a1 * a4 * r * twin.echo[:, 1] * thin)]


def _ratios(s, a):
    """√(M/N), α = a2 a4 √(M/N)/2, and σ_0/σ."""
    r = np.sqrt(s.m / s.n)
    return r, a[1] * a[3] / 2 * r, np.sqrt(s.signal.first_variance / s.variance)


def eigenvalues(gram, vectors):
    """λ (entries, 2) of a product (u·x)(v·x), (entries, 4) of a sum of two.

    Of P·G, G the Gram matrix of u, v, u', v', and P = ½ [[0, 1], [1, 0]] for either pair.
    """
    count, size = len(vectors), gram.shape[1]
    mix = np.zeros((count, size))
    corner = np.zeros((count, len(gram)))
    for row, (parts, first) in enumerate(vectors):
        mix[row, list(parts)] = list(parts.values())
        corner[row] = first
    G = mix @ gram @ mix.T + np.einsum("ik,jk->kij", corner, corner)
    if count == 2:
        sizes = np.sqrt(np.maximum(G[:, 0, 0] * G[:, 1, 1], 0))
        return np.stack([G[:, 0, 1] + sizes, G[:, 0, 1] - sizes], axis=1) / 2
    swapped = G[:, [1, 0, 3, 2]] / 2
    return np.linalg.eigvals(swapped).real


def median_of(values, batch):
    """The median of |Σ_i λ_i χ²_B,i/B| over entries and signals, λ (entries, 2 or 4)."""
    drawn = chi_squares(batch, *values.shape)
    return np.median(np.abs(np.einsum("ki,kiq->kq", values, drawn)))


@lru_cache(maxsize=8)
def chi_squares(batch, entries, count):
    """(entries, count, SIGNALS_EACH) of χ²_B/B: evenly spread quantiles, in a random order."""
    from scipy.special import gammaincinv

    place = (np.arange(QUANTILES) + 0.5) / QUANTILES
    quantile = 2 * gammaincinv(batch / 2, place) / batch
    each = entries * SIGNALS_EACH
    rng = np.random.default_rng(0)
    order = [rng.permutation(each) % QUANTILES for _ in range(count)]
    drawn = quantile[np.array(order)].reshape(count, entries, SIGNALS_EACH)
    return np.ascontiguousarray(drawn.transpose(1, 0, 2))


# --- a1 … a4 --------------------------------------------------------------------------------------


def of_scalars(s, twin, coupling, batch, rng):
    """{group: median} of a1 … a4, over `DRAWS` draws of what scatters."""
    signals = min(batch, SIGNALS)
    normal = rng.standard_normal((2, signals, DRAWS))
    x0 = first_samples(s.signal, rng, (signals, DRAWS))
    matrix, laws = coupling.matrix(s), coupling.laws(s)
    drawn = {
        "a1": of_a1(s, matrix, laws["a1"], x0, normal, batch),
        "a3": of_a3(s, matrix, laws["a3"], x0, normal, batch),
    }
    for group in ("a2", "a4"):
        law = laws[group]
        mean = total(law.mean)
        spread = np.sqrt(np.maximum(total(law.mean_square(batch)) - mean**2, 0))
        drawn[group] = mean + spread * skewed(normal[0, 0], skewness(s, twin, batch))
    return {group: float(np.median(np.abs(drawn[group]))) for group in ("a1", "a2", "a3", "a4")}


def first_samples(signal, rng, size):
    """x_0: of a table its own first column, else uniform or normal as the signal is."""
    if signal.first is not None:
        return rng.choice(signal.first, size)
    variance, fourth = NOISES["uniform"]
    flat = signal.fourth * variance**2 == signal.variance**2 * fourth
    unit = rng.uniform(-1, 1, size) * 3**0.5 if flat else rng.standard_normal(size)
    return unit * np.sqrt(signal.first_variance)


def of_a1(s, matrix, law, x0, normal, batch):
    """Drawn ∂L/∂a1 = 2 x_0 (slope x_0 + β ζ + η), see `scalars`."""
    mean = total(law.mean)
    own = mean / s.signal.first_variance * x0
    zeta, eta = normal[0] * np.sqrt(matrix.row), normal[1] * np.sqrt(matrix.rest)
    return _of_batch(mean, x0 * (own + 2 * matrix.slope * zeta + 2 * eta), batch)


def of_a3(s, matrix, law, x0, normal, batch):
    """Drawn ∂L/∂a3 = 2 (p x_0 + a3 ζ)(q x_0 + ζ), see `scalars`."""
    zeta = normal[0] * np.sqrt(matrix.row)
    values = 2 * (s.p * x0 + s.a3 * zeta) * (s.q * x0 + zeta)
    return _of_batch(total(law.mean), values, batch)


def _of_batch(mean, values, batch):
    """The mean over a batch of which `values` are some signals."""
    return mean + (values.mean(0) - mean) * np.sqrt(len(values) / batch)


def skewness(s, twin, batch):
    """Of xᵀQx over starts and B signals, Q = α² G - α S: that of the twin, which falls as 1/√N.

    Given the start its cumulants are k_1 = tr Q, k_2 = 2 tr Q²/B, k_3 = 8 tr Q³/B²; over starts the
    third is E (k_1 - E k_1)³ + 3 Cov(k_1, k_2) + E k_3.
    """
    alpha = s.alpha if np.size(s.alpha) == 1 else np.geomspace(s.alpha.min(), s.alpha.max(), NODES)
    found = []
    for value in np.ravel(alpha):
        one, two, three = twin.powers(value)
        two, three = 2 * two / batch, 8 * three / batch**2
        off = one - one.mean()
        third = np.mean(off**3) + 3 * np.mean(off * (two - two.mean())) + three.mean()
        square = np.mean(off**2) + two.mean()
        found.append(third / square**1.5 if square > ROUNDING * twin.n else 0.0)
    at_alpha = np.interp(s.alpha, np.ravel(alpha), found)
    return at_alpha * np.sqrt(twin.n / s.n)


def skewed(normal, skewness):
    """Normal numbers as those of a shifted lognormal: mean 0, variance 1 and that skewness.

    With ω = e^{τ²}, (e^{τZ} - √ω)/√(ω(ω - 1)) has the skewness (ω + 2)√(ω - 1).
    """
    size = np.maximum(np.abs(skewness), 1e-4)
    root = np.cbrt(1 + size**2 / 2 + size * np.sqrt(1 + size**2 / 4))
    omega = root + 1 / root - 1
    tau = np.sqrt(np.log(omega))
    sign = np.where(np.asarray(skewness) < 0, -1, 1)
    return sign * (np.exp(tau * sign * normal) - np.sqrt(omega)) / np.sqrt(omega * (omega - 1))
