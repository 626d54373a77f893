"""Coloured noise for the tests."""

import numpy as np
from scipy.signal import lfilter


def autoregression(rho, rows, n, seed=0):
    """Stationary rows of x_n = ρ x_{n-1} + …, of variance 1."""
    noise = np.random.default_rng(seed).standard_normal((rows, n + 200))
    return np.ascontiguousarray(lfilter([(1 - rho**2) ** 0.5], [1, -rho], noise)[:, 200:])
