"""A twin on white noise: the inner products of its vectors are all that matters."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.laws.twins import starts
from lct_lab.laws.twins.products import Grams, chances, sums_of_squares
from lct_lab.laws.twins.starts import ENTRIES, Median

SAMPLES = 256  # of a start, at most
FEWEST_STARTS = 4
MOST_OF_START = ENTRIES // FEWEST_STARTS  # entries that one start gives


@dataclass(frozen=True, eq=False)
class White:
    """Drawn frequencies of a small start on white noise of variance 1.

    n, m     its size
    grams    the `Grams` of its entries
    chance   (entries,) even in (0, 1): which entries keep a chance meeting of w_k and w̃_k
    """

    n: int
    m: int
    grams: Grams
    chance: np.ndarray

    def median(self, vectors, share, batch):
        """The `Median` of |Σ_i λ_i χ²_B,i/B| over entries and signals; `ENTRIES` leave no error."""
        values = self.grams.parted(self.chance >= share).eigenvalues(vectors)
        return Median(np.median(np.abs(sums_of_squares(values, batch))), 0.0)


def on_white(n, m, init, tied):
    """The `White` twin of a start of n samples and m frequencies."""
    return of_size(*starts.size_of_twin(n, m, SAMPLES), init, tied)


@lru_cache(maxsize=32)
def of_size(n, m, init, tied):
    """The `White` twin of this very size."""
    rng = np.random.default_rng(0)
    count = max(FEWEST_STARTS, math.ceil(ENTRIES / m))
    parts = [products(starts.waves_of(n, m, init, tied, rng)) for _ in range(count)]
    grams = Grams(np.concatenate(parts))
    return White(n, m, grams, chances(len(grams.products), rng))


def products(start):
    """(entries, 10, 10) inner products of one start, of at most `MOST_OF_START` entries."""
    P, through = start.front.mean(0), _through(start)
    entries = starts.evenly(len(start.front), MOST_OF_START)
    kept, first = start.of(entries), starts.at_first(start, entries)
    later = starts.in_order(
        {
            starts.SLOPE: kept.slope,
            starts.ROW: np.broadcast_to(P, kept.front.shape),
            starts.OUTPUT: through(kept.back),
            starts.BACK: kept.back,
            starts.FRONT: kept.front,
            starts.SLOPE_OF_OUTPUT: through(kept.back_slope),
            starts.BACK_SLOPE: kept.back_slope,
        }
    )
    found = np.zeros((len(entries), 10, 10))
    found[:, :7, :7] = later @ later.transpose(0, 2, 1)
    found[:, 7:, 7:] = first[:, :, None] * first[:, None, :]
    return found


def _through(start):
    """The map of vectors v to v K, K = (2/M) Σ_j cos w̃_j cos w_j, by the shorter way."""
    front, back = start.front, start.back
    share = 2 / len(front)
    if len(front) < front.shape[1]:
        return lambda vectors: share * (vectors @ back.T) @ front
    K = share * back.T @ front
    return lambda vectors: vectors @ K
