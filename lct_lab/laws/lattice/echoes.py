"""The echo h_0: what site 0 sees of what x_0 makes, by its own jitter and that of the others."""

import numpy as np

from lct_lab.laws.lattice.picture import dot, error_of, others_add


def fixed_echo(picture, comb, corner):
    """κ = (2/γ) (Σ_q cos(2πqu_0) comb_q + a3²/a4²) of each state, comb_q = |E P̃_{2Mq}|.

    What w̃_0 sees of the mean of P̃ and of sample 0.
    """
    q = np.arange(1, len(comb) + 1)
    seen = np.cos(2 * np.pi * np.outer(picture.site.u, q)) @ comb
    return 2 / picture.gamma * (seen + corner)


def echo_of(picture, fixed):
    """E h_0 and E h_0²,   h_0 = κ + ẽ_0·(ẽ_0 - r) + Σ_{l≠0} ẽ_0·(ẽ_l - r_l),   fixed = κ.

    Mean, own jitter and that of the others, whose part has mean zero.
    """
    site = picture.site
    own = dot(site.partner, site.partner - site.r) + fixed
    others = np.sum(site.same * _row_covariance(site) * picture.others)
    return site.mean(own), site.mean(own**2) + others


def row_error(picture, alpha, fixed):
    """E |V - E V|²,   V = (α (B + Δ_0) - 1)(ẽ_0 - r) + αγ e_0 κ + α Σ_{l≠0} Δ_l (ẽ_0 - r).

    Σ_l V_l is the jittered part of (αT - 1) P̃ + 2α (a3²/a4²) P. Its terms Δ_l (ẽ_0 - r) and
    Δ_0 (ẽ_l - r_l) are correlated: that is the swap of `Neighbours`.
    """
    site, gamma = picture.site, picture.gamma
    own = error_of(picture, alpha, site.partner - site.r)
    V = own + alpha * gamma * site.e * fixed[:, None]
    deviation = V - site.mean(V)
    others = others_add(picture, alpha, _row_covariance(site))
    swapped = (alpha * gamma) ** 2 * picture.neighbours.swap
    return site.mean(dot(deviation, deviation)) + others + swapped


def _row_covariance(site):
    """E (ẽ_0 - r)(ẽ_0 - r)* = r(t - t') - r(t) r(t'): of what a site adds to P̃ - E P̃."""
    return site.same - np.outer(site.r, site.r)
