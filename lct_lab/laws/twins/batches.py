"""A twin on large batches of a table: a mean over many windows is nearly that of normal signals.

Those normal signals have the second moments that the table's windows have on average. A batch is
B of its R rows, none twice. So it scatters about the mean of all rows by 1/B - 1/R. Where a chance
meeting of w_k and w̃_k is taken away, the entry's mean over all rows goes with it, and with that
mean its own scatter of 1/R, which makes 1/B in all.
"""

import math
from dataclasses import dataclass

import numpy as np

from lct_lab.init import INITS
from lct_lab.laws.twins import starts
from lct_lab.laws.twins.products import Grams, chances, error_of_median, sums_of_squares
from lct_lab.laws.twins.starts import ENTRIES, Median
from lct_lab.laws.twins.sums import Sums, means_of_start

WORK = 2**31  # samples², times frequencies and starts: about a second
SHORTEST = 256  # samples of a start, at least: what is coloured needs some resolution
MOST_ROWS = 2**14  # windows whose second moments are taken, evenly chosen
LEAST_SCATTER = 1e-9  # instead of 0, of a batch that is the whole table
SMALL, MOST_IF_SMALL = 128, 512  # samples and frequencies of a small start
ENTRIES_IF_SMALL = 2**14  # of all starts together
FEWEST, MOST = 16, 64  # starts: each leaves something of its own, however many signals it sees


@dataclass(frozen=True, eq=False)
class Batches:
    """Drawn frequencies of some starts, on batches of many windows of a table.

    n, m     its size
    starts   how many
    grams    the `Grams` of its entries
    chance   (entries,), as of `White`
    sums     of each start, the `Sums` of a2 and a4, means over the windows
    table    (rows, n) the windows whose moments are taken, cut to its size
    """

    n: int
    m: int
    starts: int
    grams: Grams
    chance: np.ndarray
    sums: Sums
    table: np.ndarray

    @property
    def rows(self):
        """R."""
        return len(self.table)

    def scatter(self, batch):
        """1/B - 1/R."""
        return max(1 / batch - 1 / self.rows, LEAST_SCATTER)

    def median(self, vectors, share, batch):
        """The `Median` over starts of that of |Σ_i λ_i χ²_i| over entries and batches."""
        parted = self.chance >= share
        values = self.grams.parted(parted).eigenvalues(vectors)
        about_mean = sums_of_squares(values, 1 / self.scatter(batch))
        sums = np.where(parted[:, None], sums_of_squares(values, batch), about_mean)
        of_starts = np.median(np.abs(sums).reshape(self.starts, -1), axis=1)
        return Median(np.median(of_starts), error_of_median(of_starts))


def on_batches(n, m, init, tied, table):
    """The `Batches` of a table (rows, n)."""
    rng = np.random.default_rng(0)
    few = 1 if INITS[init].jitter == 0 else FEWEST
    affordable = round((WORK / few * n / m) ** (1 / 3))
    n, m = starts.size_of_twin(n, m, max(SHORTEST, affordable))
    count, entries = starts_and_entries(n, m, init)
    rows = starts.evenly(len(table), MOST_ROWS)
    x = starts.cut_at_random(table, rows, n, rng)
    signals = of_same_moments(x)
    parts = []
    for _ in range(count):
        waves = starts.waves_of(n, m, init, tied, rng)
        seen = starts.on_signals(waves, signals, entries)
        energies = means_of_start(waves.front, waves.back, signals)
        parts.append((seen @ seen.transpose(0, 2, 1), energies))
    products, energies = (np.concatenate(part) for part in zip(*parts, strict=True))
    sums = Sums(n, *energies.T, gram=np.zeros((count, 3, 3)))
    return Batches(n, m, count, Grams(products), chances(len(products), rng), sums, x)


def starts_and_entries(n, m, init):
    """How many starts, and which of their frequencies.

    Frequencies of random starts are alike but for chance, so that many starts give a few each; of
    small starts all, for what they make together. On a grid starts are alike, all the same without
    jitter, and their frequencies are not.
    """
    affordable = max(1, WORK // (n * n * m))
    jitter = INITS[init].jitter
    if jitter == 0:
        return 1, np.arange(m)
    if small(n, m):
        return math.ceil(ENTRIES_IF_SMALL / m), np.arange(m)
    if jitter is not None:
        return min(affordable, max(FEWEST, math.ceil(ENTRIES / m))), np.arange(m)
    count = min(affordable, MOST)
    return count, starts.evenly(m, math.ceil(ENTRIES / count))


def small(n, m):
    """Whether so many starts are affordable that they show how often w_k and w̃_k meet."""
    return n <= SMALL and m <= MOST_IF_SMALL


def of_same_moments(x):
    """n signals s, in columns, with Σ s sᵀ the mean of x xᵀ over windows x (rows, n)."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return np.sqrt(np.maximum(values, 0)) * vectors
