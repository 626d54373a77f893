"""Frequencies on or about the DCT's grid, one vector for both sides, w̃ = w (notebook 08).

The exact grid is the same on both sides anyway; what differs is that the gradient of w is the sum
of the two sides', so twice as large for N <= M, and that jitter moves both sides together.
"""

import numpy as np

from lct_lab.laws import grid, shuffled
from lct_lab.laws.scalars import Law, total

BAND, FREQUENCY_BAND, MEDIAN_BAND = grid.BAND, grid.FREQUENCY_BAND, grid.MEDIAN_BAND


def matrix(s):
    """As untied, with the tied sums, in which A_nn' = P_{|n-n'|} + P_{n+n'}."""
    return grid.matrix_of(s, tied=True)


def frequencies(s):
    """{group: Law} of w, both sides together (step 3)."""
    near = grid.local(s, tied=True)
    scale = s.signal.colour * s.signal.slope_share * grid.scale_of(s)
    square = {
        "neighbours": scale * 3 * near.square_w1,
        "x_0": grid.x0_in_g(s, near),
        "x_0, both sides": x0_on_both_sides(s, near),
        "y_0": grid.y0_in_g(s, near),
        "y_0, both sides": y0_on_both_sides(s, near),
    }
    floor = {"neighbours": scale * 3 * near.floor, "coherent": shared(s, near)}
    return {"w1": Law(square=square, floor=floor)}


def shared(s, near):
    """What many signals leave of a cosine times n times the sine, at w_k itself, of both sides."""
    if s.jitter:
        return grid.shared_about_grid(s, near, sides=2)
    return grid.shared_on_grid(s, sum(grid.mismatches(s)))


def x0_on_both_sides(s, near):
    """x_0 in X_k, a1 a4/a2 of a cosine, times what S_k holds, and times what x_0 adds to g_k."""
    own = s.a1 * s.a4 / s.a2
    both = 2 * (grid.x0_weight(s) * near.echo - s.a3) * near.pull + own * near.second
    return grid.x0_scale(s) * 3 * own * both


def y0_on_both_sides(s, near):
    """The samples n = 2Mq in X_k, a4 of a cosine, and in what y_0 adds to g_k."""
    unit = grid.y0_scale(s) * np.sum(grid.comb(s) ** 2)
    return unit * 3 * s.a4 * 2 * grid.y0_weight(s) * near.pull


def small_sizes(s, group):
    """How far off the laws are at small sizes, as measured just above N = M."""
    return 2.3 / s.n * (1 + 14 / s.n)


def crowding(s):
    """How much less a table's spectrum is resolved than N and M say."""
    return 1.0


def floor_band(s):
    """How far off the rms that many signals leave is; `shared` counts folded samples too simply."""
    return 0.55 if s.jitter and s.n > s.m else 0.05


def floor_left_out(s, laws):
    """{group: what may be missing in its floor}: as untied, of both sides together."""
    both = np.sqrt(shuffled.y0_together(s)) + np.sqrt(shuffled.x0_together(s))
    corner = 1.5 * grid.not_mean(s, power=2) * both**2
    return {"w1": corner + 2 * np.sqrt(corner * np.maximum(total(laws["w1"].floor), 0.0))}


def meetings(ratio):
    """w̃_k is w_k, at any size."""
    return 1.0


def line_w(s):
    """2 a2 a4 σ² √(N³/M) |α − 1|/√3"""
    return 2 * grid.line_w(s)


def line_w_folded(s):
    """a2 a4 σ² √(N³/M) √((⟨C (α C − 1)²⟩/γ + 1 + α² K − 2 α k + 2 ⟨C (α C − 1)⟩ (α k − 1)/γ)/3)"""
    first, second = grid.first_folded(s), grid.second_folded(s)
    return s.scale * np.sqrt((first + second + 2 * both_folded(s)) / 3)


def both_folded(s):
    """3 (e_0·u_1)(τ·u_2) = ⟨C (α C - 1)⟩ (α k - 1)/γ: what the two sides have in common."""
    fold = grid.folds(s)
    seen = fold.mean(lambda c: c * (s.alpha * c - 1)) / s.gamma
    return seen * (s.alpha * fold.cubes - 1)


def line_a2_jittered(s):
    """2 N σ² (α² Q − α T)/a2"""
    return _energy(s) / s.a2


def line_a4_jittered(s):
    """2 N σ² (α² Q − α T)/a4"""
    return _energy(s) / s.a4


def _energy(s):
    limit = grid.limits(s, tied=True)
    return 2 * s.n * s.variance * (s.alpha**2 * limit.total - s.alpha * limit.trace)


def line_w_jittered(s):
    """a2 a4 σ² √(N³/M) √J"""
    return s.scale * np.sqrt(grid.local(s, tied=True).square_w1)


def _without_w2(lines, **own):
    return {group: line for group, line in lines.items() if group != "w2"} | own


EXACT = _without_w2(grid.EXACT, w1=line_w)
FOLDED = _without_w2(grid.FOLDED, w1=line_w_folded)
JITTERED = _without_w2(grid.JITTERED, a2=line_a2_jittered, a4=line_a4_jittered, w1=line_w_jittered)


def lines(s):
    """{group: its leading law}: of the exact grid, N <= M or folded, or of a jittered one."""
    if s.jitter:
        return JITTERED
    return EXACT if s.n <= s.m else FOLDED
