"""w and w̃ independent, each in the order drawn: every sum adds up at random (notebook 05).

    ∂L/∂w_k = -(a2/√N) g_k T_k        g_k = ∂L/∂X_k, T_k = Σ n sin(w_k n) x_n
    ∂L/∂w̃_k = -(a4/√M) X_k S_k        S_k = Σ n sin(w̃_k n) e_n, e = 2(y - x)

Both factors of either product are nearly independent, so the mean square is a product of two; that
of T_k is σ² Σ n²/2. The sums are exact here but for `together` and the kurtosis, which are of order
1/N: sorted and tied starts add what they change to them.
"""

import math

import numpy as np

from lct_lab.laws import scalars
from lct_lab.laws.scalars import Law, total

BAND, FREQUENCY_BAND, MEDIAN_BAND = 0.02, 0.02, 0.04


def matrix(s):
    """A_nn' = (a2 a4/√(NM)) Σ_k cos(w̃_k n) cos(w_k n'): mean 0, variance b/N (step 2)."""
    return independent_matrix(s, gain=1.0, match=0.0)


def independent_matrix(s, gain, match):
    """The matrix of independent w and w̃; sorting multiplies its squares by `gain`."""
    return scalars.Matrix(
        output=s.variance * s.b * s.later**2 / s.n * gain,
        match=match,
        column=column(s),
        row=row(s),
        wobble=wobble(s, gain),
        drift=s.b**2 * s.gamma * (s.signal.colour - 1),
        beta=s.a3**2 / np.sqrt(s.gamma) + s.a4**2 * np.sqrt(s.gamma) / 2,
        eta_square=s.variance * s.a4**2 * column(s) * (1 + s.b * gain),
    )


def wobble(s, gain):
    """gain² b² (V + 2 + γ (3κ₂ - κ)) + b: V of the signal's own energy, the rest of the matrix.

    Of white noise V = E x⁴/σ⁴ - 1 and κ₂ = κ = 1. Bands of the spectrum fluctuate apart, each as
    its power squared, over signals (3κ₂ - κ) and over starts (κ - 1, the drift).
    """
    signal = s.signal
    bands = 3 * signal.fourth_power - signal.colour
    return gain**2 * s.b**2 * (signal.energy_spread + 2 + s.gamma * bands) + s.b


def column(s):
    """Σ_n E P_n² / γ = (N - 1)/2N: the mean of cos² is ½, at any random frequency."""
    return s.later / (2 * s.n)


def row(s):
    """z = E ζ² = a2² σ² (N - 1)/2N (step 1)."""
    return s.a2**2 * s.variance * column(s)


def frequencies(s):
    """{group: Law} of w and w̃."""
    near_w, near_w2 = together(s)
    w = analysis_side(s) | {"together": 2 * near_w}
    w2 = synthesis_side(s) | {"together": 2 * near_w2}
    return {
        "w1": Law(square=w, floor={"together": near_w, "y_0": y0_together(s)}),
        "w2": Law(square=w2, floor={"together": near_w2, "x_0": x0_together(s)}),
    }


def together(s):
    """(E (u·v)² for w, for w̃): the mean over signals of a product, of order 1/N.

    A product (u·x)(v·x) has mean square σ⁴ (|u|²|v|² + 2 (u·v)²). What of v is near u: a cosine or
    n times a sine of another frequency that nearly coincides, κ/N; and what the own output brings
    back. Of w that is C_k T_k, φ; of w̃ it is C_k², times cos w̃_k · n sin w̃_k: κ/2N.
    """
    near, own = s.signal.colour * (1 + s.b) / s.n, s.b * s.gamma
    of_w = near + own * s.shared
    of_w2 = near + own * s.signal.colour / (2 * s.n)
    return s.unit / 3 * of_w, s.unit / 3 * of_w2


def x0_together(s):
    """2 (a1 a4)⁴ σ_0⁴ Σ (n²/2)/N²M: what x_0, in both factors, leaves of w̃ over many signals.

    It adds a1 x_0/√N to X_k and 2 a1 a4 x_0 Q/√N to S_k, Q = Σ n sin(w̃_k n) P̃_n. With one cosine,
    of w̃_j, for P̃ that sum has the mean square Σ n²/4; P̃ is the mean of M: E Q² = Σ (n²/4)/M.
    """
    return corner_together(s, (s.a1 * s.a4) ** 2 * s.signal.first_variance)


def y0_together(s):
    """The same of w, whose T_k meets ζ in y_0: (a2 a3)² σ² for (a1 a4)² σ_0², and colour."""
    return corner_together(s, (s.a2 * s.a3) ** 2 * s.variance) * s.signal.colour


def corner_together(s, energy):
    """2 energy² Σ (n²/2)/N²M, see `x0_together`."""
    return 2 * energy**2 * s.ramp / (s.n**2 * s.m)


def analysis_side(s):
    """E (∂L/∂w_k)² = (a2²/N) E g_k² E T_k² by what makes g_k (step 4).

    E g_k² = (4/M) [ a4² (N-1)/2 (1 + b_others + b_itself) + y_0's part + x_0's part ] σ²
    """
    scale = 4 * s.a2**2 / (s.n * s.m) * s.variance**2 * _slope_energy(s) * s.signal.slope_share
    cosine = s.a4**2 * s.later / 2
    share = 4 * s.b / (s.n * s.m)
    own, others = pair_sums(s)
    return {
        "input": scale * cosine,
        "other outputs": scale * cosine * share * others,
        "own output": scale * cosine * share * own * s.signal.colour,
        "first output": scale * first_output(s),
        "x_0": scale * x0_in_g(s) * s.signal.first_variance / s.variance,
    }


