"""Medians over starts of |gradient| (notebook 07, "The median").

Given the frequencies an entry of a frequency's gradient is a product (u·x)(v·x), tied a sum of two.
x is normal as far as sums of many samples can tell, so that a mean over B signals is

    Σ_i λ_i χ²_B,i / B,   λ the eigenvalues of P·G:   λ± = (u·v ± |u||v|)/2 of one product,

G the Gram matrix of the vectors and P what pairs them. The Gram matrices are those of a small twin.
a2 and a4 scatter about their mean as the energies of a small start's outputs do, which are skewed
where one vector serves both sides; a1 and a3 are products of x_0, of the signal's own first
samples, with sums of its other samples. Those sums are normal given the start, their variance
that of a drawn start; but for the few samples n = 2Mq that a grid singles out (`Matrix.comb`),
which are drawn one by one.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from lct_lab.init import HIGHEST, LOWEST
from lct_lab.laws import twins
from lct_lab.laws.scalars import total
from lct_lab.laws.twins import starts
from lct_lab.laws.twins import sums as of_energies
from lct_lab.laws.twins.starts import Median

DRAWS = 8192  # of what is drawn at random: amplitudes, and the signals of a2 and a4
SIGNALS = 16  # drawn one by one of a batch; from there on its mean scatters as 1/√batch
ROWS = 256  # of a table drawn one by one of a batch, which may be the whole of it
SAMPLES = 16 * DRAWS  # x_0 drawn for a1 and a3, one a signal: the median of one errs by ½ %
TINY = 1e-300  # instead of a median of 0, which has no logarithm
ABOUT_MEDIAN = (0.49, 0.51)
LEAKING, LONGEST = 64, 2**22  # windows of a table, and samples, whose power is looked at
UNKNOWN = 1000.0  # the error of a median where a twin says nothing about it
NODES = 7  # values of a2 a4 between which a median is interpolated


def medians(s, twin, init, tied, coupling, batch):
    """{group: `Median` of |gradient|}: for w and w̃ that over starts of the median entry.

    s : the `Setting`; amplitudes that are averaged over are drawn from U(½, 3/2), `DRAWS` of each,
    evenly spread. twin : as `twins.twin_of` has it. coupling : the laws, as in `couplings`. Always
    the same draws.
    """
    rng = np.random.default_rng(0)
    if np.size(s.a1) > 1:
        s = with_drawn_amplitudes(s, rng)
    sums = of_energies.sums_of(s, init, tied, batch)
    found = of_scalars(s, sums, coupling, batch, rng)
    return found | at_any_ratio(s, twin, coupling, tied, batch)


def with_drawn_amplitudes(s, rng):
    even = rng.permuted(np.tile(np.arange(DRAWS) + 0.5, (4, 1)), axis=1) / DRAWS
    a1, a2, a3, a4 = LOWEST + (HIGHEST - LOWEST) * even
    return replace(s, a1=a1, a2=a2, a3=a3, a4=a4)


# --- the frequencies ------------------------------------------------------------------------------


def at_any_ratio(s, twin, coupling, tied, batch):
    """{group: `Median`} of w and w̃, also where the twin does not keep N/M.

    Then it is of as many frequencies as the twin stands for, enlarged as the rms is.
    """
    found = _at_any_ratio(s, twin, coupling, tied, batch)
    cut = leakage(s, twin) / 3  # a band is three errors wide
    return {group: Median(value, max(error, cut)) for group, (value, error) in found.items()}


def leakage(s, twin):
    """How much the typical power of a table's windows changes where a twin cuts them short.

    What leaks into a stop band is the more, the shorter a window. The power is that of the two
    factors of a gradient, √(|X|² |S|²), S of the samples times their number.
    """
    if s.signal.windows is None or twin.n >= s.n:
        return 0.0
    rows = starts.evenly(len(s.signal.windows), min(LEAKING, max(1, LONGEST // s.n)))
    return apart(*(_typical_power(s.signal.windows[rows, :n]) for n in (s.n, twin.n)))


def apart(one, other):
    """How many times the larger of two sizes is the smaller, less 1; `UNKNOWN` at most."""
    if one == other:
        return 0.0
    ratio = one / other if other else 0.0
    return float(min(max(ratio, 1 / ratio) - 1, UNKNOWN)) if 0 < ratio < np.inf else UNKNOWN


def _typical_power(x):
    """The median over frequencies of √(|X|² |S|²), means over windows."""
    n = x.shape[1]
    factors = (x, x * np.arange(n) / n)
    powers = [np.mean(np.abs(np.fft.rfft(factor, 2 * n)) ** 2, axis=0) / n for factor in factors]
    return np.median(np.sqrt(powers[0] * powers[1]))


def _at_any_ratio(s, twin, coupling, tied, batch):
    """`at_any_ratio`, without what a twin's windows leak."""
    if twins.keeps_ratio(s.n, s.m, twin):
        found = of_frequencies(s, twin, coupling, tied, batch)
        return _doubted(found, s, twin, coupling, batch) if coupling.folds(s) else found
    near = replace(s, m=round(s.n * twin.m / twin.n))
    found = of_frequencies(near, twin, coupling, tied, batch)
    laws, near_laws = coupling.laws(s), coupling.laws(near)
    return {
        group: Median(value * _median_ratio(laws[group], near_laws[group], batch), error)
        for group, (value, error) in found.items()
    }


