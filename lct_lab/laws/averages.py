"""Averages over random amplitudes: a law is a polynomial in them, so Gauss's rule is exact."""

import numpy as np

from lct_lab.init import HIGHEST, INITS, LOWEST
from lct_lab.laws.quadrature import gauss

NODES = 5  # of each amplitude: polynomials of degree 9 exactly


def amplitudes_of(init, amplitudes):
    """(a1, a2, a3, a4) as four arrays, and weights that sum to 1, over which a law is averaged.

    amplitudes : four numbers, or None for the start's own: fixed on a grid, else from U(½, 3/2).
    Raises ValueError for an amplitude of 0, which leaves no law.
    """
    given = INITS[init].amplitudes if amplitudes is None else amplitudes
    if given is not None:
        if 0 in given:
            expected = "None or four finite numbers other than 0"
            raise ValueError(f"amplitudes must be {expected}, got {amplitudes!r}")
        return np.array(given)[:, None], np.ones(1)
    t, weight = gauss(NODES)
    node = LOWEST + (HIGHEST - LOWEST) * t
    nodes, weights = (
        np.stack(np.meshgrid(*[values] * 4, indexing="ij")).reshape(4, -1)
        for values in (node, weight)
    )
    return nodes, np.prod(weights, axis=0)