def pair_sums(s):
    """E (Σ_n cos(w n) cos(w' n))² for w = w', P²/4 + P/8, and M - 1 times that for w ≠ w', P/4."""
    return s.later**2 / 4 + s.later / 8, (s.m - 1) * s.later / 4


def first_output(s):
    """What ζ, through y_0, adds to g_k: by itself, and with the cosines of the later outputs."""
    by_itself = s.a3**4 * s.a2**2 * s.later / (2 * s.n)
    with_later = (s.a3 * s.a4 * s.a2) ** 2 * s.later**2 / (2 * s.n * s.m)
    return by_itself + with_later


def x0_in_g(s):
    """E of what x_0 adds to g_k, squared, over 4σ_0²/M: a3 p from y_0, the rest from y_1 …"""
    pull = s.a4**2 * s.a1 / math.sqrt(s.n * s.m)
    return (s.a3 * s.p) ** 2 + s.a3 * s.p * pull * s.later + pull**2 * sum(pair_sums(s))


def synthesis_side(s):
    """E (∂L/∂w̃_k)² = (a4²/M) E X_k² E S_k² by what makes e, each n sin(w̃_k n) twice.

    E X_k² = (a1² σ_0² + a2² σ² (N-1)/2)/N,    E S_k² = 4 (Σ n²/2) (σ² + E y_n²)
    """
    coefficient = (s.a2**2 * s.variance * s.later / 2 + s.a1**2 * s.signal.first_variance) / s.n
    scale = 4 * s.a4**2 / s.m * _slope_energy(s) * coefficient
    gram = ((s.m - 1) / 2 + 0.25) / (s.n * s.m) * s.a4**2
    return {
        "input": scale * s.variance * s.signal.slope_share,
        "outputs": scale * s.variance * s.a2**2 * gram * s.later / 2,
        "x_0": scale * s.a1**2 * gram * s.signal.first_variance,
    }


def _slope_energy(s):
    """Σ n²/2, and what a kurtosis adds to the mean square of a product, of relative order 1/N."""
    return s.ramp * (1 + s.signal.excess / s.n)


def leading_w(s):
    """U ρ (1 + b(1 + κγ))/3: what `analysis_side` tends to; only the own output sees the colour."""
    seen = 1 + s.b * (1 + s.signal.colour * s.gamma)
    return s.unit * s.signal.slope_share * seen / 3


def leading_w2(s):
    """U (ρ + b)/3: what `synthesis_side` tends to."""
    return s.unit * (s.signal.slope_share + s.b) / 3


def small_of_w(s):
    """`analysis_side` less its leading order: N and M finite, x_0 and y_0."""
    return total(analysis_side(s)) - leading_w(s)


def small_of_w2(s):
    """`synthesis_side` less its leading order."""
    return total(synthesis_side(s)) - leading_w2(s)


def small_sizes(s, group):
    """How far off the laws are at small sizes, as measured: five percent at 64."""
    return 2 / s.n


def crowding(s):
    """How much less a table's spectrum is resolved than N and M say."""
    return 1.0


def floor_band(s):
    """How far off the rms of a frequency's gradient that many signals leave is."""
    return 0.05


def floor_left_out(s, laws):
    """{group: what may be missing in its floor}: see `sorted`. Nothing here."""
    return {group: 0.0 for group in laws}


def meetings(ratio):
    """w̃_k lies within 1/N of w_k with a chance of order 1/N."""
    return ratio


def line_a1(s):
    """2 σ² (a1 a3²/γ − a3/√γ + a1 a4²/2)"""
    later = s.a1 * s.a4**2 / 2
    return 2 * s.variance * (s.a1 * s.a3**2 / s.gamma - s.a3 / np.sqrt(s.gamma) + later)


def line_a2(s):
    """N a2 a4² σ²/2"""
    return s.n * s.a2 * s.a4**2 * s.variance / 2


def line_a3(s):
    """2 σ² (a3 (a1²/γ + a2²/2) − a1/√γ)"""
    energy = s.a1**2 / s.gamma + s.a2**2 / 2
    return 2 * s.variance * (s.a3 * energy - s.a1 / np.sqrt(s.gamma))


def line_a4(s):
    """N a2² a4 σ²/2"""
    return s.n * s.a2**2 * s.a4 * s.variance / 2


def line_w1(s):
    """a2 a4 σ² √(N³/M) √((1 + b (1 + γ))/3)"""
    return s.scale * np.sqrt((1 + s.b * (1 + s.gamma)) / 3)


def line_w2(s):
    """a2 a4 σ² √(N³/M) √((1 + b)/3)"""
    return s.scale * np.sqrt((1 + s.b) / 3)


def lines(s):
    """{group: its leading law}, a function of `Setting` whose docstring is the formula."""
    return {
        "a1": line_a1,
        "a2": line_a2,
        "a3": line_a3,
        "a4": line_a4,
        "w1": line_w1,
        "w2": line_w2,
    }