def _doubted(found, s, twin, coupling, batch):
    """The medians, which err by as much as a twin's rms enlarged is off: it folds other samples."""
    laws, near = coupling.laws(s), coupling.laws(replace(s, n=twin.n, m=twin.m))
    larger = np.sqrt((s.n / twin.n) ** 3 * twin.m / s.m)
    doubted = {}
    for group, (value, error) in found.items():
        off = apart(_median_ratio(laws[group], near[group], batch), larger)
        doubted[group] = Median(value, max(error, off))
    return doubted


def _median_ratio(law, other, batch):
    return float(np.median(np.sqrt(_mean_square(law, batch) / _mean_square(other, batch))))


def of_frequencies(s, twin, coupling, tied, batch):
    """{group: `Median`} of w and w̃; over drawn amplitudes by way of a2 a4, on which they hang.

    What hangs on the four apart, the parts of x_0 and y_0, enlarges a median as it does the rms.
    """
    if np.size(s.a1) == 1:
        a = [float(np.squeeze(value)) for value in (s.a1, s.a2, s.a3, s.a4)]
        return of_given_amplitudes(s, a, twin, coupling.meetings, tied, batch)
    node = np.geomspace(LOWEST**2, HIGHEST**2, NODES)
    at_nodes = [
        of_given_amplitudes(s, (1.0, root, 1.0, root), twin, coupling.meetings, tied, batch)
        for root in np.sqrt(node)
    ]
    product, one = s.a2 * s.a4, np.ones_like(s.a1)
    even = replace(s, a1=one, a2=np.sqrt(product), a3=one, a4=np.sqrt(product))
    laws, even_laws = coupling.laws(s), coupling.laws(even)
    found = {}
    for group in at_nodes[0]:
        value = np.log([max(at_node[group].value, TINY) for at_node in at_nodes])
        larger = _mean_square(laws[group], batch) / _mean_square(even_laws[group], batch)
        drawn = np.exp(np.interp(np.log(product), np.log(node), value)) * np.sqrt(larger)
        error = max(at_node[group].error for at_node in at_nodes)
        found[group] = Median(float(np.median(drawn)), error)
    return found


def _mean_square(law, batch):
    return total(law.mean_square(batch))


def of_given_amplitudes(s, a, twin, meetings, tied, batch):
    """{group: the twin's `Median`}, scaled by √(N³/M) to the size."""
    share = min(1.0, meetings(twin.n / s.n))
    groups = sides(s, a, twin, tied)
    unit = s.variance if s.signal.windows is None else 1.0
    scale = unit * np.sqrt((s.n / twin.n) ** 3 * twin.m / s.m)
    found = {group: twin.median(vectors, share, batch) for group, vectors in groups.items()}
    return {
        group: Median(float(scale * value), float(error)) for group, (value, error) in found.items()
    }


def sides(s, a, twin, tied):
    """{group: u, v of the product that a frequency's gradient is}, or of both, added up if tied."""
    analysis, synthesis = analysis_side(s, a, twin), synthesis_side(s, a, twin)
    return {"w1": [*analysis, *synthesis]} if tied else {"w1": analysis, "w2": synthesis}


