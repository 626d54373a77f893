"""w and w̃ independent draws, each sorted: neighbours add up, and w_k and w̃_k nearly meet.

In a sorted draw w_{k+d} - w_k is a sum of d gaps, each nearly exponential of mean π/M, whose
characteristic function is φ(v) = 1/(1 - iv) at v = πn/M. Everything here comes from its powers
(notebook 06), and from the two draws being order statistics of the same rank ("pairing").
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from lct_lab.init import FREQUENCIES
from lct_lab.laws import shuffled, spectrum
from lct_lab.laws.chain import chain
from lct_lab.laws.quadrature import gauss
from lct_lab.laws.scalars import Law

BAND, FREQUENCY_BAND, MEDIAN_BAND = 0.02, 0.03, 0.04
SMALL = 1.0  # of M/N² where that is small: how far off the law of w̃ is, and twice what w is
ALONG = 0.35  # the correlation of what x_0 or y_0 leaves with what the chain does
NODES = 80  # of the integral H(γ)
DEPTH = 40  # times √m: how far the pairing is summed term by term


def sorted_profile(v, gamma):
    """h(v) = (1/U) ∫_0^U S(u, v) du, U = πγ: E y_n² = b σ² (1 + h(πn/M)) (notebook 06, step 2).

    S(u, v) = uv / (u²v² + (u-v)²) - uv / (u²v² + (u+v)²) is the sum over all distances d in the
    sorted order of 2 Re φ(u)^d Re φ(v)^d: the two sides' cosines at d gaps.
    """
    v, width = np.asarray(v, dtype=float), math.pi * gamma
    square = 1 + v**2
    near, far = (square * width - v) / v**2, (square * width + v) / v**2
    logarithm = np.log1p(-4 * width * v / ((width + v) ** 2 + (width * v) ** 2))
    return (v / 2 * logarithm + np.arctan(near) + np.arctan(far)) / (square * width)


@lru_cache(maxsize=4096)
def sorting(gamma):
    """H(γ) = (1/U) ∫_0^U h(v) dv, U = πγ: sorting makes E Σ y_n² larger by 1 + H (step 3)."""
    t, weight = gauss(NODES)
    v = math.pi * gamma * (1 - (1 - t) ** 2)  # nodes crowd at v = U, where h bends over a width U²
    return float(np.sum(weight * 2 * (1 - t) * sorted_profile(v, gamma)))


def pairing(n, m):
    """(2/M) Σ_n E Σ_k cos(w_k n) cos(w̃_k n) = Σ_{j=1}^{n-1} J(π² j²/m), tends to √(πm)/2 (step 3).

    J(c) = ∫_0^1 e^{-c t(1-t)} dt = (2/√c) D(√c/2), D Dawson's integral: the k-th of m sorted
    uniforms has variance t(1-t)/m at t = k/m, so its cosine has mean cos(πjt) e^{-π²j²t(1-t)/2m}.
    Beyond `DEPTH` √m, where J(c) ≈ 2/c, the sum is an integral.
    """
    from scipy.special import dawsn

    root = math.pi * np.arange(1, min(n, int(DEPTH * math.sqrt(m)) + 2)) / math.sqrt(m)
    far = 2 * m / math.pi**2 * max(0.0, 1 / (len(root) + 0.5) - 1 / (n - 0.5))
    return float(np.sum(2 / root * dawsn(root / 2))) + far


def matrix(s):
    """The shuffled matrix, its squares times 1 + H(γ), and what the pairing adds to its moments."""
    gain = 1 + sorting(s.gamma)
    match = s.variance * s.alpha * returned(s)
    found = shuffled.independent_matrix(s, gain=gain, match=match)
    drift = found.drift + of_local_time(s)
    return replace(found, wobble=wobble(s, gain), drift=drift, rough=rough(s, gain))


def wobble(s, gain):
    """gain² b² (V + 2κ₂ + γ (3κ₂ - κ)) + gain b κ', and what `of_pairs` adds.

    As shuffled, but for colour: neighbours in order are of one band, so that xᵀAᵀAx has κ₂ where
    independent bands had 1, and xᵀAx has κ' (`colour_apart`).
    """
    signal = s.signal
    bands = 2 * signal.fourth_power + s.gamma * (3 * signal.fourth_power - signal.colour)
    apart = colour_apart(s, pairs_within_resolution(s))
    match = gain * s.b * (s.later / s.n) ** 2 * apart
    return gain**2 * s.b**2 * (signal.energy_spread + bands) + match + of_pairs(s)


def returned(s):
    """E tr A / α: the pairing, less what the cosines of w_k + w̃_k leave at the ends."""
    return pairing_of(s, power=1) - ends(s.gamma)


def ends(gamma):
    """arctan(πγ/2)/π = -(1/M) Σ_kn E cos((w_k + w̃_k) n).

    Near w = 0, and likewise near π, w_k + w̃_k is a sum of 2k gaps: Σ_k Re φ(v)^{2k} = -1/(v² + 4).
    """
    return np.arctan(math.pi * gamma / 2) / math.pi


def of_pairs(s):
    """What frequencies that nearly meet add to the variance of xᵀ(AᵀA - A)x over signals.

    Its parts xᵀAᵀAx and xᵀAx fluctuate together, as tr AᵀAA and Σ (AᵀA)_nn A_nn say: each pair that
    meets has 1 + γ neighbours on either side. And tr A² and Σ A_nn² hold the pairs once more. With
    P = α · pairing and e = `ends`, for white signals

        tr AᵀAA = α² (1 + γ)² P            Σ (AᵀA)_nn A_nn = α² (1 + γ) P
        tr A²   = α (γ + ½ - e) P          Σ A_nn²         = ¾ α P
    """
    pairs = s.alpha * (pairing_of(s, power=2) - ends(s.gamma)) / s.n
    bands, energy = s.signal.fourth_power, s.signal.energy_spread
    crossed = s.alpha**2 * (1 + s.gamma) * (energy + 2 * bands * s.gamma)
    own = s.alpha * (bands * (s.gamma + 0.5 - ends(s.gamma)) + 0.75 * (energy - 2 * bands))
    return pairs * (own - 2 * crossed)


def of_local_time(s):
    """α² [(1 - π/4) M + (γ - 2/(π²γ)) √(πM)/2] / N: the variance of tr A over starts.

    How often w_k and w̃_k nearly meet is the time that a Brownian bridge, the difference of two
    sorted draws, spends at 0. That local time is Rayleigh distributed: its variance is 4/π - 1 of
    its squared mean, √(πM)/2. The bridge has M steps: what a rank makes of itself adds γ. And it is
    seen through a window as wide as 1/N, which does not tell neighbours apart: 2/(π²γ) less.
    """
    mean = math.sqrt(math.pi * s.m) / 2
    steps, window = s.gamma, 2 / (math.pi**2 * s.gamma)
    variance = (4 / math.pi - 1) * mean**2 + (steps - window) * mean
    coloured = pairing_of(s, power=1) / pairing(s.n, s.m)
    return s.alpha**2 * variance * coloured**2 / s.n


def rough(s, gain):
    """How far the variance of a2 and a4 may be off, over N σ⁴, as measured.

    In tr (AᵀA)², gain² is right to a tenth from γ = 1 up and half too much at ¼: neighbours that
    add up in A twice do so in AᵀA once. And the variance of the local time has a next order, which
    is 1 to 2 times α² from γ = ½ up and grows as 1/γ. Both make the law too large.
    """
    squares = min(0.65, 0.09 * max(1.0, 1 / s.gamma))
    twice = gain**2 * s.b**2 * (s.signal.energy_spread + 2 + 2 * s.gamma * s.signal.fourth_power)
    return squares * twice + s.alpha**2 * (1 + 0.5 / s.gamma) / s.n


def frequencies(s):
    """{group: Law} of w and w̃, to order M^{-½} (notebook 06, "Frequency gradients")."""
    f_w, f_w2, f_floor = chain(s.gamma)
    near = pairs_within_resolution(s)
    unit, coloured, share = s.unit / 3, s.unit / 3 * s.signal.colour, s.signal.slope_share
    apart = unit * colour_apart(s, near) * share
    w = {
        "input": apart,
        "chain of outputs": coloured * share * s.b * f_w,
        "pairing": coloured * share * near * (1 - s.alpha * (1 + s.gamma)),
        "finite size": shuffled.small_of_w(s),
    }
    w2 = {
        "input": apart,
        "chain of outputs": coloured * s.b * f_w2,
        "pairing": coloured * share * near,
        "finite size": shuffled.small_of_w2(s),
    }
    floor = {"pairing": coloured * near / 2, "chain of outputs": coloured * s.b * f_floor}
    return {
        "w1": Law(square=w, floor=floor | {"y_0": shuffled.y0_together(s)}),
        "w2": Law(square=w2, floor=floor | {"x_0": shuffled.x0_together(s)}),
    }


def pairs_within_resolution(s):
    """θ = 2 pairing/N, tends to √(πM)/N: the chance that w̃_k lies within 1/N of w_k.

    Such a pair adds θ to both mean squares, and takes θ α(1 + γ) from w's: it meets the part of g_k
    that the outputs make with the opposite sign. A coloured signal counts a pair as S² there.
    """
    return 2 * pairing_of(s, power=2) / s.n


def colour_apart(s, near):
    """κ' = E S(w_k) S(w̃_k) = ∫_0^1 S_M(πt)² dt: one rank, two draws. Tends to κ as M → ∞.

    Of few windows S holds their own noise, which the pairs within 1/N meet once more: κc/windows.
    """
    if s.signal.spectrum is None:
        return 1.0
    _, weight = spectrum.places()
    seen = spectrum.at_places(s.signal.spectrum, s.m)
    return np.sum(weight * seen**2) - s.signal.colour * near / s.signal.spectrum.rows


def pairing_of(s, power):
    """`pairing` of white input; of coloured, each place t of the draw as its power S(πt).

    Σ_j e^{-aj²} ≈ ½ √(π/a) erf((N - ½)√a) - ½ at t, a = π² t(1-t)/M.
    """
    if s.signal.spectrum is None:
        return pairing(s.n, s.m)
    from scipy.special import erf

    t, weight = spectrum.places()
    root = np.pi * np.sqrt(t * (1 - t) / s.m)
    pairs = np.sqrt(np.pi) / 2 / root * erf((s.n - 0.5) * root) - 0.5
    seen = spectrum.at_places(s.signal.spectrum, s.m) ** power
    return float(np.sum(weight * seen * pairs) / np.sum(weight * seen))


def small_sizes(s, group):
    """How far off the laws are as shuffled, and the frequencies' where u = M/N² is not small.

    Pairs within 1/N of each other have the chance c = √(πM)/N, and the laws stop at order c. So
    `SMALL` u/(1 + 2.6 u): a tenth at N = 32 and M = 128, a fifth at M = 512.
    """
    least = shuffled.small_sizes(s, group)
    if group not in FREQUENCIES:
        return least
    second = s.m / s.n**2
    return max(least, SMALL * second / (1 + 2.6 * second))


def crowding(s):
    """How much less a table's spectrum is resolved than N and M say: many frequencies crowd."""
    return 1 + max(0.0, math.log2(s.m / s.n)) / 4


