"""What the laws cover: sizes, and signals that are stationary noise. The rest is refused in words.

The bounds on a signal lie between what the laws were measured to hold for (normal, Laplace and
Student noise, autoregressions, windows of EEG and ECG) and what they miss: a large mean, single
tones, one spike a window, sums of noise that wander off.
"""

import numpy as np

from lct_lab.init import INITS

LEAST = 32  # the smallest size that is covered
WIDEST = 16  # sorted starts: 1/WIDEST <= N/M <= WIDEST
FARTHEST = 4096  # tied and shuffled starts, and grids with M > N: 1/FARTHEST <= N/M <= FARTHEST
FOLDS = 8  # orthogonal and jittered starts: N <= FOLDS M

MEAN = 8  # the power at frequency 0 over that of the next four
KURTOSIS = 60  # E x⁴/σ⁴: 3 of normal noise
SPIKE = 3  # a window's own E x⁴/σ⁴ is n of one spike, n/SPIKE of so many equal ones
TONES = 4  # E |X|⁴/(E |X|²)² at one frequency over windows: 2 of noise
LINES = 30  # mean of |X|⁴ over that of |X|², squared, over frequencies: of a single window's tone
HALVES = 1.5  # the energy of one half of the windows over the other's
PIECES, CHANGE = 8, 4.0  # of the windows, and the energy of one over another's
CERTAIN = 4  # standard errors of either
ENOUGH = 8  # windows from which they are compared
POWERS = 1e40  # of samples: the laws have products of six of them, and of sizes
SHARED, SHARED_POWER = 0.5, 8  # of a line: the share that all windows have alike, and its power
ALIKE = 0.4  # correlation of a row's power with another's: they overlap by two thirds
NEARBY = 8  # rows on from a row, in which such another is looked for
SAME = 2.5  # mean square of the correlation of two windows over that of noise of one spectrum
SAMPLED = 512  # windows, of which each is compared with each
LINE, LINE_SHARE = 8, 0.3  # a frequency's power over those nearby, and its share of the mean square
LINE_GAP, LINE_END = 4, 11  # half steps 2πk/2n from a line to those nearby
WINDOWS = 32  # of a table for a grid that folds the samples, at least
LARGEST = 1e10  # of amplitudes: the spread of squared gradients has their sixteenth power
LARGEST_GRID = 2**22  # samples of a start on a grid, whose sums run over all of them


def require_sizes(n, m, init, tied):
    """Raise ValueError, with what is covered, where no law reaches n/m of this start."""
    if init == "random" and not tied and not 1 / WIDEST <= n / m <= WIDEST:
        covered = f"between 1/{WIDEST} and {WIDEST}, which the sorted laws cover"
        raise ValueError(f"n/m must be {covered}, got {n / m:.4g}")
    if not 1 / FARTHEST <= n / m <= FARTHEST:
        covered = f"between 1/{FARTHEST} and {FARTHEST}, which the laws cover"
        raise ValueError(f"n/m must be {covered}, got {n / m:.4g}")
    if INITS[init].jitter is None:
        return
    if n > FOLDS * m:
        covered = f"the range the {init} laws cover"
        raise ValueError(f"n must be at most {FOLDS} m, {covered}, got n = {n}, m = {m}")
    if max(n, m) > LARGEST_GRID:
        raise ValueError(f"n and m must be at most {LARGEST_GRID} for {init} starts, got {n}, {m}")


def require_powers(x):
    """Raise ValueError where a signal is so large or small that a law could overflow or vanish."""
    largest = np.abs(x).max(initial=0.0)
    if largest == 0:
        raise ValueError(f"signal must be windows that are not all zero, got {len(x)} that are")
    if largest < 1 / POWERS or POWERS < largest < np.inf:
        expected = f"between {1 / POWERS:g} and {POWERS:g} at its largest"
        raise ValueError(f"signal must be {expected}, got {largest:.3g}")


def require_stationary(x):
    """Raise ValueError, with what was seen, where windows (rows, n) are not stationary noise."""
    square = x**2
    energy = np.mean(square)
    share = np.mean(x.mean(axis=1) ** 2) / energy
    transform = np.fft.rfft(x)
    power = np.mean(np.abs(transform) ** 2, axis=0)
    line = power[0] <= MEAN * power[1:5].mean()
    _require("a mean", line, f"{share:.0%} of its energy in the mean of its windows")
    kurtosis = np.mean(square**2) / energy**2
    _require("spikes", kurtosis <= KURTOSIS, f"a kurtosis of {kurtosis:.0f}")
    spikes = _own_kurtosis(square)
    few = spikes < x.shape[1] / SPIKE
    _require("spikes", few, f"a kurtosis of {spikes:.0f} in a window of {x.shape[1]}")
    tones, colour = spectral_moments(x)
    _require("tones", tones <= TONES, f"a power that varies {tones:.1f}-fold between windows")
    _require("tones", colour <= LINES, f"a spectrum {colour:.0f} times as peaked as white noise's")
    alike = np.abs(transform.mean(axis=0)) ** 2
    found = (alike > SHARED * power) & (alike > SHARED_POWER * power.mean())
    none = not found.any() or len(x) < ENOUGH
    _require("tones", none, "one that has the same phase in all windows")
    if len(x) >= ENOUGH:
        _require_steady(square, 2, HALVES, "in its halves")
        _require_steady(square, PIECES, CHANGE, "along its windows")


def _own_kurtosis(square):
    """The mean over windows of a window's own E x⁴/(E x²)²; windows of zeros are left out."""
    energy = np.mean(square, axis=1)
    heard = energy > 0
    return np.mean(np.mean(square[heard] ** 2, axis=1) / energy[heard] ** 2)


