"""A twin on windows of a table, as they are: for batches that are too small to be normal."""

import math
from dataclasses import dataclass

import numpy as np

from lct_lab.laws.twins import starts
from lct_lab.laws.twins.products import error_of_median
from lct_lab.laws.twins.starts import ENTRIES, Median

ONE_BY_ONE = 32  # windows of each start, and the most of a batch that are added up one by one
WORK = 2**26  # samples times frequencies times windows times starts: a few tenths of a second
SHORTEST = 256  # samples of a start, at least: what is coloured needs some resolution
FEW = 4  # windows of a batch: the median of a mean of two products is far from that of one
EVERY = slice(None)


@dataclass(frozen=True, eq=False)
class Windows:
    """Drawn frequencies of some starts, each on windows of a table.

    n, m     its size
    seen     (entries, 10, windows), the vectors' products with the windows of their start
    """

    n: int
    m: int
    seen: np.ndarray

    def median(self, vectors, share, batch):
        """The `Median` over starts and batches of the median entry's |mean of Σ (u·x)(v·x)|.

        Averaging leaves what every signal makes alike where w̃_k meets w_k, which fewer do at a
        larger size, `share` of those here. As much is left here of a batch smaller by that share,
        which of `FEW` would have another shape: of these nothing is left that shows.
        """
        factors = [self._product(parts) for parts in vectors]
        values = sum(u * v for u, v in zip(factors[::2], factors[1::2], strict=True))
        shown, averaged = self.seen.shape[2], max(min(batch, FEW), round(share * batch))
        scale = math.sqrt(averaged / batch)
        whole = shown // averaged * averaged
        of_batches = values[:, :whole].reshape(-1, self.m, whole // averaged, averaged)
        of_entries = np.median(np.abs(of_batches.mean(axis=3)), axis=1)
        return Median(scale * np.median(of_entries), error_of_median(of_entries.ravel()))

    def _product(self, parts):
        """(entries, windows) of u·x."""
        return sum(factor * self.seen[:, place] for place, factor in parts.items())


def on_windows(n, m, init, tied, table, batch):
    """The `Windows` of a table (rows, n), of as many samples as leaves `ENTRIES` within `WORK`.

    A median over frequencies whose powers differ by decades needs many of them, each on a few
    windows; and many windows in all, since they differ as well. So every start has its own.
    batch : `ONE_BY_ONE` at most.
    """
    rng = np.random.default_rng(0)
    shown = min(len(table), ONE_BY_ONE // batch * batch)
    n, m = starts.size_of_twin(n, m, max(WORK // (ENTRIES * shown), SHORTEST))
    count = max(1, min(WORK // (n * m * shown), math.ceil(ENTRIES / m)))
    rows = np.arange(count * shown) * len(table) // (count * shown)
    parts = []
    for start in range(count):
        x = starts.cut_at_random(table, rows[start::count], n, rng)
        waves = starts.waves_of(n, m, init, tied, rng)
        parts.append(starts.on_signals(waves, x.T, EVERY))
    return Windows(n, m, np.concatenate(parts))
