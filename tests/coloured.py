"""Coloured noise for the tests."""

import numpy as np
from scipy.signal import lfilter


def autoregression(rho, rows, n, seed=0):
    """Stationary rows of x_n = ρ x_{n-1} + …, of variance 1."""
    noise = np.random.default_rng(seed).standard_normal((rows, n + 200))
    return np.ascontiguousarray(lfilter([(1 - rho**2) ** 0.5], [1, -rho], noise)[:, 200:])


def stationary_like(x, rows):
    """Rows of normal, stationary noise with the mean power spectrum of windows x."""
    rng = np.random.default_rng(0)
    power = np.mean(np.abs(np.fft.rfft(x)) ** 2, axis=0)
    size = (rows, len(power))
    waves = np.sqrt(power * rng.exponential(size=size)) * np.exp(2j * np.pi * rng.random(size))
    return np.fft.irfft(waves, x.shape[1])
