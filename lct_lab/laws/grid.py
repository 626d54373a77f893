"""Frequencies on the DCT's grid (2k + 1) π/2M, or jittered about it; w and w̃ apart (notebook 08).

On the exact grid with N <= M the output is α times the input. What is left of every gradient is
α - 1, and what jitter adds; for N > M the grid cannot tell n from 2M - n, and such samples add up.
The sums over samples are in `lattice.sums`, what one frequency sees of its neighbours in
`lattice.local`; `lattice.limits` has the sums as N → ∞.
"""

import math
from dataclasses import dataclass

import numpy as np

from lct_lab.laws import lattice, scalars, shuffled
from lct_lab.laws.quadrature import gauss
from lct_lab.laws.scalars import Law

BAND, FREQUENCY_BAND, MEDIAN_BAND = 0.02, 0.03, 0.04
NODES = 40  # of integrals over t = n/N


def matrix(s):
    """The sums over the grid (step 1), and the fluctuations of its operator (step 3)."""
    return matrix_of(s, tied=False)


def frequencies(s):
    """{group: Law} of w and w̃ (step 3)."""
    near = local(s, tied=False)
    scale = s.signal.colour * s.signal.slope_share * scale_of(s)
    first = {
        "neighbours": scale * 3 * near.square_w1,
        "x_0": x0_in_g(s, near),
        "y_0": y0_in_g(s, near),
    }
    second = {"neighbours": scale * 3 * near.square_w2, "x_0": x0_in_X(s, near)}
    floor_w, floor_w2 = (
        {"neighbours": scale * 3 * near.floor, "coherent": value} for value in shared(s, near)
    )
    return {"w1": Law(square=first, floor=floor_w), "w2": Law(square=second, floor=floor_w2)}


def shared(s, near):
    """(for w, for w̃): what many signals leave of a cosine times n times the sine, at w_k itself."""
    if s.jitter:
        value = shared_about_grid(s, near, sides=1)
        return value, value
    of_w, of_w2 = mismatches(s)
    return shared_on_grid(s, of_w), shared_on_grid(s, of_w2)


def shared_about_grid(s, near, sides):
    """φ U (sides ẽ_0·u_1)²/3: what w̃_k sees of its own cosine's error; both sides see the same."""
    return s.shared * s.unit * (sides * near.own) ** 2 / 3


def mismatches(s):
    """c_n of w and of w̃: the mean over signals of a product is Σ_n c_n sin(2 w_k n) on the grid.

    c_n = n (α C_n - 1) of w and α t_n - n of w̃, C_n and t_n of the class of n (`lattice.folded`).
    """
    sample, alpha = np.arange(1, s.n), alpha_of(s)
    _, count, added = lattice.classes(s.n, s.m)
    return sample * (alpha * count - 1), alpha * added - sample


