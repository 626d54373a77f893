"""Gauss's rule on (0, 1)."""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def gauss(count):
    """Nodes t_i in (0, 1) and weights: Σ weight_i f(t_i) = ∫_0^1 f dt to degree 2 count - 1."""
    node, weight = np.polynomial.legendre.leggauss(count)
    return (node + 1) / 2, weight / 2
