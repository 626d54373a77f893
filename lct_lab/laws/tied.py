"""One frequency vector for both sides, w̃ = w: a start that knows its input (notebook 07).

A_nn' = (a2 a4/√(NM)) Σ_k cos(w_k n) cos(w_k n') has the mean α on its diagonal, where the cosine
meets itself, and the background of an untied start off it. With U = (a2 a4 σ²)² N³/M

    E L ≈ N σ² [(α - 1)² + b],      a2 E ∂L/∂a2 ≈ a4 E ∂L/∂a4 ≈ 2 N σ² (α² + b - α)
    E (∂L/∂w)² ≈ 4 U [ (2(α - 1) + αγ)²/12 + b/6 + 2b/15 ]

∂L/∂w_k = -(a2/√N) g_k T_k - (a4/√M) X_k S_k, with the letters of notebook 02 and X_k ≈ a2 C_k/√N:
products of C_k and T_k, whose squares have the mean E C_k² T_k² = σ⁴ N⁴/12.
"""

import numpy as np

from lct_lab.laws import scalars, shuffled
from lct_lab.laws.scalars import Law

BAND, FREQUENCY_BAND, MEDIAN_BAND = 0.02, 0.02, 0.04


def matrix(s):
    """The diagonal α, the background b/N (step 1), and what the powers of A give (step 2)."""
    gamma, alpha = s.gamma, s.alpha
    pairs = (s.later * (s.later - 1) + s.later / 2) / s.n
    return scalars.Matrix(
        output=s.variance * (s.later * alpha**2 + s.b * pairs),
        match=s.variance * s.later * alpha,
        column=shuffled.column(s),
        row=shuffled.row(s),
        wobble=wobble(s),
        drift=s.signal.colour * s.b**2 * 4 / 3,
        beta=shuffled_beta(s) - s.a4 / s.a2 + s.a4**2 / (2 * np.sqrt(gamma)),
        eta_square=s.a4**4 * s.a2**2 * s.variance * 7 / 32,
    )


def shuffled_beta(s):
    """β of an untied start: a3²/√γ from y_0, a4² √γ/2 from the later outputs."""
    return s.a3**2 / np.sqrt(s.gamma) + s.a4**2 * np.sqrt(s.gamma) / 2


def wobble(s):
    """V (m2 - α)² + 2 κ₂ (m4 - 2 m3 + m2 - (m2 - α)²), m_j = tr A^j / N as N → ∞.

    The variance of xᵀQx, Q = A² - A: m2 - α is Q's mean eigenvalue, which multiplies the energy of
    x, whose variance is N σ⁴ V. About it the eigenvalues fluctuate, from band to band of the
    spectrum, and every band counts as its power squared.
    """
    gamma, alpha = s.gamma, s.alpha
    m2 = alpha**2 * (1 + gamma)
    m3 = alpha**3 * (1 + 3 * gamma + gamma**2)
    m4 = alpha**4 * (1 + 6 * gamma + 20 / 3 * gamma**2 + gamma**3)
    mean = (m2 - alpha) ** 2
    spread = m4 - 2 * m3 + m2 - mean
    return s.signal.energy_spread * mean + 2 * s.signal.fourth_power * spread


def frequencies(s):
    """{group: Law} of w, both sides together (step 3)."""
    square = {
        "coherent": s.signal.colour * s.signal.slope_share * coherent(s),
        "background": s.signal.colour * (1 + s.signal.slope_share) / 2 * background(s),
        "neighbours": s.signal.colour * neighbours(s),
        "finite size": shuffled.small_of_w(s) + shuffled.small_of_w2(s),
    }
    floor = {
        "neighbours": s.signal.colour * neighbours(s) / 2,
        "coherent": s.shared * coherent(s),
    }
    return {"w1": Law(square=square, floor=floor)}


def coherent(s):
    """4 U (2(α - 1) + αγ)²/12: the signal itself, on both sides.

    g_k holds the signal with α(1 + γ) - 1, from all frequencies and once more from k itself; S_k
    holds it with α - 1. They add before they are squared, and cancel at α(2 + γ) = 2.
    """
    return 4 * s.unit * (2 * (s.alpha - 1) + s.alpha * s.gamma) ** 2 / 12


def background(s):
    """4 U b/6: the outputs' background, which other frequencies make, on either side."""
    return 4 * s.unit * s.b / 6


def neighbours(s):
    """4 U 2b/15: frequencies within 1/N of w_k, which meet it on both sides; ∫ s² s'² dx = π/15.

    Half of it is the mean over signals, squared: it stays however many signals are averaged.
    """
    return 4 * s.unit * 2 * s.b / 15


def small_sizes(s):
    """How far off the frequencies' laws are at small sizes: nothing that shows from 32 up."""
    return 0.0


def meetings(ratio):
    """w̃_k is w_k, at any size."""
    return 1.0


def line_a2(s):
    """2 N σ² (α² + b − α)/a2"""
    return 2 * s.n * s.variance * (s.alpha**2 + s.b - s.alpha) / s.a2


def line_a4(s):
    """2 N σ² (α² + b − α)/a4"""
    return 2 * s.n * s.variance * (s.alpha**2 + s.b - s.alpha) / s.a4


def line_w1(s):
    """2 a2 a4 σ² √(N³/M) √((2 (α − 1) + α γ)²/12 + 3 b/10)"""
    coherent_part = (2 * (s.alpha - 1) + s.alpha * s.gamma) ** 2 / 12
    return 2 * s.scale * np.sqrt(coherent_part + 3 * s.b / 10)


def lines(s):
    """{group: its leading law}: a1 and a3 as shuffled, for they see the frequencies one by one."""
    return {
        "a1": shuffled.line_a1,
        "a2": line_a2,
        "a3": shuffled.line_a3,
        "a4": line_a4,
        "w1": line_w1,
    }
