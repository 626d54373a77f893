"""What the colour of a table of windows does to the laws (notebook 05, "Coloured input").

With x_0 := 0, X(w) = Σ_n e^{-iwn} x_n and T(w) = Σ_n n e^{-iwn} x_n. A frequency's gradient is a
product of C_k = Re X(w_k) and T_k = -Im T(w_k), so what its mean square needs of a spectrum is a
fourth moment, and that is measured here. The spectrum S(w) of the mean of |X|² has the mean 1.
"""

from dataclasses import dataclass

import numpy as np

SEEN = 2**19  # samples of a table whose transforms are looked at
PLACES = 256  # along the frequencies of a sorted start, crowding towards both ends


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The mean spectrum of a table: S(w) = Σ_l r_l cos(lw), r_{-l} = r_l, r_0 = 1.

    r    (n,) the autocorrelation of the windows, x_0 left out, over their mean energy
    rows of the table; fewer leave more of their own noise in S
    """

    r: np.ndarray
    rows: int

    def smoothed(self, w, width):
        """(w,) the mean of S about each w, by a Gaussian of each standard deviation `width`."""
        lag = np.arange(1, len(self.r))
        kept = np.exp(-((np.outer(width, lag)) ** 2) / 2)
        return 1 + 2 * (np.cos(np.outer(w, lag)) * kept) @ self.r[1:]


def spectrum_of(x):
    """The `Spectrum` of windows x (rows, n)."""
    power = np.mean(np.abs(np.fft.fft(_later(x), 2 * x.shape[1])) ** 2, axis=0)
    r = np.fft.ifft(power).real[: x.shape[1]]
    return Spectrum(r=r / r[0], rows=len(x))


@dataclass(frozen=True)
class Colour:
    """How a table's transforms fluctuate, over windows and frequencies; see the functions."""

    colour: float
    fourth_power: float
    shared: float | None  # None of one window


def colour_of(x):
    """The `Colour` of windows x (rows, n), of at most `SEEN` samples, evenly chosen."""
    count = min(len(x), max(2, SEEN // x.shape[1]))
    later = _later(x[np.arange(count) * len(x) // count])
    size = 4 * x.shape[1]
    X = np.fft.rfft(later, size)
    T = np.fft.rfft(later * np.arange(x.shape[1]), size)
    power, slope = (part.real**2 + part.imag**2 for part in (X, T))
    unit = power.mean() * slope.mean()
    return Colour(
        colour=float(_one_frequency(X, T, power, slope) / unit),
        fourth_power=float(np.mean(power**2) / power.mean() ** 2 / 2),
        shared=float(_two_windows(X.real * T.imag) * 4 / unit) if count > 1 else None,
    )


def _one_frequency(X, T, power, slope):
    """E |X|²|T|² - ½ Re E (X̄ T)² = E [3/2 |X|²|T|² - (Re X̄ T)²]: four times E C_k² T_k².

    C_k = |X| cos(θ + φ_X) and T_k = -|T| sin(θ + φ_T), averaged over θ: a signal that starts
    elsewhere turns both by one phase.
    """
    along = X.real * T.real + X.imag * T.imag
    return np.mean(1.5 * power * slope - along**2)


def _two_windows(product):
    """The mean over frequencies of C T C' T' of two windows, over all pairs.

    It is large where the spectrum has a slope, and at 0 and π, where a cosine and a sine of one
    frequency are not orthogonal.
    """
    count = len(product)
    pairs = np.sum(product, axis=0) ** 2 - np.sum(product**2, axis=0)
    return np.mean(pairs) / count / (count - 1)


def energy_spread_of(x):
    """V = Var ‖x‖² / (n σ⁴), over windows: E x⁴/σ⁴ - 1 if white, 0 of standardised windows."""
    energy = np.sum(x**2, axis=1)
    return float(np.var(energy) * x.shape[1] / np.mean(energy) ** 2)


def slope_share_of(x):
    """ρ = Σ n² E x_n² / (σ² Σ n²): E T_k² over that of noise whose energy is spread evenly."""
    later, square = x[:, 1:], np.arange(1, x.shape[1]) ** 2
    return float(np.mean(later**2 @ square) / (np.mean(later**2) * square.sum()))


def _later(x):
    """The windows with x_0 := 0."""
    return np.where(np.arange(x.shape[1]) == 0, 0.0, x)


def places():
    """Places t along a sorted draw and their weights: ∫_0^1 f dt = Σ weight f(t)."""
    angle = np.pi * (np.arange(PLACES) + 0.5) / PLACES
    weight = np.sin(angle)
    return (1 - np.cos(angle)) / 2, weight / weight.sum()


def at_places(spectrum, m):
    """S_M at `places`: S as w_k sees it, the k-th of m sorted draws, k = tm.

    It is spread about πt by a Gaussian of width π √(t(1-t)/m).
    """
    t, _ = places()
    return spectrum.smoothed(np.pi * t, np.pi * np.sqrt(t * (1 - t) / m))
