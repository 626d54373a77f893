"""Sums of cosines in closed form: Dirichlet's kernel and its slope. Derived in notebook 04."""

import numpy as np

SMALL = 0.05  # of n·w, below which the slope is taken from its Taylor series


def cosine_sum(w, n):
    """Σ_{j=1}^{n-1} cos(w j) = (sin((n - ½) w) / sin(w/2) - 1) / 2, w any array of radians."""
    v = _to_nearest_turn(w)
    return ((2 * n - 1) * np.sinc((n - 0.5) * v / np.pi) / np.sinc(v / 2 / np.pi) - 1) / 2


def sine_moment(w, n):
    """Σ_{j=1}^{n-1} j sin(w j) = -d/dw cosine_sum(w, n), w any array of radians."""
    v = _to_nearest_turn(w)
    small = np.abs(v) * n < SMALL
    return np.where(small, _moment_series(v, n), _moment_quotient(np.where(small, 1.0, v), n))


def _moment_quotient(v, n):
    """(sin(n v) - 2n cos((n - ½) v) sin(v/2)) / (4 sin²(v/2)): the derivative, v not near 0."""
    half = np.sin(v / 2)
    return (np.sin(n * v) - n * np.cos((n - 0.5) * v) * 2 * half) / (4 * half**2)


def _moment_series(v, n):
    """v Σ j² - v³ Σ j⁴ / 6 + v⁵ Σ j⁶ / 120, the sums by Faulhaber's polynomials."""
    triangle, cubic = (n - 1) * n, (n - 1) * n * (2 * n - 1)
    second = cubic / 6
    fourth = cubic * (3 * triangle - 1) / 30
    sixth = cubic * (3 * triangle**2 - 3 * triangle + 1) / 42
    return v * (second - v**2 * (fourth / 6 - v**2 * sixth / 120))


def _to_nearest_turn(w):
    w = np.asarray(w, dtype=float)
    return w - 2 * np.pi * np.round(w / (2 * np.pi))
