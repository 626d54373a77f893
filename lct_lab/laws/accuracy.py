"""How far a law is promised to hold at a setting: the bands that `predict` gives with it.

Measured, not derived (docs/limits.md): what each coupling's laws hold to at amplitudes near one,
and what widens it. Bands of rms and mean are relative to the rms, those of medians to the median.
"""

import numpy as np

from lct_lab.init import FREQUENCIES
from lct_lab.laws import tied
from lct_lab.laws.coverage import PIECES
from lct_lab.laws.floors import MEASURED
from lct_lab.laws.medians import UNKNOWN
from lct_lab.laws.scalars import edge, total
from lct_lab.laws.twins import ONE_BY_ONE
from lct_lab.laws.twins.starts import SHORTEST

LOSS = 0.01  # of the loss of noise by name
TABLE, TABLE_MEDIAN = 0.06, 0.08  # of a table of windows, whose moments are measured
TABLE_ON_GRID = 0.2  # of frequencies that are the same at every start, or whose samples fold
SPIKES, SPIKES_MEDIAN = 0.009, 0.02  # of a table, times its excess kurtosis: windows unlike others
TABLE_SHARED = 0.2  # of what a large batch leaves of a table, where that is derived
SPIKES_SHARED = 0.015  # of it, times the excess kurtosis
RESOLVED = 3.0  # of a table: κ over the smaller of N and M, which have to resolve its spectrum
DIFFERENCE = 2.0  # how many times that a mean misses which is the difference of large parts
CORNER = 0.4  # of the share that x_0 and y_0 have in a frequency's gradient, plus that squared
ABOUT_MEDIAN, TORN_DRAWS = (0.47, 0.53), 8192  # quantiles of the energy of drawn batches
UNEVEN = 1.5  # of a median of a table, times the variance of the energy along its windows
QUIETEST = 0.04  # of the energy of the louder half, for the quieter one
TILT = 0.35  # of a table on a grid, times what one half of the windows is louder than the other
LOUDNESS = 1.3  # of a table, times what the rms gains as its windows differ in energy
OVER_STARTS = 2.0  # of what the rms of a1 and a3 gains as |P|² differs between starts
SHOWS = 0.04  # of an rms, from where on what is missing in it was seen
FARTHER = 1.25  # times what is missing in an rms, which is itself known to a quarter
IN_GRID = 0.15  # of an rms: what the law of jittered tied starts has of x_0 on both sides
FEW_WINDOWS = 2.0  # standard errors of what few windows leave of a1 and a3 where samples fold
SLIGHT = 0.01  # of an rms: what is rough by less is within the band
ONE_X0 = 0.64  # of the median where one sample alone makes it, times that share squared
NORMAL_MEDIAN = 0.6745  # the median of |Z|, Z normal of variance 1
ERRORS = 3.0  # standard errors of a median that few drawn starts gave
ROUNDING = 1e-12  # of the parts of a mean: what is left of an rms where all of it cancels
ROUGH = 0.1  # from here on a prediction comes with a warning


def bands(s, coupling, laws, weight, batch, errors, doubts):
    """{group: (band of rms and mean, band of the median)}: the widest of all that is rough.

    weight : of the amplitudes. errors : {group: relative error of its median}. doubts : the same of
    a mean square that was measured at another size.
    """
    found = {}
    left_out = (
        coupling.module.floor_left_out(s, coupling.module.frequencies(s)) if batch > 1 else {}
    )
    for group, law in laws.items():
        rms, median = least(s, coupling, group, batch)
        if group in FREQUENCIES:
            wider = of_frequency(s, coupling, group, law, weight, batch)
            if batch > 1 and MEASURED not in law.floor:
                wider = wider + of_floor(left_out[group], law, weight, batch)
            if "w2" not in laws:
                wider = max(wider, of_both_sides(s, coupling, law, weight, batch))
            rms, median = max(rms, wider, doubts.get(group, 0.0)), max(median, wider)
            median = max(median, ONE_X0 * x0_share(law, weight) ** 2, coupling.alone(s))
        elif group in ("a2", "a4"):
            rms = of_energy(s, coupling.matrix(s), group, law, weight, rms)
            median = max(median, coupling.alone(s), (1 - 1 / batch) * rms)
        else:
            wider = over_starts(s, coupling.matrix(s), group, law, weight, batch)
            wider = max(wider, of_few_windows(s, coupling, batch))
            rms, median = max(rms, wider), max(median, wider)
        difference = of_difference(s, law, weight, batch)
        median = max(median, difference / NORMAL_MEDIAN, ERRORS * errors[group])
        found[group] = max(rms, difference), median
    return found


