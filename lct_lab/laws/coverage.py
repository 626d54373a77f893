"""What the laws cover: sizes, and signals that are stationary noise. The rest is refused in words.

The bounds on a signal lie between what the laws were measured to hold for (normal, Laplace and
Student noise, autoregressions, windows of EEG and ECG) and what they miss: a large mean, single
tones, one spike a window, sums of noise that wander off.
"""

import numpy as np

from lct_lab.init import INITS

LEAST = 32  # the smallest size that is covered
WIDEST = 16  # sorted starts: 1/WIDEST <= N/M <= WIDEST
FOLDS = 8  # orthogonal and jittered starts: N <= FOLDS M

MEAN = 0.25  # of the energy, in the means of the windows
KURTOSIS = 60  # E x⁴/σ⁴: 3 of normal noise, the length of the window of a single spike
TONES = 4  # E |X|⁴/(E |X|²)² at one frequency over windows: 2 of noise
LINES = 30  # mean of |X|⁴ over that of |X|², squared, over frequencies: of a single window's tone
HALVES = 2.5  # the energy of one half of the windows over the other's
ENOUGH = 8  # windows from which the halves are compared
POWERS = 1e40  # of samples: the laws have products of six of them, and of sizes
WHITE = 1.25  # the colour up to which a table counts as white, were it of many windows


def require_sizes(n, m, init, tied):
    """Raise ValueError, with what is covered, where no law reaches n/m of this start."""
    if init == "random" and not tied and not 1 / WIDEST <= n / m <= WIDEST:
        covered = f"between 1/{WIDEST} and {WIDEST}, which the sorted laws cover"
        raise ValueError(f"n/m must be {covered}, got {n / m:.4g}")
    if INITS[init].jitter is not None and n > FOLDS * m:
        covered = f"the range the {init} laws cover"
        raise ValueError(f"n must be at most {FOLDS} m, {covered}, got n = {n}, m = {m}")


def require_powers(x):
    """Raise ValueError where a signal is so large or small that a law could overflow or vanish."""
    largest = np.abs(x).max(initial=0.0)
    if 0 < largest < 1 / POWERS or POWERS < largest < np.inf:
        expected = f"between {1 / POWERS:g} and {POWERS:g} at its largest"
        raise ValueError(f"signal must be {expected}, got {largest:.3g}")


def require_stationary(x):
    """Raise ValueError, with what was seen, where windows (rows, n) are not stationary noise."""
    energy, half = np.mean(x**2), x.shape[1] // 2
    share = np.mean(x.mean(axis=1) ** 2) / energy
    _require("a mean", share <= MEAN, f"{share:.0%} of its energy in the mean of its windows")
    kurtosis = np.mean(x**4) / energy**2
    _require("spikes", kurtosis <= KURTOSIS, f"a kurtosis of {kurtosis:.0f}")
    tones, colour = spectral_moments(x)
    _require("tones", tones <= TONES, f"a power that varies {tones:.1f}-fold between windows")
    _require("tones", colour <= LINES, f"a spectrum {colour:.0f} times as peaked as white noise's")
    first, second = np.mean(x[:, :half] ** 2), np.mean(x[:, half:] ** 2)
    steady = max(first, second) <= HALVES * min(first, second) or len(x) < ENOUGH
    _require("a change", steady, f"energies of {first:.3g} and {second:.3g} in its halves")


def _require(what, holds, seen):
    if not holds:
        expected = f"stationary noise without {what}, which the laws cover"
        raise ValueError(f"signal must be {expected}, got {seen}")


def require_white(x, init):
    """Raise ValueError where windows for a start on a grid are coloured, which no law covers."""
    _, colour = spectral_moments(x)
    if colour > WHITE * (1 + 1 / len(x)):
        expected = f"white for {init} starts, whose laws cover no colour"
        raise ValueError(f"signal must be {expected}, got a spectrum {colour:.1f} times as peaked")


def spectral_moments(x):
    """E |X|⁴/(E |X|²)² over windows, and the mean square of E |X|² over frequencies, its mean 1."""
    power = np.abs(np.fft.rfft(x)) ** 2
    mean = power.mean(axis=0)
    return np.mean(power**2) / np.mean(mean**2), np.mean(mean**2) / np.mean(mean) ** 2