def analysis_side(s, a, twin):
    """[u, v] of w: ∂L/∂w_k = -(2 a2/√NM) (Σ n sin(w_k n) x_n) (√M g_k/2).

    √M g_k/2 = a3 (y_0 - x_0) + a4 Σ_n cos(w̃_k n) (y_n - x_n), with r = √(M/N)
             = x_0 (a3 p + a1 a4² r Σ cos P̃) + [a3² a2 r P + a4 (α cos(w̃_k ·) K - cos(w̃_k n))]·x
    """
    a1, a2, a3, a4 = a
    r, alpha, thin = _ratios(s, a, twin)
    p = a1 * a3 * r - 1
    u = {starts.SLOPE: 2 * a2 / np.sqrt(twin.n * twin.m)}
    v = {
        starts.ROW: thin * a3**2 * a2 * r,
        starts.OUTPUT: a4 * alpha,
        starts.BACK: -a4,
        starts.FIRST: thin * a3 * p,
        starts.FIRST_IN_OUTPUT: thin * a1 * a4**2 * r,
    }
    return [u, v]


def synthesis_side(s, a, twin):
    """[u, v] of w̃: ∂L/∂w̃_k = -(2 a4/√NM) (√N X_k) (S_k/2).

    √N X_k = a1 x_0 + a2 cos(w_k n)·x,
    S_k/2  = a1 a4 r x_0 Σ n sin(w̃_k n) P̃_n + [α n sin(w̃_k ·) K - n sin(w̃_k n)]·x
    """
    a1, a2, _, a4 = a
    r, alpha, thin = _ratios(s, a, twin)
    scale = 2 * a4 / np.sqrt(twin.n * twin.m)
    u = {starts.FRONT: scale * a2, starts.FIRST: thin * scale * a1}
    v = {
        starts.SLOPE_OF_OUTPUT: alpha,
        starts.BACK_SLOPE: -1.0,
        starts.FIRST_IN_SLOPE: thin * a1 * a4 * r,
    }
    return [u, v]


def _ratios(s, a, twin):
    """r = √(M/N), α = a2 a4 r/2, and how x_0 counts in a twin: its part falls as 1/√N."""
    r = np.sqrt(s.m / s.n)
    return r, a[1] * a[3] / 2 * r, np.sqrt(twin.n / s.n)


# --- a1 … a4 --------------------------------------------------------------------------------------


def of_scalars(s, sums, coupling, batch, rng):
    """{group: `Median`} of a1 … a4, over `DRAWS` draws of what scatters, or more."""
    matrix, laws = coupling.matrix(s), coupling.laws(s)
    sample = draw_samples(s, matrix, sums, batch)
    drawn = {
        "a1": of_a1(s, matrix, laws["a1"], sample, batch),
        "a3": of_a3(s, matrix, laws["a3"], sample, batch),
    }
    found = sums.drawn(DRAWS, s.n, rng)
    for group, off in (("a2", off_a2(s, found)), ("a4", off_a4(s, found))):
        drawn[group] = total(laws[group].mean) + _shrunk(s, laws[group], batch) * s.variance * off
    of_a_table = s.signal.windows is not None
    return {
        group: Median(
            float(np.median(np.abs(drawn[group]))),
            torn(drawn[group]) if of_a_table and group in ("a1", "a3") else 0.0,
        )
        for group in ("a1", "a2", "a3", "a4")
    }


def torn(values):
    """The error of a median of |values| that lies where few are, as between those of two batches.

    A third of the ratio of the quantiles `ABOUT_MEDIAN`, less 1: a band is three errors wide.
    """
    low, high = np.quantile(np.abs(values), ABOUT_MEDIAN)
    if low == high:
        return 0.0
    return float(min((high / low - 1) / 3, UNKNOWN)) if low else UNKNOWN


def off_a4(s, sums):
    """∂L/∂a4 less its mean, 2 Σ_{n>=1} (y_n² - x_n y_n)/a4, y_n = α (Kx)_n + c x_0 P̃_n."""
    c = s.a1 * s.a4 / np.sqrt(s.gamma)
    inner = s.alpha**2 * sums.output - s.alpha * sums.match
    corner = c**2 * sums.edge + 2 * c * s.alpha * sums.edge_out - c * sums.edge_in
    return 2 * (inner + corner) / s.a4