def least(s, coupling, group, batch):
    """The bands where nothing widens them."""
    band, median = coupling.band(group), coupling.median_band
    band = max(band, coupling.module.small_sizes(s, group))
    if s.signal.windows is None:
        return band, median
    excess = s.signal.excess
    on_grid = coupling.aligned(s) * (TABLE_ON_GRID + SPIKES * max(excess, 0.0))
    wider = max(unresolved(s) * coupling.module.crowding(s), on_grid, loudness(s))
    of_rms = max(band, TABLE + coupling.on_grid * tilt(s), wider, SPIKES * excess)
    few = excess / batch if batch > ONE_BY_ONE else 0.0  # to be normal, as a twin takes them
    of_windows = max(few, uneven(s), torn(s, batch))
    return of_rms, max(median, TABLE_MEDIAN, wider, SPIKES_MEDIAN * excess, of_windows)


def of_loss(s, coupling):
    """The band of the loss: exact sums of noise by name, and of a table what its colour leaves.

    κ over the smaller of N and M where these do not resolve the spectrum, `TABLE_ON_GRID` where
    samples fold, and half of what the gradients are off by where a half of the windows is louder.
    """
    if s.signal.windows is None:
        return LOSS
    on_grid = max(TABLE_ON_GRID * coupling.aligned(s), coupling.on_grid * tilt(s) / 2)
    return max(TABLE, unresolved(s) / RESOLVED, on_grid)


def torn(s, batch):
    """How far apart loud and quiet batches are where the median lies: between them it is anything.

    All medians go as the energy of a batch. So the ratio of its quantiles `ABOUT_MEDIAN`, less 1.
    """
    if batch > ONE_BY_ONE:
        return 0.0
    energy = np.mean(s.signal.windows**2, axis=1)
    drawn = np.random.default_rng(0).choice(energy, (TORN_DRAWS, batch)).mean(axis=1)
    low, high = np.quantile(drawn, ABOUT_MEDIAN)
    return float(min(high / low - 1, UNKNOWN)) if low else UNKNOWN


def tilt(s):
    """How far off a law is on a grid, whose jitter leaves more of later samples, if one half of the
    windows is louder than the other."""
    low, high = sorted(half.mean() for half in np.array_split(s.signal.windows**2, 2, axis=1))
    return TILT * float(high / max(low, QUIETEST * high) - 1)


def uneven(s):
    """The same of a median, whose twin is of pieces, where windows are not the same all along."""
    if s.n <= SHORTEST:
        return 0.0
    pieces = np.array_split(s.signal.windows**2, PIECES, axis=1)
    energy = np.array([piece.mean() for piece in pieces])
    return UNEVEN * float(np.var(energy) / np.mean(energy) ** 2)


def of_frequency(s, coupling, group, law, weight, batch):
    """How far off a frequency's law is by x_0 and y_0, at small sizes, or of large batches.

    What a large batch leaves is rough by itself, by what of the spectrum is not resolved, and of a
    table by how unlike its windows are; these are apart and add up. The rest of a batch is as rough
    as one signal's.
    """
    of_x0 = _of_frequencies(s)
    corner = _average(CORNER * of_x0 + of_x0**2, weight)
    floor = coupling.module.floor_band(s) + unresolved(s)
    if s.signal.windows is not None:
        derived = 0.0 if MEASURED in law.floor else TABLE_SHARED
        floor = floor + derived + SPIKES_SHARED * max(s.signal.excess, 0.0)
    share = floor_share(law, weight, batch)
    own = coupling.module.small_sizes(s, group) if batch > 1 else 0.0
    return max(corner, floor * share + own * (1 - share))


