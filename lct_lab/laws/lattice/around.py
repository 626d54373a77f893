"""What one frequency sees of its neighbours on a grid as N -> ∞, averaged over the jitter."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.laws.lattice.echoes import echo_of, fixed_echo, row_error
from lct_lab.laws.lattice.picture import dot, error_of, others_add, picture_of
from lct_lab.laws.lattice.traces import diagonal, drift, traces_of, wobble


@dataclass(frozen=True)
class Local:
    """What one frequency sees of its neighbours as N -> ∞, averaged over the jitter.

    Seen from site 0, cos(w_0 n) is e_0(t) = exp(iπγu_0t), n = Nt, -1 < t < 1, and cos(w̃_0 n) its
    partner ẽ_0; their slopes are τ = it e_0 and τ̃ = it ẽ_0; the inner product is the mean over t;
    the transpose of A is T = γ Σ_l e_l ẽ_l*. Then (notebook 08, steps 2 and 3)

        u_1 = (αT - 1) ẽ_0,   u_2 = (αT - 1) τ̃,   R = τ·u_1,   S = α² T T* - α T.

    Of what x_0 makes, w̃_0 sees an echo h_0: g_0 / √M = 2 x_0 (½ a1 a4² √γ h_0 - a3) + ..., η in
    ∂L/∂a1 = 2 x_0 (... + η) has E η² = σ² a4² [row_error / 2 + comb_square (αγ echo - 1)² / γ].
    """

    square_w1: float  # E (∂L/∂w)² / ((a2 a4 σ²)² N³/M); tied, of both sides together
    square_w2: float  # E (∂L/∂w̃)² in the same unit; 0 where tied
    floor: float  # what is left of either over many signals: E R², tied 4 E R²
    second: float  # E |u_2|²
    pull: float  # E τ·u_2
    own: float  # E ẽ_0·u_1
    row_error: float  # E |V - E V|², V what site 0 adds to (αT - 1) P̃ + 2α (a3²/a4²) P
    comb_square: float  # Σ_q (E P̃_{2Mq})², the samples at which every frequency has one sign
    echo: float  # E h_0, h_0 = (2/γ) (Σ_n cos(w̃_0 n) P̃_n + a3²/a4²)
    echo_square: float  # E h_0²
    diagonal: float  # Σ_n (E S_nn)² / N
    wobble: float  # E tr S_s² / N, S_s = (S + S*) / 2
    drift: float  # Var tr S / N, over the jitter


@lru_cache(maxsize=4096)
def local(gamma, alpha, corner, tied, jitter):
    """What one frequency sees of its neighbours, as `Local`; corner = a3² / a4².

    T = B + Σ_l Δ_l: its mean, and each site's deviation. The deviations are independent and of
    mean zero, so only sites that coincide count in a mean of products (notebook 08, step 3).
    """
    picture = picture_of(gamma, tied, jitter)
    traces = traces_of(gamma, tied, jitter)
    seen = _seen(picture, alpha)
    square_w1, square_w2, floor = (_tied_squares if tied else _untied_squares)(seen)
    comb = np.sinc(2 * jitter * np.arange(1, math.ceil(gamma / 2)))
    fixed = fixed_echo(picture, comb, corner)
    echo, echo_square = echo_of(picture, fixed)
    return Local(
        square_w1=square_w1,
        square_w2=square_w2,
        floor=floor,
        second=seen.second,
        pull=seen.pull,
        own=seen.own,
        row_error=row_error(picture, alpha, fixed),
        comb_square=comb @ comb,
        echo=echo,
        echo_square=echo_square,
        diagonal=diagonal(picture, alpha),
        wobble=wobble(traces, alpha),
        drift=drift(picture, traces, alpha),
    )


@dataclass(frozen=True)
class _Seen:
    """The means that the squares of a frequency's gradient are made of (notebook 08, step 3)."""

    first: float  # E |u_1|²
    second: float  # E |u_2|²
    meet: float  # E R², R = τ·u_1
    joint: float  # E (e_0·u_1)(τ·u_2), right only where tied, which alone needs it
    pull: float  # E τ·u_2
    own: float  # E ẽ_0·u_1


def _seen(picture, alpha):
    """u_1 = (αT - 1) ẽ_0, u_2 = (αT - 1) τ̃: by site 0 and E T, then by the rest's deviations."""
    site, t = picture.site, picture.axis.t
    tau = 1j * t * site.e
    u1 = error_of(picture, alpha, site.partner)
    u2 = error_of(picture, alpha, 1j * t * site.partner)
    first = site.mean(dot(u1, u1)) + others_add(picture, alpha, site.same)
    slopes = site.same * np.outer(t, t)  # E τ̃ τ̃*
    second = site.mean(dot(u2, u2)) + others_add(picture, alpha, slopes)
    R = dot(tau, u1)
    pull = dot(tau, u2)
    own = dot(site.partner, u1)
    scale = (alpha * picture.gamma) ** 2
    return _Seen(
        first=first,
        second=second,
        meet=site.mean(R**2) + scale * picture.neighbours.meet,
        joint=site.mean(own * pull) + scale * picture.neighbours.joint,
        pull=site.mean(pull),
        own=site.mean(own),
    )


def _tied_squares(seen):
    """Of w: |u_1|²/3 + |u_2|² + 2 (e_0·u_1)(τ·u_2) + 6R²; there is no w̃; the floor is 4R²."""
    square = seen.first / 3 + seen.second + 2 * seen.joint + 6 * seen.meet
    return square, 0.0, 4 * seen.meet


def _untied_squares(seen):
    """Of w: |u_1|²/3 + 2R²; of w̃: |u_2|² + 2R²; the floor is R²."""
    of_w = seen.first / 3 + 2 * seen.meet
    of_partner = seen.second + 2 * seen.meet
    return of_w, of_partner, seen.meet