def off_a2(s, sums):
    """∂L/∂a2 less its mean, 2 [Σ_{n>=1} (y_n - x_n) α (Kx)_n + a3 (y_0 - x_0) ζ]/a2."""
    c, zeta = s.a1 * s.a4 / np.sqrt(s.gamma), s.a2 / np.sqrt(s.gamma)
    inner = s.alpha**2 * sums.output - s.alpha * sums.match + c * s.alpha * sums.edge_out
    first = s.a3**2 * zeta**2 * sums.row + s.a3 * s.p * zeta * sums.row_in
    return 2 * (inner + first) / s.a2


def of_all_windows(s, sums, first):
    """{group: (starts,)} ∂L/∂a1 … ∂L/∂a4 of the mean loss over a table; first : E x_0²."""
    zeta = s.a2 / np.sqrt(s.gamma)
    crossed = (s.p + s.a3 * s.q) * zeta * sums.row_in
    a4, a2 = off_a4(s, sums), off_a2(s, sums)
    a3 = 2 * (s.p * s.q * first + crossed + s.a3 * zeta**2 * sums.row)
    a1 = (s.a3 * a3 + s.a4 * a4 - s.a2 * a2) / s.a1  # Euler's identity
    return {"a1": a1, "a2": a2, "a3": a3, "a4": a4}


def _shrunk(s, law, batch):
    """How much less than the drawn signals of a table a batch scatters; noise is drawn as such."""
    if s.signal.windows is None:
        return 1.0
    return np.sqrt(_spread(law, batch) / _spread(law, of_energies.signals_of_batch(batch)))


def _spread(law, batch):
    """The variance over starts and batches, and a little that no ratio is of nothing."""
    square = total(law.mean_square(batch))
    return np.maximum(square - total(law.mean) ** 2, 0) + 1e-300 + 1e-12 * square


@dataclass(frozen=True, eq=False)
class Samples:
    """What is drawn of signals and starts for a1 and a3: arrays (signals, repeats, `DRAWS`).

    first    x_0
    comb     Σ_q E P_2Mq x_2Mq, see `Matrix`; 0 where the frequencies are random
    normal   two independent normal numbers, for the sums over the other samples, times the root of
             how loud a window is

    and of each start, (`DRAWS`,), over the mean over starts

    rest     E (β ζ + η)² over signals     row  E ζ² over signals     column  |P̃|²
    """

    first: np.ndarray
    comb: np.ndarray
    normal: np.ndarray
    rest: np.ndarray
    row: np.ndarray
    column: np.ndarray


