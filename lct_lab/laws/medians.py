"""Medians over starts of |gradient|, from the moments of a law, by drawing what scatters.

The factors of a frequency's gradient are taken as independent normals, and a2, a4 as normal: for
sorted and tied starts high by a seventh, for jittered ones at batch 1 off by up to a factor 1.8.
"""

from copy import deepcopy
from dataclasses import replace

import numpy as np

from lct_lab.init import FREQUENCIES, HIGHEST, LOWEST
from lct_lab.laws.scalars import total

DRAWS = 8192
SIGNALS = 16  # drawn one by one of a batch; from there on its mean scatters as 1/√batch


def medians(s, coupling, batch):
    """{group: median of |gradient|}: for w and w̃ the median over starts of the median entry.

    s : the `Setting`; amplitudes that are averaged over are drawn from U(½, 3/2), `DRAWS` of each,
    evenly spread. coupling : the laws, as in `couplings`. Always the same draws.
    """
    rng = np.random.default_rng(0)
    if np.size(s.a1) > 1:
        s = _with_drawn_amplitudes(s, rng)
    products = _median_of_products(deepcopy(rng), batch)
    signals = min(batch, SIGNALS)
    normal = rng.standard_normal((2, signals, DRAWS))
    x0 = _first_samples(s.signal, rng, signals)
    matrix, found = coupling.matrix(s), {}
    for group, law in coupling.laws(s).items():
        if group in FREQUENCIES:
            rms = np.sqrt(total(law.mean_square(batch)))
            found[group] = float(products * np.median(rms))
            continue
        values = _scalar(group, s, matrix, law, x0, normal, batch)
        found[group] = float(np.median(np.abs(values)))
    return found


def _with_drawn_amplitudes(s, rng):
    even = rng.permuted(np.tile(np.arange(DRAWS) + 0.5, (4, 1)), axis=1) / DRAWS
    a1, a2, a3, a4 = LOWEST + (HIGHEST - LOWEST) * even
    return replace(s, a1=a1, a2=a2, a3=a3, a4=a4)


def _median_of_products(rng, batch):
    """The median of |Z| √(χ²_B / B): a product of two normals, its mean over B signals."""
    first = np.abs(rng.standard_normal(DRAWS))
    return np.median(first * np.sqrt(rng.chisquare(batch, DRAWS) / batch))


def _first_samples(signal, rng, signals):
    """x_0: uniform where the signal is flatter than a normal, else normal."""
    size = (signals, DRAWS)
    flat = signal.fourth < 2 * signal.variance**2
    unit = rng.uniform(-1, 1, size) * 3**0.5 if flat else rng.standard_normal(size)
    return unit * np.sqrt(signal.first_variance)


def _scalar(group, s, matrix, law, x0, normal, batch):
    """Drawn values of one gradient of a1 … a4; see `scalars` for what ζ and η are."""
    mean = total(law.mean)
    if group in ("a2", "a4"):
        variance = np.maximum(total(law.square) - mean**2, 0)
        return mean + np.sqrt(variance) / np.sqrt(batch) * normal[0, 0]
    zeta = normal[0] * np.sqrt(matrix.row)
    if group == "a3":
        values = 2 * ((s.a3 * s.q - 1) * x0 + s.a3 * zeta) * (s.q * x0 + zeta)
    else:
        own = mean / s.signal.first_variance * x0
        eta = np.sqrt(matrix.rest) * normal[1]
        values = x0 * (own + 2 * matrix.slope * zeta + 2 * eta)
    return mean + (values.mean(0) - mean) * np.sqrt(len(x0) / batch)