def floor_band(s):
    """How far off the rms of a frequency's gradient that many signals leave is, as measured.

    √M/N, over √π, is the chance that w̃_k lies within 1/N of w_k; the pairs' next order is missing.
    """
    return max(0.1 + 4 / s.n, 0.52 * math.sqrt(s.m) / s.n)


def floor_left_out(s, laws):
    """{group: what may be missing in its floor}: the product of its corner with the rest.

    As measured their correlation is below `ALONG`; on average over starts it is not derived.
    """
    found = {}
    for group, corner in (("w1", "y_0"), ("w2", "x_0")):
        rest = laws[group].floor["pairing"] + laws[group].floor["chain of outputs"]
        found[group] = 2 * ALONG * np.sqrt(laws[group].floor[corner] * rest)
    return found


def meetings(ratio):
    """w̃_k lies within 1/N of w_k with the chance θ = √(πM)/N (`pairs_within_resolution`)."""
    return np.sqrt(ratio)


def line_a2(s):
    """N a2 a4² σ²/2 (1 + H(γ))"""
    return shuffled.line_a2(s) * (1 + sorting(s.gamma))


def line_a4(s):
    """N a2² a4 σ²/2 (1 + H(γ))"""
    return shuffled.line_a4(s) * (1 + sorting(s.gamma))


def line_w1(s):
    """a2 a4 σ² √(N³/M) √((1 + b F(γ))/3)"""
    return s.scale * np.sqrt((1 + s.b * chain(s.gamma)[0]) / 3)


def line_w2(s):
    """a2 a4 σ² √(N³/M) √((1 + b F̃(γ))/3)"""
    return s.scale * np.sqrt((1 + s.b * chain(s.gamma)[1]) / 3)


def lines(s):
    """{group: its leading law}: a1 and a3 as shuffled, for they see w through sums that sorting
    leaves alone."""
    own = {"a2": line_a2, "a4": line_a4, "w1": line_w1, "w2": line_w2}
    return shuffled.lines(s) | own