def shared_on_grid(s, c):
    """2Nφ (a2 a4 σ²)²/NM E (Σ_n c_n sin(2 w_k n))²; n and qM ± n have one sine but for a sign."""
    sample = np.arange(1, s.n)
    rest = sample % s.m
    sign = 1 - 2 * (sample // s.m % 2)
    kept = np.bincount(np.minimum(rest, s.m - rest), sign * c, s.m // 2 + 1)
    half = np.where(2 * np.arange(len(kept)) == s.m, 1.0, 0.5)
    half[0] = 0
    coloured = 2 * s.n * s.shared
    return coloured * (s.a2 * s.a4 * s.variance) ** 2 / (s.n * s.m) * (half @ kept**2)


def alpha_of(s):
    """α as a number: on a grid the amplitudes are given, not averaged over."""
    return float(np.squeeze(s.a2 * s.a4)) / 2 * math.sqrt(s.m / s.n)


def local(s, tied):
    """What one frequency sees of its neighbours, at this setting's γ, α and jitter."""
    corner = (float(np.squeeze(s.a3)) / float(np.squeeze(s.a4))) ** 2
    near = lattice.local(s.gamma, alpha_of(s), corner, tied, s.jitter)
    if s.jitter or s.n <= s.m:
        return near
    return lattice.folded(near, s.n, s.m, alpha_of(s), tied)


def matrix_of(s, tied):
    """The `scalars.Matrix` of a grid: y_n = α Σ A_nn' x_n', its sums exact, its spread local."""
    sums, near = lattice.sums(s.n, s.m, tied, s.jitter), local(s, tied)
    column = sums.row / s.gamma
    return scalars.Matrix(
        output=s.variance * s.alpha**2 * sums.total,
        match=s.variance * s.alpha * sums.trace,
        column=column,
        row=s.a2**2 * s.variance * column,
        wobble=max(0.0, wobble(s, near)),
        drift=max(0.0, s.signal.colour * near.drift),
        beta=0.0,
        eta_square=s.variance * s.a4**2 * _rest_of_a1(s, near),
        peak=sums.fourth,
        comb=comb(s),
        eta_comb=eta_comb(s, near),
    )


def comb(s):
    """E P_n = (-1)^q r(2q) at n = 2Mq < N, r(v) = sinc(jitter v): the means that are not 0."""
    q = np.arange(1, rows_of_one_sign(s) + 1)
    return (1 - 2 * (q % 2)) * np.sinc(2 * s.jitter * q)


def eta_comb(s, near):
    """(a4/√γ)(½ a2 a4 √γ h_k - 1): what Σ_q E P_2Mq x_2Mq is multiplied by in η.

    On the exact grid a3²/√γ of ζ, and a4 Σ_n P̃_n (y_n - x_n), y_n = a4 P̃_n (q x_0 + ζ) there.
    """
    return s.a4 / np.sqrt(s.gamma) * _coherent(s, near)


def _coherent(s, near):
    """½ a2 a4 √γ h_k - 1, h_k near's mean echo: outputs at n = 2Mq, coherent, less the input."""
    return s.a2 * s.a4 / 2 * np.sqrt(s.gamma) * near.echo - 1


def wobble(s, near):
    """2 κ₂ E tr S_s²/N + (V - 2 κ₂) Σ_n (E S_nn)²/N: the variance of xᵀS_s x over signals.

    Of white noise V - 2 κ₂ is the excess kurtosis. The diagonal multiplies the energy of x.
    """
    power, spread = s.signal.fourth_power, s.signal.energy_spread
    return 2 * power * near.wobble + (spread - 2 * power) * near.diagonal


def _rest_of_a1(s, near):
    """E η² / a4² σ²: the fluctuation of jitter, and the rows n = 2Mq, which add coherently."""
    coherent = _coherent(s, near) ** 2
    return near.row_error * s.later / (2 * s.n) + near.comb_square * coherent / s.gamma


def scale_of(s):
    """(4 a2² a4²/NM) σ⁴ Σ n²/2 (N - 1)/2, tends to U/3: the unit of a product's mean square."""
    return 4 * s.a2**2 / (s.n * s.m) * s.variance * s.ramp * s.a4**2 * s.variance * s.later / 2


def x0_scale(s):
    """(4 a2²/NM) σ² Σ n²/2 σ_0²: the unit of what x_0 adds to g_k."""
    return 4 * s.a2**2 / (s.n * s.m) * s.variance * s.ramp * s.signal.first_variance


def x0_weight(s):
    """a1 a4² √γ/2: x_0's part of g_k / 2 √M through the later outputs, over h_k."""
    return s.a1 * s.a4**2 * np.sqrt(s.gamma) / 2


def x0_in_g(s, near):
    """What x_0 adds: g_k / √M = 2 x_0 (f h_k - a3) + …, f = `x0_weight`, h_k near's echo."""
    f = x0_weight(s)
    return x0_scale(s) * (f**2 * near.echo_square - 2 * s.a3 * f * near.echo + s.a3**2)


def y0_in_g(s, near):
    """What y_0 adds: it has the samples n = 2Mq with one sign, and so has g_k of them already.

    Of each g_k / 2√M has c_q ρ more than c_q d: (d + ρ)² - d², c_q = E P_2Mq, ρ = `y0_weight`. What
    P_n is about its mean has ρ alone: ρ² Σ Var P_n, Var P_n = (1 - r²)/2M but for n near qM.
    """
    rho, whole = y0_weight(s), s.a4 * _coherent(s, near)
    about_mean = s.later / (2 * s.m) * not_mean(s, power=0)
    of_comb = np.sum(comb(s) ** 2) * (whole**2 - (whole - rho) ** 2)
    return y0_scale(s) * (of_comb + rho**2 * about_mean)


def y0_weight(s):
    """ρ = a3² a2/√γ: how y_0 brings Σ_n P_n x_n into g_k / 2√M."""
    return s.a3**2 * s.a2 / np.sqrt(s.gamma)


def y0_scale(s):
    """(4 a2²/NM) σ⁴ Σ n²/2: the unit of what y_0 adds to g_k."""
    return 4 * s.a2**2 / (s.n * s.m) * s.variance**2 * s.ramp


def x0_in_X(s, near):
    """x_0 adds a1² σ_0² to N E X_k², which is a2² σ² (N - 1)/2 without it."""
    share = 2 * s.a1**2 * s.signal.first_variance / (s.a2**2 * s.variance * s.later)
    return scale_of(s) * 3 * near.square_w2 * share


@dataclass(frozen=True)
class Folds:
    """How often N > M samples repeat on the exact grid, where n and 2Mq ± n are one up to a sign.

    A share f of the M classes of such samples has C = c + 1 members, the others C = c, with
    c = ⌊γ⌋, f = γ - c. In the formulas ⟨…⟩ is the mean over classes, f … + (1 - f) …
    """

    c: int
    f: float

    def mean(self, function):
        """⟨function(C)⟩."""
        return self.f * function(self.c + 1) + (1 - self.f) * function(self.c)

    @property
    def cubes(self):
        """k = ((c+1)² f³ + c² (1-f)³)/γ³: what n sin(w_k n) keeps of its energy, aliases added."""
        kept = (self.c + 1) ** 2 * self.f**3 + self.c**2 * (1 - self.f) ** 3
        return kept / (self.c + self.f) ** 3

    @property
    def cubes_twice(self):
        """K = ((c+1)³ f³ + c³ (1-f)³)/γ³: the same, the aliases added twice."""
        kept = (self.c + 1) ** 3 * self.f**3 + self.c**3 * (1 - self.f) ** 3
        return kept / (self.c + self.f) ** 3


def folds(s):
    """The `Folds` of γ."""
    return Folds(c=int(s.gamma), f=s.gamma - int(s.gamma))


def small_sizes(s, group):
    """How far off the laws are at small sizes, as measured just above N = M."""
    return 2.3 / s.n * (1 + 14 / s.n)


def alone(s):
    """The share of one class of samples in what is left of a frequency's gradient."""
    return lattice.sums_of_folded(s.n, s.m, alpha_of(s)).alone


def crowding(s):
    """How much less a table's spectrum is resolved than N and M say."""
    return 1.0


def floor_band(s):
    """How far off the rms of a frequency's gradient that many signals leave is.

    Just above N = M, where n = M is its own mirror image, 4.7/N of it is left out, as measured.
    """
    return 0.05 + (4 / s.n if s.jitter and s.n > s.m else 0.0)


def floor_left_out(s, laws):
    """{group: what may be missing in its floor}: x_0 in both factors of w̃, ζ in both of w.

    `shuffled.x0_together` times the share V of a jittered cosine that is not its mean, half more
    for the frequency's own cosine, and at most twice its root with the rest.
    """
    corners = {"w1": shuffled.y0_together(s), "w2": shuffled.x0_together(s)}
    return {group: _with_rest(s, laws[group], corner) for group, corner in corners.items()}


def _with_rest(s, law, corner):
    corner = 1.5 * not_mean(s, power=2) * corner
    return corner + 2 * np.sqrt(corner * np.maximum(scalars.total(law.floor), 0.0))


def not_mean(s, power):
    """The mean of 1 - r², r = sinc(jitter γ t), over 0 < t < 1 with the weight t^power.

    It is how much of a jittered cosine is not its mean: 0 on the exact grid, 1 of random starts.
    """
    t, weight = gauss(NODES)
    share = (power + 1) * t**power * (1 - np.sinc(s.jitter * s.gamma * t) ** 2)
    return float(np.sum(weight * share))


def meetings(ratio):
    """w̃_k lies within a spacing of w_k, at any size."""
    return 1.0


def line_a1(s):
    """2 σ² (a1 a3²/γ − a3/√γ)"""
    return 2 * s.variance * (s.a1 * s.a3**2 / s.gamma - s.a3 / np.sqrt(s.gamma))


def line_a3(s):
    """2 σ² (a3 a1²/γ − a1/√γ)"""
    return 2 * s.variance * (s.a3 * s.a1**2 / s.gamma - s.a1 / np.sqrt(s.gamma))


def line_a2(s):
    """2 N σ² (α² − α)/a2"""
    return 2 * s.n * s.variance * (s.alpha**2 - s.alpha) / s.a2


def line_a4(s):
    """2 N σ² (α² − α)/a4"""
    return 2 * s.n * s.variance * (s.alpha**2 - s.alpha) / s.a4


def line_w(s):
    """a2 a4 σ² √(N³/M) |α − 1|/√3"""
    return s.scale * np.abs(s.alpha - 1) / np.sqrt(3)


# On the exact grid with N > M, r = ⌊γ/2⌋ of the samples n = 2Mq see every frequency with one sign;
# near a whole γ/2 it is ⌊(N - 1)/2M⌋ that counts.
def line_a1_folded(s):
    """2 σ² (a1 a3²/γ − a3/√γ + r a1 a4²/γ)"""
    coherent = rows_of_one_sign(s) * s.a1 * s.a4**2 / s.gamma
    return line_a1(s) + 2 * s.variance * coherent


def line_a3_folded(s):
    """2 σ² (a3 a1²/γ − a1/√γ + r a3 a2²/γ)"""
    coherent = rows_of_one_sign(s) * s.a3 * s.a2**2 / s.gamma
    return line_a3(s) + 2 * s.variance * coherent


def rows_of_one_sign(s):
    """r = ⌊(N - 1)/2M⌋: how many n = 2Mq there are."""
    return s.later // (2 * s.m)


def energy_folded(s):
    """2 M σ² ⟨α² C² − α C⟩: twice the energy of the output, less what matches the input."""
    return 2 * s.m * s.variance * folds(s).mean(lambda c: (s.alpha * c) ** 2 - s.alpha * c)


def line_a2_folded(s):
    """2 M σ² ⟨α² C² − α C⟩/a2"""
    return energy_folded(s) / s.a2


def line_a4_folded(s):
    """2 M σ² ⟨α² C² − α C⟩/a4"""
    return energy_folded(s) / s.a4


def line_w1_folded(s):
    """a2 a4 σ² √(N³/M) √(⟨C (α C − 1)²⟩/(3 γ))"""
    return s.scale * np.sqrt(first_folded(s) / 3)


def first_folded(s):
    """|u_1|² = ⟨C (α C - 1)²⟩/γ: the error of a cosine, whose classes add up C-fold."""
    return folds(s).mean(lambda c: c * (s.alpha * c - 1) ** 2) / s.gamma


def line_w2_folded(s):
    """a2 a4 σ² √(N³/M) √((1 + α² K − 2 α k)/3)"""
    return s.scale * np.sqrt(second_folded(s) / 3)


def second_folded(s):
    """3 |u_2|² = 1 + α² K - 2αk, k and K `Folds.cubes` and `.cubes_twice`: of n times the sine."""
    fold = folds(s)
    return 1 + s.alpha**2 * fold.cubes_twice - 2 * s.alpha * fold.cubes


def line_a1_jittered(s):
    """2 σ² (a1 a3²/γ − a3/√γ + a1 a4² R/γ)"""
    return line_a1(s) + 2 * s.variance * s.a1 * s.a4**2 * limits(s).row / s.gamma


def line_a3_jittered(s):
    """2 σ² (a3 a1²/γ − a1/√γ + a3 a2² R/γ)"""
    return line_a3(s) + 2 * s.variance * s.a3 * s.a2**2 * limits(s).row / s.gamma


def limits(s, tied=False):
    """R, T, Q of a jittered grid as N → ∞: Σ E P_n², and Σ E A_nn and Σ E A_nn'² over N."""
    return lattice.limits(s.gamma, tied, s.jitter)


def line_a2_jittered(s):
    """2 N σ² (α² Q − α T)/a2"""
    limit = limits(s)
    return 2 * s.n * s.variance * (s.alpha**2 * limit.total - s.alpha * limit.trace) / s.a2


def line_a4_jittered(s):
    """2 N σ² (α² Q − α T)/a4"""
    limit = limits(s)
    return 2 * s.n * s.variance * (s.alpha**2 * limit.total - s.alpha * limit.trace) / s.a4


def line_w1_jittered(s):
    """a2 a4 σ² √(N³/M) √J"""
    return s.scale * np.sqrt(local(s, tied=False).square_w1)


def line_w2_jittered(s):
    """a2 a4 σ² √(N³/M) √J̃"""
    return s.scale * np.sqrt(local(s, tied=False).square_w2)


EXACT = {
    "a1": line_a1,
    "a2": line_a2,
    "a3": line_a3,
    "a4": line_a4,
    "w1": line_w,
    "w2": line_w,
}
FOLDED = {
    "a1": line_a1_folded,
    "a2": line_a2_folded,
    "a3": line_a3_folded,
    "a4": line_a4_folded,
    "w1": line_w1_folded,
    "w2": line_w2_folded,
}
JITTERED = {
    "a1": line_a1_jittered,
    "a2": line_a2_jittered,
    "a3": line_a3_jittered,
    "a4": line_a4_jittered,
    "w1": line_w1_jittered,
    "w2": line_w2_jittered,
}


def lines(s):
    """{group: its leading law}: of the exact grid, N <= M or folded, or of a jittered one."""
    if s.jitter:
        return JITTERED
    return EXACT if s.n <= s.m else FOLDED
