"""Frequencies about one of them, site 0, as N -> ∞: where t is, its jitter, and its neighbours'."""

import math
from dataclasses import dataclass

import numpy as np

from lct_lab.laws.quadrature import gauss


@dataclass(frozen=True)
class Axis:
    """Nodes for the mean over -1 < t < 1, which the shifts t -> t + 2q/γ map onto each other."""

    t: np.ndarray  # (nodes,)
    weight: np.ndarray  # (nodes,), of sum 1
    linked: np.ndarray  # (nodes, nodes), true where t' = t + 2q/γ, q any whole number
    pair: np.ndarray  # (nodes, nodes), √weight(t) √weight(t')


def axis_of(gamma):
    """Gauss's nodes on panels: steps of 2/γ from t = -1, each cut where the last one ends at t = 1.

    There are ⌊γ⌋ whole steps and a part of one. Panels at the same place of their steps are aliases
    of each other: ⌊γ⌋ + 1 before the cut and ⌊γ⌋ after it.
    """
    whole, part = int(gamma), gamma % 1
    x, weight = gauss(6)
    t, weights, alias = [], [], []
    for kind, (start, size, steps) in enumerate([(0, part, whole + 1), (part, 1 - part, whole)]):
        if size < 1e-9:
            continue
        for q in range(steps):
            t.append(2 / gamma * (start + q + size * x) - 1)
            weights.append(size / gamma * weight)
            alias.append(len(x) * kind + np.arange(len(x)))
    alias = np.concatenate(alias)
    weights = np.concatenate(weights)
    root = np.sqrt(weights)
    return Axis(
        t=np.concatenate(t),
        weight=weights,
        linked=alias[:, None] == alias,
        pair=np.outer(root, root),
    )


@dataclass(frozen=True)
class Frequency:
    """One side of a site: its jitter u at Gauss's nodes, and its averages over u.

    Every function of t carries √weight(t) and every kernel of t, t' both roots, so that sums over
    nodes are means over t and kernels compose as matrices.
    """

    u: np.ndarray  # (states,), in units of the spacing
    p: np.ndarray  # (states,), weights of sum 1
    e: np.ndarray  # (states, nodes), e_0
    r: np.ndarray  # (nodes,), E e_0
    same: np.ndarray  # (nodes, nodes), E e_0 e_0*


def frequency_of(axis, gamma, jitter):
    """e_0 = exp(iπγut),   E e_0 = r(t) = sinc(jitter γt),   E e_0 e_0* = r(t - t')."""
    x, p = gauss(5 + int(gamma / 3) if jitter else 1)
    u = (2 * x - 1) * jitter
    t = axis.t
    root = np.sqrt(axis.weight)
    return Frequency(
        u=u,
        p=p,
        e=root * np.exp(1j * math.pi * gamma * np.outer(u, t)),
        r=root * np.sinc(jitter * gamma * t),
        same=axis.pair * np.sinc(jitter * gamma * (t[:, None] - t)),
    )


@dataclass(frozen=True)
class Site:
    """The pair w_0, w̃_0 of site 0 in every state of its jitter."""

    p: np.ndarray  # (states,), weights of sum 1
    u: np.ndarray  # (states,), jitter of w̃_0
    e: np.ndarray  # (states, nodes), e_0
    partner: np.ndarray  # (states, nodes), ẽ_0
    r: np.ndarray  # (nodes,), E e_0 = E ẽ_0
    same: np.ndarray  # (nodes, nodes), E e_0 e_0* = E ẽ_0 ẽ_0*
    K: np.ndarray  # (nodes, nodes), E e_0 ẽ_0*

    def mean(self, values):
        """E over the states of site 0, the first axis of values."""
        return np.tensordot(self.p, values, 1)


def site_of(frequency, tied):
    """The `Site` of one side's frequency."""
    return _tied_site(frequency) if tied else _untied_site(frequency)


def _tied_site(side):
    """ẽ_0 = e_0,   K = E e_0 e_0*."""
    return Site(
        p=side.p,
        u=side.u,
        e=side.e,
        partner=side.e,
        r=side.r,
        same=side.same,
        K=side.same,
    )


