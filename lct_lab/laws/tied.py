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
from lct_lab.laws.scalars import Law, total

BAND, FREQUENCY_BAND, MEDIAN_BAND = 0.02, 0.02, 0.04
TOGETHER = 5 / 32  # (3/2π) ∫ s s'² dt: (ε/M) Σ p_l q_l² of frequencies near w_k, over α γ |t|²


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
    inner = {
        "coherent": s.signal.colour * s.signal.slope_share * coherent(s),
        "background": s.signal.colour * (1 + s.signal.slope_share) / 2 * background(s),
        "neighbours": s.signal.colour * neighbours(s),
    }
    square = inner | {
        "x_0": of_first_input(s),
        "y_0": of_first_output(s),
        "finite size": of_finite_size(s, inner),
    }
    floor = {
        "neighbours": s.signal.colour * neighbours(s) / 2,
        "coherent": s.shared * coherent(s),
        "x_0 and y_0": corners_together(s),
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


def corners_together(s):
    """What x_0 and y_0 leave over many signals.

        2 h² Σ (n²/2)/N²M + ⁴⁄₃ `TOGETHER` (a2 a4)² σ² h N²/M,   h = (a1 a4)² σ_0² + (a2 a3)² σ²

    h is the factor of t·P, of x_0 by X_k S_k and of y_0 by g_k T_k: the squares as in
    `shuffled.x0_together`. The product of t·P with α c·At, which the neighbours leave, is a sum of
    (c·c_j)(c_j·t)² over the others: `TOGETHER`.
    """
    h = (s.a1 * s.a4) ** 2 * s.signal.first_variance
    h = h + (s.a2 * s.a3) ** 2 * s.variance * np.sqrt(s.signal.colour)
    crossed = s.signal.colour * 4 / 3 * TOGETHER * (s.a2 * s.a4) ** 2 * s.variance * h
    return shuffled.corner_together(s, h) + crossed * s.n**2 / s.m


def of_first_input(s):
    """What x_0 adds: (4/NM) σ_0² σ² E |L|², as it stands in the bracket as x_0 L·x.

    c and t are the cosine of w_k and n times its sine, P is the mean cosine, r = √(M/N),

        e = (A - 1) t,   β = a3 p + a1 a4² r (c·P),   L = a2 β t + a1 a4 e + a1 a2 a4² r (t·P) c.

    Over starts c·P has the mean γ/2 and the variance γ/4, |e|² is ((α - 1)² + b) |t|², and
    t·e is (α - 1) |t|²; (t·P)² |c|² is γ |t|²/4. `TOGETHER` α γ |t|² is the covariance of c·P with
    t·e, and the mean of (t·P)(c·e): both are sums of p_l q_l².
    """
    first, later = s.a3 * s.p, s.a1 * s.a4**2 * np.sqrt(s.gamma)
    beta_square = first**2 + first * later + later**2 * (1 + s.gamma) / (4 * s.gamma)
    beta_along = (first + later / 2) * (s.alpha - 1) + TOGETHER * s.alpha * later
    by_t = s.a2**2 * beta_square
    by_e = (s.a1 * s.a4) ** 2 * ((s.alpha - 1) ** 2 + s.b)
    by_c = s.a2**2 * later**2 / (4 * s.gamma)
    mixed = 2 * s.a1 * s.a2 * s.a4 * (beta_along + TOGETHER * s.alpha * later)
    return _slope(s) * s.signal.first_variance / s.variance * (by_t + by_e + by_c + mixed)


def of_first_output(s):
    """What y_0 adds by way of ζ: a2 ρ (t·x)(P·x) in the bracket, ρ = a3² a2 r.

    Its square has |t|² |P|², and |P|² is γ/2. With d = (A - 1) c its product with the rest,
    a2 a4 [(t·x)(d·x) + (c·x)(e·x)], has the mean

        σ⁴ [|t|² (d·P) + (t·e)(c·P) + 2 (t·d)(t·P) + (t·P)(c·e)]
            = σ⁴ |t|² (γ/2) [α (1 + γ) - 1 + α - 1 + 8 `TOGETHER` α].
    """
    rho = s.a3**2 * s.a2 / np.sqrt(s.gamma)
    rest = s.gamma / 2 * (s.alpha * (2 + s.gamma + 8 * TOGETHER) - 2)
    crossed = 2 * s.a2**2 * s.a4 * rho * rest * s.signal.colour
    return _slope(s) * ((s.a2 * rho) ** 2 * s.gamma / 2 + crossed)


def _slope(s):
    """4 σ⁴ E |t|²/(NM)"""
    return 4 * s.variance**2 * s.ramp * s.signal.slope_share / (s.n * s.m)


def of_finite_size(s, inner):
    """|c|² |t|² less N⁴/12, and what the coherent C_k² T_k² has besides: (1 + (E x⁴/σ⁴ - 3)/2)/N.

    The latter is 2 (c·t)² and the kurtosis' Σ c_n² t_n²; the κ of a table, measured, has it.
    """
    sizes = 6 * s.ramp * s.later / s.n**4
    own = (1 + s.signal.excess / 2) / s.n if s.signal.windows is None else 0.0
    return (sizes - 1) * total(inner) + sizes * own * inner["coherent"]


def small_sizes(s, group):
    """How far off the laws are at small sizes, as measured: five percent at 64."""
    return 2 / s.n


def crowding(s):
    """How much less a table's spectrum is resolved than N and M say."""
    return 1.0


def floor_band(s):
    """How far off the rms of a frequency's gradient that many signals leave is."""
    return 0.1


def floor_left_out(s, laws):
    """{group: what may be missing in its floor}: see `sorted`. Nothing here."""
    return {group: 0.0 for group in laws}


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