def of_floor(left_out, law, weight, batch):
    """How much larger the rms of a frequency's gradient is if this is missing in its floor."""
    square = _average(total(law.mean_square(batch)), weight)
    return _widening((1 - 1 / batch) * left_out, square, weight)


def of_both_sides(s, coupling, law, weight, batch):
    """How much larger the rms of a tied frequency's gradient is by x_0, or ζ, on both sides.

    That has the mean square E x_0⁴/σ_0⁴ times what it leaves over many signals. The law of jittered
    starts has `IN_GRID` of it, and that of the exact grid all.
    """
    if coupling.on_grid and s.jitter == 0:
        return 0.0
    in_law = IN_GRID if coupling.on_grid else 0.0
    kurtosis = s.signal.first_fourth / (s.signal.first_variance**2 or 1.0)
    square = _average(total(law.mean_square(batch)), weight)
    missing = kurtosis * tied.corners_together(s) / batch
    return FARTHER * _widening(missing, square, weight) - in_law


def of_few_windows(s, coupling, batch):
    """How far off the mean of a1 or a3 is where x_0 meets folded samples in a few windows only.

    All starts of an exact grid are one: nothing but the windows averages over that product.
    """
    if s.signal.windows is None or not coupling.folds(s):
        return 0.0
    windows = len(s.signal.windows)
    return FEW_WINDOWS * (min(batch, windows) / windows) ** 0.5


def of_energy(s, matrix, group, law, weight, band):
    """The band of the rms of a2 or a4: what its law leaves out, where that shows."""
    missing = {"a2": missing_in_a2, "a4": missing_in_a4}[group](s, matrix)
    square = _average(total(law.square), weight)
    more = FARTHER * _widening(missing, square, weight)
    rough = _widening(of_rough(s, matrix, group), square, weight)
    band = band + (rough > SLIGHT) * rough
    return max(band, (more > SHOWS) * more)


def over_starts(s, matrix, group, law, weight, batch):
    """How much the rms of a1 or a3 gains at large batches since starts differ.

    |P|² has the relative variance 2 κ/N at random frequencies, and less on a grid. And where x_0 is
    correlated with later samples, r_n its correlation with x_n, what x_0 meets has a mean over
    signals: the square of it is Σ r_n²/N of its mean square, Σ r_n² = (κ - 1)/2.
    """
    of_a1 = 2 * s.signal.first_variance * s.a1 * s.a4**2 * matrix.column
    part = {"a1": of_a1, "a3": 2 * s.a3 * matrix.row}[group]
    met = sum(value for name, value in law.square.items() if name.startswith("x_0 and"))
    colour = s.signal.colour
    missing = (1 - 1 / batch) / s.n * (2 * colour * part**2 + (colour - 1) / 2 * met)
    square = _average(total(law.mean_square(batch)), weight)
    return OVER_STARTS * _widening(missing, square, weight)


def loudness(s):
    """How much the rms of a product of two sums gains where windows of a table differ in energy.

    √(E ‖x‖⁴/(E ‖x‖²)²) - 1, less what normal noise of this spectrum has, 2 κ₂/N.
    """
    more = (s.signal.energy_spread - 2 * s.signal.fourth_power) / s.n
    return LOUDNESS * float(np.sqrt(1 + max(more, 0.0)) - 1)


def unresolved(s):
    """3 κ / min(N, M), as measured: how far off a law is whose N or M does not resolve the
    spectrum; 0 of noise by name."""
    if s.signal.windows is None:
        return 0.0
    return RESOLVED * s.signal.colour / min(s.n, s.m)


def floor_share(law, weight, batch):
    """The share of E g² that many signals leave, at this batch."""
    own = _average(total(law.mean_square(batch)), weight)
    left = (1 - 1 / batch) * _average(total(law.floor), weight) if law.floor else 0.0
    return left / own if own else 0.0