def _untied_site(side):
    """e_0 and ẽ_0 in every pair of their jitters,   K = E e_0 E ẽ_0*."""
    count = len(side.u)
    return Site(
        p=np.outer(side.p, side.p).ravel(),
        u=np.tile(side.u, count),
        e=np.repeat(side.e, count, axis=0),
        partner=np.tile(side.e, (count, 1)),
        r=side.r,
        same=side.same,
        K=np.outer(side.r, side.r),
    )


@dataclass(frozen=True)
class Neighbours:
    """Sums over the other sites l of means of s = e_l·e_0 and its slope s' = τ·e_l.

    s̃ = ẽ_l·ẽ_0 belongs to the partners. E_l (E_0) is the mean over the jitter of site l (site 0).
    """

    meet: float  # Σ_l E_0 Var_l[s' s̃]: of R²
    joint: float  # Σ_l E_0 Cov_l[s s̃, s' s̃']: of (e_0·u_1)(τ·u_2), which only tied has
    swap: float  # Σ_l E s (s̃ - E_0 s̃)(s̃ - E_l s̃): of |V|², l in the row of 0 and 0 in l's
    cross: float  # Σ_l E tr(Δ_l Δ_0* Δ_l Δ_0*) / γ⁴
    two: float  # Σ_l E |tr Δ_l* Δ_0|² / γ⁴


def neighbours_of(gamma, tied, frequency):
    """s = sin x / x and s' = (cos x - s) / x, x = πγ (l + u_l - u_0), indexed l, u_l, u_0.

    The terms fall off as l⁻³ and are summed over 0 < |l| < 30/γ + 30.
    """
    lag = np.arange(1, int(min(30 / gamma + 30, 400)))
    l = np.concatenate([-lag, lag])[:, None, None]
    x = math.pi * gamma * (l + frequency.u[:, None] - frequency.u)
    s = np.sinc(x / np.pi)
    slope = (np.cos(x) - s) / x
    sums = _tied_neighbours if tied else _untied_neighbours
    return sums(s, slope, frequency.p)


def _tied_neighbours(s, slope, p):
    """s̃ = s. cross = Σ_l E (s⁴ - (E_l s²)² - (E_0 s²)²) + tr K_l K_0 K_l K_0,

    two = Σ_l E (s² - E_l s² - E_0 s² + E s²)².
    """
    over_l = (p @ s**2)[:, None, :]  # E_l s², which depends on u_0
    over_0 = (s**2 @ p)[:, :, None]  # E_0 s², which depends on u_l
    mean = (over_l @ p)[:, :, None]
    root = s * np.sqrt(np.outer(p, p))
    loop = root @ root.transpose(0, 2, 1)
    met = (s * slope) ** 2
    swapped = (s - s @ p[:, None]) * (s - (p @ s)[:, None, :]) * s
    return Neighbours(
        meet=np.sum(p @ met @ p - (p @ (s * slope)) ** 2 @ p),
        joint=np.sum(p @ met @ p - ((p @ s**2) * (p @ slope**2)) @ p),
        swap=np.sum(p @ swapped @ p),
        cross=np.sum(p @ (s**4 - over_l**2 - over_0**2) @ p) + np.sum(loop**2),
        two=np.sum(p @ (s**2 - over_l - over_0 + mean) ** 2 @ p),
    )


def _untied_neighbours(s, slope, p):
    """s̃ is independent of s and of its distribution: means of products of the two factor.

    cross = two = Σ_l [(E s²)² - 2 (E_0 (E_l s)²)² + (E s)⁴].
    """
    mean = p @ s @ p
    square = p @ s**2 @ p
    square_slope = p @ slope**2 @ p
    half = (p @ s) ** 2 @ p  # E_0 (E_l s)²
    half_slope = (p @ slope) ** 2 @ p
    swapped = (s - s @ p[:, None]) * (s - (p @ s)[:, None, :])
    two = np.sum(square**2 - 2 * half**2 + mean**4)
    return Neighbours(
        meet=np.sum(square * square_slope - half * half_slope),
        joint=0.0,
        swap=mean @ (p @ swapped @ p),
        cross=two,
        two=two,
    )
