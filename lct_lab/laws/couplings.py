"""The ways in which w and w̃ meet, each a module of laws; the registry that everything asks.

A coupling is a module with `matrix(s)` (what `scalars` needs of it), `frequencies(s)` ({group: Law}
of w and, untied, w̃), `lines(s)` ({group: leading law}), and its bands. A new one is a new module,
a start in `init.INITS` that draws it, two rows here, untied and tied, and rows in test_laws, which
fails without them. What is tied stays a flag: whoever draws or trains asks whether there is a w2.
"""

from dataclasses import dataclass
from types import ModuleType

from lct_lab.init import FREQUENCIES, INITS
from lct_lab.laws import grid, grid_tied, scalars, shuffled, sorted, tied


@dataclass(frozen=True)
class Coupling:
    """The laws of one kind of start, as functions of a `Setting`."""

    module: ModuleType

    def matrix(self, s):
        return self.module.matrix(s)

    def laws(self, s):
        """{group: Law}, a1 … a4 first."""
        return scalars.of_all(s, self.matrix(s)) | self.module.frequencies(s)

    def loss(self, s):
        """The terms of E ‖y - x‖²."""
        return scalars.loss(s, self.matrix(s))

    def lines(self, s):
        """{group: its leading law}, a function of `Setting` whose docstring is the formula."""
        return self.module.lines(s)

    def band(self, group):
        """The relative accuracy that a group's rms has, and its mean in units of the rms."""
        return self.module.FREQUENCY_BAND if group in FREQUENCIES else self.module.BAND

    def meetings(self, ratio):
        """How often w̃_k lies within 1/N of w_k in a start, over how often in one `ratio` times
        as large; the medians thin out those of their small twin."""
        return self.module.meetings(ratio)

    def aligned(self, s):
        """Whether every start has the same frequencies, or a grid on which its samples fold."""
        return self.on_grid and (s.jitter == 0 or s.n > s.m)

    @property
    def on_grid(self):
        """Whether the frequencies are on or about a grid, where little is left of later samples."""
        return self.module in (grid, grid_tied)

    def alone(self, s):
        """The share that a single sum of samples may have in a frequency's gradient, on a grid."""
        return grid.alone(s) if self.folds(s) else 0.0

    def folds(self, s):
        """Whether it is the exact grid with N > M, whose samples fold one by one."""
        return self.on_grid and s.jitter == 0 and s.n > s.m

    @property
    def median_band(self):
        """The relative accuracy of medians."""
        return self.module.MEDIAN_BAND


# by start and whether tied; `random` starts are the original's, two draws, each sorted
COUPLINGS = {
    ("random", False): Coupling(sorted),
    ("random", True): Coupling(tied),
    ("shuffled", False): Coupling(shuffled),
    ("shuffled", True): Coupling(tied),
    ("orthogonal", False): Coupling(grid),
    ("orthogonal", True): Coupling(grid_tied),
    ("jittered", False): Coupling(grid),
    ("jittered", True): Coupling(grid_tied),
}


def coupling_of(init, tied):
    """The `Coupling` of a start, and the jitter of its frequencies about the grid."""
    return COUPLINGS[init, tied], INITS[init].jitter or 0.0
