"""Sums over a grid of frequencies: exact at any size, their limits, and the picture around one.

The frequencies are w_k = (k + ½ + u_k) π / M with independent u_k ~ U(-jitter, jitter); without
jitter they are the exact grid. Tied, w̃ = w; untied, w̃ has jitter of its own. With γ = N/M and
α = (a2 a4 / 2) / √γ the output is, for 1 <= i, j < N and but for what x_0 adds,

    y_i = α Σ_j A_ij x_j,   A_ij = (2/M) Σ_k cos(w̃_k i) cos(w_k j),   P_i = (1/M) Σ_k cos(w_k i).

`sums` averages what is a sum over samples, at any size (`finite`); `limits` says what it tends to
as N -> ∞ (`infinite`); `local` is what one frequency sees of its neighbours as N -> ∞ (`around`).
The picture that it reads is drawn once for all amplitudes: the frequencies of one site, its jitter
and its neighbours (`sites`), the operator that they make (`picture`), what that makes of x_0
(`echoes`) and of a2 and a4 (`traces`). Notebook 08 derives all of it.
"""

from lct_lab.laws.lattice.around import Local, local
from lct_lab.laws.lattice.finite import Sums, sums
from lct_lab.laws.lattice.folded import classes, folded, sums_of_folded
from lct_lab.laws.lattice.infinite import Limits, limits

__all__ = [
    "Limits",
    "Local",
    "Sums",
    "classes",
    "folded",
    "limits",
    "local",
    "sums",
    "sums_of_folded",
]
