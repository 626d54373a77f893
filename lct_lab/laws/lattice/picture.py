"""The operator T = B + Σ_l Δ_l about site 0: its mean, and the deviation that each site makes.

The deviations are independent and of mean zero, so only sites that coincide count in a mean of
products (notebook 08, step 3).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.laws.lattice.sites import (
    Axis,
    Neighbours,
    Site,
    axis_of,
    frequency_of,
    neighbours_of,
    site_of,
)


@dataclass(frozen=True)
class Picture:
    """T = B + Σ_l Δ_l around site 0: all that does not depend on the amplitudes."""

    gamma: float
    axis: Axis
    site: Site
    neighbours: Neighbours
    B: np.ndarray  # (nodes, nodes), E T, which joins aliases alone
    others: np.ndarray  # (nodes, nodes), Σ_{l≠0} exp(iπγl(t - t')), which sums over the rest
    delta: np.ndarray  # (states, nodes, nodes), Δ_0 = γ (e_0 ẽ_0* - K)
    inner: np.ndarray  # (nodes, nodes), E Δ_0* Δ_0
    outer: np.ndarray  # (nodes, nodes), E Δ_0 Δ_0*


@lru_cache(maxsize=8)
def picture_of(gamma, tied, jitter):
    """(B f)(t) = Σ_q K(t, t + 2q/γ) f(t + 2q/γ), by Σ_l exp(iπγlt) = (2/γ) Σ_q δ(t - 2q/γ)."""
    axis = axis_of(gamma)
    frequency = frequency_of(axis, gamma, jitter)
    site = site_of(frequency, tied)
    delta = gamma * (site.e[:, :, None] * site.partner.conj()[:, None, :] - site.K)
    turned = adjoint(delta)
    comb = axis.linked / axis.pair
    return Picture(
        gamma=gamma,
        axis=axis,
        site=site,
        neighbours=neighbours_of(gamma, tied, frequency),
        B=site.K * comb,
        others=comb / gamma - 1,
        delta=delta,
        inner=site.mean(turned @ delta),
        outer=site.mean(delta @ turned),
    )


def error_of(picture, alpha, f):
    """(α (B + Δ_0) - 1) f of each state: (αT - 1) f, the other sites at their mean."""
    deviation = np.einsum("kij,kj->ki", picture.delta, f)
    return alpha * (f @ picture.B + deviation) - f


def others_add(picture, alpha, C):
    """α² Σ_{l≠0} E |Δ_l f|² = α² Σ_{l≠0} tr(E[Δ_l* Δ_l] C), C = E f f*."""
    return alpha**2 * np.sum(picture.inner * C * picture.others).real


def adjoint(stack):
    """The adjoint of the matrix of each state."""
    return stack.conj().transpose(0, 2, 1)


def dot(a, b):
    """a·b of each state, the mean of a* b over t."""
    return np.sum(a.conj() * b, 1).real


def trace(a, b):
    """tr(a b), of each state where a or b is a stack of states."""
    return np.einsum("...ij,...ji->...", a, b).real