def draw_samples(s, matrix, sums, batch):
    """The `Samples` of a batch, `SIGNALS` or of a table `ROWS` at most: always the same draws."""
    rng, of_a_table = np.random.default_rng(1), s.signal.windows is not None
    signals = min(batch, ROWS if of_a_table else SIGNALS)
    size = (signals, max(1, SAMPLES // DRAWS // signals), DRAWS)
    normal = rng.standard_normal((2, *size))
    place = 2 * s.m * np.arange(len(matrix.comb) + 1)  # 0, and n = 2Mq
    value, loudness = samples_at(place, s.signal, rng, size, batch)
    normal = normal * np.sqrt(loudness)
    comb = np.tensordot(matrix.comb, value[1:], 1)
    if len(matrix.comb):
        return Samples(value[0], comb, normal, *np.ones((3, DRAWS)))
    return Samples(value[0], comb, normal, *of_starts(s, sums, rng))


def of_starts(s, sums, rng):
    """(3, `DRAWS`): rest, row and column of `Samples`, of drawn starts.

    β ζ + η = v·x, √γ v = a3² (a2/√γ) P + a4 (α KᵀP̃ - P̃). A start r times as large as those of
    `sums` differs from its mean by 1/√r as much.
    """
    gram, mean = sums.gram[rng.integers(len(sums.gram), size=DRAWS)], sums.gram.mean(0)
    smaller = max(1, round(s.n / sums.n)) ** -0.5
    v = np.stack(np.broadcast_arrays(s.a3**2 * s.a2 / np.sqrt(s.gamma), s.a4 * s.alpha, -s.a4))
    squares = np.einsum("id,jd,dij->d", v, v, gram), gram[:, 0, 0], gram[:, 2, 2]
    means = np.einsum("id,jd,ij->d", v, v, mean), mean[0, 0], mean[2, 2]
    return np.stack(
        [
            1 + smaller * (square / _some(mean) - 1)
            for square, mean in zip(squares, means, strict=True)
        ]
    )


def _some(value):
    """The value, or 1 where it is 0, as all that it divides is."""
    return np.where(value > 0, value, 1.0)


def samples_at(place, signal, rng, size, batch):
    """(places, *size) of x_n: of a table from its batches of windows, else uniform or normal.

    And the energy of that window over the mean, (*size); 1 of noise by name.
    """
    if signal.windows is not None:
        row = rows_of_batches(len(signal.windows), batch, rng, size)
        return np.stack([signal.windows[row, n] for n in place]), loudness_of(signal)[row]
    shape = (len(place), *size)
    unit = rng.uniform(-1, 1, shape) * 3**0.5 if signal.flat else rng.standard_normal(shape)
    return unit * np.sqrt(signal.variance), 1.0


def rows_of_batches(count, batch, rng, size):
    """(signals, …) rows of a table of `count`, evenly chosen from a batch: inits take them in turn.

    A table has few batches: a median over these is not that of rows put together at random.
    """
    first = batch * rng.integers(count // math.gcd(count, batch), size=size[1:])
    within = np.arange(size[0]) * batch // size[0]
    return (first + within.reshape(-1, *[1] * (len(size) - 1))) % count


def loudness_of(signal):
    """The energy of each window over the mean, as far as it differs more than normal noise does.

    That of normal noise, 2 κ₂/N, says nothing of a sum over the samples: it is left out.
    """
    energy = np.mean(signal.windows**2, axis=1) / signal.variance
    of_noise = 2 * signal.fourth_power / signal.windows.shape[1]
    return 1 + np.sqrt(max(0.0, 1 - of_noise / _some(np.var(energy)))) * (energy - 1)


def of_a1(s, matrix, law, sample, batch):
    """Drawn ∂L/∂a1 = 2 x_0 (slope x_0 + β ζ + η), see `scalars`."""
    mean = law.mean["first output"] + law.mean["later outputs"] * sample.column
    zeta, eta = zeta_of(s, matrix, sample, sample.rest), eta_of(s, matrix, sample)
    own = mean / (s.signal.first_variance or 1.0) * sample.first
    values = sample.first * (own + 2 * matrix.beta * zeta + 2 * eta)
    return _of_batch(mean, values, batch)


def of_a3(s, matrix, law, sample, batch):
    """Drawn ∂L/∂a3 = 2 (p x_0 + a3 ζ)(q x_0 + ζ), see `scalars`."""
    mean = law.mean["x_0"] + law.mean["ζ"] * sample.row
    zeta = zeta_of(s, matrix, sample, sample.row)
    values = 2 * (s.p * sample.first + s.a3 * zeta) * (s.q * sample.first + zeta)
    return _of_batch(mean, values, batch)


def zeta_of(s, matrix, sample, share):
    """ζ = (a2/√γ) Σ_n P_n x_n: the comb's samples one by one, the other ones as a normal number.

    share : of each start, the mean square of that number over its mean.
    """
    of_comb = s.a2 / np.sqrt(s.gamma)
    return _with_rest(s, matrix, sample.comb, of_comb, matrix.row, sample.normal[0], share)


def eta_of(s, matrix, sample):
    """η of `scalars` in the same way, the comb's factor `eta_comb`."""
    square, normal = matrix.eta_square, sample.normal[1]
    return _with_rest(s, matrix, sample.comb, matrix.eta_comb, square, normal, sample.rest)


def _with_rest(s, matrix, comb, factor, square, normal, share):
    """factor Σ_q E P_2Mq x_2Mq, and a normal number that makes its mean square `square`."""
    of_comb = factor**2 * s.variance * np.sum(np.square(matrix.comb))
    rest = np.maximum(square - of_comb, 0) * share
    return factor * comb + np.sqrt(rest) * normal


def _of_batch(mean, values, batch):
    """The mean over a batch, (repeats, `DRAWS`), of which `values` are some signals.

    mean : of each start, over signals, which no batch averages away.
    """
    return mean + (values.mean(0) - mean) * np.sqrt(len(values) / batch)
