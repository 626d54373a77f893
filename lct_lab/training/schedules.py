"""How many samples a training uses at each step, at what rate and with how much noise.

A schedule is any object with n, size(step), rate(step) and spread(step), as `Constant` has them.
"""

import math
from typing import NamedTuple


class Constant(NamedTuple):
    """All n samples from the first step, at one rate: plain descent."""

    n: int

    def size(self, step):
        """How many of the first samples are in use."""
        return self.n

    def rate(self, step):
        """The factor of the rates."""
        return 1.0

    def spread(self, step):
        """The standard deviation of the noise on the frequencies, in radians per sample."""
        return 0.0


class CoarseToFine(NamedTuple):
    """Train on the first s samples, s growing geometrically over `share` of the steps.

    s = start · (n / start)^(step / (share · steps)),    noise on w of N(0, (noise · π/s)²)

    At size s a basin in w is about π/s wide, so that few and wide basins are filled first, evenly,
    and split when s grows; at s = n they are the bins. The noise parts frequencies that share a
    basin; it ends with the growth, and the rate then falls to zero linearly.
    """

    n: int
    steps: int
    start: int = 4
    share: float = 0.7
    noise: float = 0.01

    def size(self, step):
        if self.n <= self.start:
            return self.n
        grown = min(1.0, step / max(1, self.share * self.steps))
        return min(self.n, round(self.start * (self.n / self.start) ** grown))

    def rate(self, step):
        return min(1.0, (self.steps - step) / max(1.0, (1 - self.share) * self.steps))

    def spread(self, step):
        size = self.size(step)
        return self.noise * math.pi / size if size < self.n else 0.0