def _require_steady(square, count, most, where):
    """Raise where one of `count` pieces surely has more than `most` times another's energy."""
    found = [np.mean(piece, axis=1) for piece in np.array_split(square, count, axis=1)]
    means = np.array([piece.mean() for piece in found])
    errors = np.array([piece.std() for piece in found]) / len(square) ** 0.5
    low, high = np.argmin(means), np.argmax(means)
    certain = CERTAIN * np.hypot(errors[high], most * errors[low])
    steady = means[high] - most * means[low] <= certain
    _require("a change", steady, f"energies from {means[low]:.3g} to {means[high]:.3g} {where}")


def _require(what, holds, seen):
    if not holds:
        expected = f"stationary noise without {what}, which the laws cover"
        raise ValueError(f"signal must be {expected}, got {seen}")


def without_repeats(x):
    """The rows of a table before it begins again."""
    for period in range(1, len(x) // 2 + 1):
        starts_again = len(x) % period == 0 and np.array_equal(x[0], x[period])
        if starts_again and np.array_equal(x[:-period], x[period:]):
            return x[:period]
    return x


def require_unlike(x, batch):
    """Raise ValueError where a row of a batch is much like one nearby, as of windows that overlap.

    By the correlation of |X|² with that of the next row, or of the next but one and so on, as where
    channels take turns; over frequencies of unit mean power.
    """
    if batch == 1 or len(x) < ENOUGH:
        return
    power = np.abs(np.fft.rfft(x)) ** 2
    power = power / np.maximum(power.mean(axis=0), power.mean() / POWERS)
    off = power - power.mean(axis=0)
    whole = np.mean(off**2)
    nearby = range(1, min(NEARBY, len(x) // 2) + 1)
    alike = max(np.mean(off[lag:] * off[:-lag]) for lag in nearby) / whole if whole else 1.0
    if alike > ALIKE:
        expected = "of rows that are unlike those nearby, which the laws cover in batches"
        seen = f"ones whose spectra have a correlation of {alike:.2f}; shuffle the rows"
        raise ValueError(f"signal must be {expected}, got {seen}")


def require_different(x, batch):
    """Raise ValueError where a batch holds windows more alike than noise of their spectrum is.

    The mean square of the correlation of two windows, of noise Σ S²/(Σ S)² over the frequencies of
    its spectrum S: more of a template that returns, or of a table drawn from a few windows.
    """
    x = x[:: -(-len(x) // SAMPLED)]
    x = x[np.any(x, axis=1)]
    if batch == 1 or len(x) < 2:
        return
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = len(x) * (len(x) - 1)
    found = (np.sum((x @ x.T) ** 2) - len(x)) / pairs
    power = np.abs(np.fft.fft(x)) ** 2 / x.shape[1]
    noise = (np.sum(np.sum(power, axis=0) ** 2) - np.sum(power**2)) / pairs
    ratio = found / noise
    if ratio > SAME + 2 * CERTAIN * np.sqrt(4 / pairs):
        expected = "of windows no more alike than noise of their spectrum, which the laws cover"
        seen = f"ones whose squared correlation is {ratio:.1f} times that of such noise"
        raise ValueError(f"signal must be {expected}, got {seen}")


def require_broad(x, init, tied):
    """Raise ValueError where a line stands out of the spectrum, and frequencies keep apart.

    Those of grids and of sorted starts meet it or miss it, where independent ones average over it.
    Half steps of frequency show a line between two frequencies of the window.
    """
    independent = INITS[init].jitter is None and (tied or init != "random")
    if independent or len(x) < ENOUGH:
        return
    power = np.mean(np.abs(np.fft.rfft(x, 2 * x.shape[1])) ** 2, axis=0)
    around = np.pad(power, LINE_END, mode="reflect")
    place = np.arange(LINE_END, len(power)) + LINE_END  # lower ones are the mean's
    nearby = [around[place + off] + around[place - off] for off in range(LINE_GAP, LINE_END)]
    height = 2 * around[place] / np.mean(nearby, axis=0)
    line = around[place - 1] ** 2 + around[place] ** 2 + around[place + 1] ** 2
    found = (height > LINE) & (line > LINE_SHARE * np.sum(power**2))
    if found.any():
        expected = f"noise without a tone, which the laws of {init} starts cover"
        seen = f"a power {np.max(height[found]):.0f} times that of the frequencies around it"
        raise ValueError(f"signal must be {expected}, got {seen}")


def require_many(x, n, m, init):
    """Raise ValueError where a grid folds the samples, and too few windows average over them."""
    if INITS[init].jitter is not None and n > m and len(x) < WINDOWS:
        expected = f"at least {WINDOWS} windows for {init} starts with n > m"
        raise ValueError(f"signal must be {expected}, whose samples meet, got {len(x)}")


def require_amplitudes_near_one(amplitudes):
    """Raise ValueError for amplitudes whose powers leave double precision."""
    if amplitudes is None:
        return
    if any(not 1 / LARGEST <= abs(a) <= LARGEST for a in amplitudes):
        expected = f"four numbers other than 0, between {1 / LARGEST:g} and {LARGEST:g} in size"
        raise ValueError(f"amplitudes must be None or {expected}, got {amplitudes!r}")


def spectral_moments(x):
    """E |X|⁴/(E |X|²)² over windows, and the mean square of E |X|² over frequencies, its mean 1."""
    power = np.abs(np.fft.rfft(x)) ** 2
    mean = power.mean(axis=0)
    return np.mean(power**2) / np.mean(mean**2), np.mean(mean**2) / np.mean(mean) ** 2
