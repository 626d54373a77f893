"""How many samples a training uses at each step, at what rate and with how much noise.

A schedule is any object with n, size(step), rate(step) and spread(step), as `Constant` has them.
"""

import math
from dataclasses import dataclass, fields
from numbers import Real

from lct_lab.checks import require_number, require_size


@dataclass(frozen=True)
class Constant:
    """All n samples from the first step, at one rate: plain descent."""

    n: int

    def __post_init__(self):
        _keep_sizes(self, "n")

    def size(self, step):
        """How many of the first samples are in use."""
        return self.n

    def rate(self, step):
        """The factor of the rates."""
        return 1.0

    def spread(self, step):
        """The standard deviation of the noise on the frequencies, in radians per sample."""
        return 0.0


@dataclass(frozen=True)
class CoarseToFine:
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

    def __post_init__(self):
        _keep_sizes(self, "n", "steps", "start")
        if not 0 <= require_number("share", self.share) <= 1:
            raise ValueError(f"share must be from 0 to 1, got {self.share!r}")
        if require_number("noise", self.noise) < 0:
            raise ValueError(f"noise must be at least 0, got {self.noise!r}")

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


@dataclass(frozen=True)
class LookBack:
    """Grow to all n samples, then look back at half of them, and again, as often as it takes.

    s = start · 2^(step / octave) up to n; from there on `half` steps at n/2, `full` steps at n, …

    With all samples a vacancy, a bin without a frequency, is held in place: it costs about 1/n
    wherever it is. With half of them the frequencies are twice as many as bins; a vacancy is then
    an ordinary displacement, of known curvature, and a few of Newton's steps remove it.
    """

    n: int
    start: int = 4
    octave: int = 12
    half: int = 10
    full: int = 12

    def __post_init__(self):
        _keep_sizes(self, *(field.name for field in fields(self)))

    @property
    def growth(self):
        """The number of steps until all samples are in use."""
        return round(self.octave * math.log2(max(1.0, self.n / self.start)))

    @property
    def round(self):
        """The number of steps from one look back to the next."""
        return self.half + self.full

    def size(self, step):
        if step < self.growth:
            return round(self.start * 2 ** (step / self.octave))
        back = (step - self.growth) % self.round < self.half
        return min(self.n, max(2, self.n // 2)) if back else self.n

    def rate(self, step):
        return 1.0

    def spread(self, step):
        return 0.0


def _keep_sizes(schedule, *names):
    """Make these fields of a frozen schedule ints, or raise."""
    for name in names:
        object.__setattr__(schedule, name, require_size(name, getattr(schedule, name)))


def require_schedule(schedule, n, steps):
    """Return `schedule`, `Constant` for None, or raise unless it fits n samples and the steps."""
    if schedule is None:
        return Constant(n)
    if missing := [name for name in ("n", "size", "rate", "spread") if not hasattr(schedule, name)]:
        raise TypeError(
            "schedule must have n, size, rate and spread, "
            f"got {type(schedule).__name__} without {', '.join(missing)}"
        )
    for name in ("size", "rate", "spread"):
        if not callable(getattr(schedule, name)):
            raise TypeError(f"schedule must have functions of the step, got {name} that is none")
    if schedule.n != n:
        raise ValueError(f"schedule must be of the model's {n} samples, got {schedule.n}")
    for step in (0, steps - 1):
        at(schedule, step)
    return schedule


def at(schedule, step):
    """The size, the rate and the spread of a step, or the sentence about the one that is none."""
    size = schedule.size(step)
    if not _is_number(size) or not 1 <= size <= schedule.n or size != int(size):
        raise ValueError(
            f"schedule must give a size from 1 to {schedule.n}, got {size!r} at step {step}"
        )
    rate, spread = schedule.rate(step), schedule.spread(step)
    for name, value in (("rate", rate), ("spread", spread)):
        if not _is_number(value) or not 0 <= value < math.inf:
            raise ValueError(
                f"schedule must give a {name} of at least 0, got {value!r} at step {step}"
            )
    return int(size), float(rate), float(spread)


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)