def of_difference(s, law, weight, batch):
    """The error of a mean that is the small difference of large parts, over the rms.

    Of a table each part is off by `TABLE`, or all together by `DIFFERENCE` times what is
    unresolved; 0 of noise by name, and where all cancels exactly.
    """
    if s.signal.windows is None:
        return 0.0
    parts = sum(abs(_average(value, weight)) for value in law.mean.values())
    rms = np.sqrt(_average(total(law.mean_square(batch)), weight))
    if rms <= ROUNDING * parts:
        return 0.0
    return max(TABLE, DIFFERENCE * unresolved(s)) * parts / rms


def missing_in_a4(s, matrix):
    """The variance that x_0 adds to ∂L/∂a4, which its law leaves out as of relative order 1/N².

    4/a4² [edge² (E x_0⁴/σ_0⁴ - 1) + edge (4 E (P̃·y)²/|P̃|² + σ²)], edge = (a1 a4)² σ_0² column.
    """
    kurtosis = s.signal.first_fourth / (s.signal.first_variance**2 or 1.0) - 1
    corner = edge(s, matrix)
    return 4 / s.a4**2 * (corner**2 * kurtosis + corner * (4 * _along_P(s, matrix) + s.variance))


def missing_in_a2(s, matrix):
    """The same of ∂L/∂a2: x_0 in y_n, and y_0 = a3 (q x_0 + ζ) with its own ζ.

    At most 4/a2² [(√(edge E (P̃·y)²/|P̃|²) + √((a3 p)² σ_0² z))² + 2 a3⁴ z²], z = E ζ²: both of x_0
    times a sum of the rest, and tied much the same sum.
    """
    crossed = edge(s, matrix) * _along_P(s, matrix)
    first = 2 * s.a3**4 * matrix.row**2
    mixed = (s.a3 * s.p) ** 2 * s.signal.first_variance * matrix.row
    return 4 / s.a2**2 * ((np.sqrt(crossed) + np.sqrt(mixed)) ** 2 + first)


def of_rough(s, matrix, group):
    """4 N σ⁴ rough / a²: how far the mean square of a2 or a4 may be off."""
    amplitude = {"a2": s.a2, "a4": s.a4}[group]
    return 4 * s.n * s.variance**2 * matrix.rough / amplitude**2


def _widening(missing, square, weight):
    """How much larger the rms is if this is missing in its square, relative."""
    return float(np.sqrt(1 + _average(missing, weight) / square) - 1) if square else 0.0


def _along_P(s, matrix):
    """E (P̃·y)²/|P̃|², more than E y_n² since P̃ and y are of the same w̃: tied the most.

    E y² (1 + 3γ + γ²)/(1 + γ): the third moment of the eigenvalues of K over their second.
    """
    gamma = s.gamma
    return matrix.output / s.n * (1 + 3 * gamma + gamma**2) / (1 + gamma)


def _of_frequencies(s):
    """u/(1 + u), the share of x_0 in X_k and of y_0 in g_k.

    u = 2 a1² σ_0²/(a2² N σ²) + a3⁴ a2²/(a4² N).
    """
    first = 2 * s.a1**2 * s.signal.first_variance / (s.a2**2 * s.n * s.variance)
    u = first + s.a3**4 * s.a2**2 / (s.a4**2 * s.n)
    return u / (1 + u)


def x0_share(law, weight):
    """The share that x_0 has in the mean square of a law that names its part.

    All entries of a start have one x_0. So its median is that of normal numbers times |x_0|, up to
    1.64 times as large as of products of two normal ones, as which the medians know it.
    """
    parts = {name: abs(_average(value, weight)) for name, value in law.square.items()}
    whole = sum(parts.values())
    of_x0 = sum(value for name, value in parts.items() if name.startswith("x_0"))
    return of_x0 / whole if whole else 0.0


def _average(value, weight):
    return float(np.sum(weight * value))


def warning(found, of_loss):
    """A sentence about the groups whose band is above a tenth, and the loss, or "".

    found : as `bands` makes it. of_loss : the band of the loss.
    """
    of = {group: band for group, (band, _) in found.items()} | {"loss": of_loss}
    rough = [f"{name} ±{band:.0%}" for name, band in of.items() if band > ROUGH]
    return f"the laws are rough at this setting: {', '.join(rough)}" if rough else ""
