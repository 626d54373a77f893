"""What the sums of `finite` tend to as N -> ∞ at fixed γ = N/M."""

import math
from dataclasses import dataclass

import numpy as np

from lct_lab.laws.quadrature import gauss


@dataclass(frozen=True)
class Limits:
    """What the sums tend to as N -> ∞ at fixed γ = N/M."""

    row: float  # Σ_i E P_i²
    fourth: float  # Σ_i (E P_i)⁴
    trace: float  # Σ_i E A_ii / N
    total: float  # Σ_ij E A_ij² / N


def limits(gamma, tied, jitter):
    """The limits of `finite.sums` as N -> ∞, as `Limits`; with r(v) = sinc(jitter v) at v = i/M

        row    = Σ_q r(2q)² + ½ ∫_0^γ (1 - r²) dv,   q = 1, 2, ... < γ/2,
        fourth = Σ_q r(2q)⁴,
        trace  = 1 tied,   κ = ∫_0^γ r² dv / γ untied,
        total  = 1 + Σ_{q<γ} (2 - 2q/γ) r(2q)² + ½ ∫_0^{2γ} (2 - v/γ) (1 - r²) dv tied,
                 ∫_0^1 c(θ)² dθ / γ + γ (1 - κ²) untied,

    c(θ) = Σ r(v)² over the samples v < γ that the grid cannot tell from θ, v = 2q ± θ.

    Without jitter row = fourth = ⌈γ/2⌉ - 1 and trace = 1, and c(θ) counts: ⌊γ⌋ + 1 on a share
    f = γ - ⌊γ⌋ of the θ and ⌊γ⌋ on the rest, so that total = (f (⌊γ⌋ + 1)² + (1 - f) ⌊γ⌋²) / γ.
    """
    folds = np.arange(1, math.ceil(gamma / 2))
    isolated = _kept(2 * folds, jitter)
    spread = _integral(lambda v: 1 - _kept(v, jitter), 0, gamma) / 2
    trace, total = (_tied_limits if tied else _untied_limits)(gamma, jitter)
    return Limits(
        row=float(np.sum(isolated) + spread),
        fourth=float(np.sum(isolated**2)),
        trace=float(trace),
        total=float(total),
    )


def _tied_limits(gamma, jitter):
    """1,   and 1 + Σ_{q<γ} (2 - 2q/γ) r(2q)² + ½ ∫_0^{2γ} (2 - v/γ)(1 - r²) dv.

    2N - i pairs have lag i = vM; the correlations are a share 1/N of the whole.
    """

    def spread(v):
        return (2 - v / gamma) * (1 - _kept(v, jitter))

    folds = 2 * np.arange(1, math.ceil(gamma))
    isolated = (2 - folds / gamma) * _kept(folds, jitter)
    return 1.0, 1 + np.sum(isolated) + _integral(spread, 0, 2 * gamma) / 2


def _untied_limits(gamma, jitter):
    """κ = ∫_0^γ r² dv / γ,   and ∫_0^1 c(θ)² dθ / γ + γ (1 - κ²).

    c has ⌊γ⌋ + 1 members on the share f = γ - ⌊γ⌋ of the θ that the last leg covers, else ⌊γ⌋.
    """
    whole, part = int(gamma), gamma % 1

    def squared(members):
        return lambda position: _class_sum(position, members, jitter, whole) ** 2

    kept = _integral(lambda v: _kept(v, jitter), 0, gamma) / gamma
    more = _integral(squared(whole + 1), 0, part)
    fewer = _integral(squared(whole), part, 1)
    return kept, (more + fewer) / gamma + gamma * (1 - kept**2)


def _kept(v, jitter):
    """r(v)² = sinc(jitter v)²: what jitter leaves of a squared cosine at sample vM."""
    return np.sinc(jitter * v) ** 2


def _class_sum(position, members, jitter, whole):
    """c = Σ r(v)² over the first samples v of a class, one between q and q + 1 for q < members.

    The grid folds v = 0 ... γ at the whole numbers; position is v - ⌊γ⌋ on the last leg, `whole`.
    """
    q = np.arange(members)[:, None]
    forward = (q - whole) % 2 == 0
    v = q + np.where(forward, position, 1 - position)
    return np.sum(_kept(v, jitter), axis=0)


def _integral(f, low, high):
    """∫ f from low to high, of an f that is smooth and swings a few times at most."""
    x, weight = gauss(64)
    return (high - low) * np.sum(weight * f(low + (high - low) * x))
