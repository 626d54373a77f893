"""Traces of S = α² T T* - α T, which set how the gradients of a2 and a4 scatter."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.laws.lattice.picture import adjoint, picture_of, trace


@dataclass(frozen=True)
class Traces:
    """The traces of products of T that tr S and tr S_s² are made of."""

    second: float  # E tr ((T + T*)/2)² / N
    third: float  # E tr T T* T / N
    fourth: float  # E tr T T* T T* / N
    linear: np.ndarray  # (states,), tr Δ_0
    quadratic: np.ndarray  # (states,), tr(2 B Δ_0 + Δ_0* Δ_0)


@lru_cache(maxsize=8)
def traces_of(gamma, tied, jitter):
    """With T = B + Σ_l Δ_l and B = B*, what has each Δ_l at least twice is left of a mean trace:

        second:  B² + Σ_l (Δ*Δ + ΔΔ) / 2,
        third:   B³ + Σ_l (2 BΔΔ* + BΔΔ + Δ*ΔΔ),
        fourth:  B⁴ + Σ_l (2 B²(ΔΔ* + Δ*Δ) + 2 BΔBΔ + 4 BΔΔ*Δ + Δ*ΔΔ*Δ) + pairs of sites.

    N sites of t share the trace of a product of B, a mean over t; M sites l that of the rest.
    """
    picture = picture_of(gamma, tied, jitter)
    site, B, delta = picture.site, picture.B, picture.delta
    B2 = B @ B
    one = np.eye(len(B))
    gram = adjoint(delta) @ delta
    turned = B @ delta
    twos = trace(gram, one) + trace(delta, delta)
    threes = trace(turned, delta) + trace(gram, delta)
    fours = 2 * trace(turned, turned) + 4 * trace(turned, gram) + trace(gram, gram)
    third = site.mean(threes) + 2 * trace(B, picture.outer)
    fourth = site.mean(fours) + 2 * trace(B2, picture.outer + picture.inner)
    weight = picture.axis.weight
    return Traces(
        second=weight @ np.diag(B2) + site.mean(twos) / 2 / gamma,
        third=weight @ np.diag(B2 @ B) + third / gamma,
        fourth=weight @ np.diag(B2 @ B2) + fourth / gamma + _two_sites(picture),
        linear=trace(delta, one),
        quadratic=trace(2 * B, delta) + trace(gram, one),
    )


def _two_sites(picture):
    """E tr Σ_{l≠j} (Δ_l* Δ_l Δ_j* Δ_j + Δ_l Δ_l* Δ_j Δ_j* + Δ_l Δ_j* Δ_l Δ_j*) / N."""
    squares = abs(picture.inner) ** 2 + abs(picture.outer) ** 2
    cross = picture.gamma**3 * picture.neighbours.cross
    return np.sum(squares * picture.others) / picture.gamma + cross


def wobble(traces, alpha):
    """E tr S_s² / N = E tr [α⁴ T T* T T* - 2α³ T T* T + α² ((T + T*)/2)²] / N."""
    return alpha**4 * traces.fourth - 2 * alpha**3 * traces.third + alpha**2 * traces.second


def drift(picture, traces, alpha):
    """Var tr S / N = [Var φ + 2α⁴ Σ_{l≠0} E |tr Δ_l* Δ_0|²] / γ.

    φ = α² tr(2BΔ_0 + Δ_0* Δ_0) - α tr Δ_0 is what site 0 adds alone, the rest what pairs add.
    """
    site, gamma = picture.site, picture.gamma
    phi = alpha**2 * traces.quadratic - alpha * traces.linear
    own = site.mean((phi - site.mean(phi)) ** 2)
    pairs = 2 * alpha**4 * gamma**4 * picture.neighbours.two
    return (own + pairs) / gamma


def diagonal(picture, alpha):
    """The mean over t of S(t, t)²,   S(t, t) = α² (B² + E Δ_0* Δ_0 / γ)(t, t) - α B(t, t).

    Of the site's kernel the two roots of the weight are taken off; B is local and carries none.
    """
    B, weight = picture.B, picture.axis.weight
    spread = np.diag(picture.inner).real / (weight * picture.gamma)
    S = alpha**2 * (np.diag(B @ B) + spread) - alpha * np.diag(B)
    return weight @ S**2
