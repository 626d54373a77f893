"""What the colour of a table of windows does to the laws (notebook 04, "Coloured input").

With x_0 := 0, X(w) = Σ_n e^{-iwn} x_n and T(w) = Σ_n n e^{-iwn} x_n. A frequency's gradient is a
product of C_k = Re X(w_k) and T_k = -Im T(w_k), so what its mean square needs of a spectrum is a
fourth moment, and that is measured here. The spectrum S(w) of the mean of |X|² has the mean 1.
"""

from dataclasses import dataclass

import numpy as np

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


def colour_of(x):
    """κ = E C_k² T_k² / (E C_k² E T_k²), of one signal at one frequency: 1 if white.

    A signal that starts elsewhere turns X and T by one phase; its mean over that phase is
    κ = E (|X T|² - ½ Re (X̄ T)²) / (E |X|² E |T|²), over windows and frequencies.
    """
    X, T = _transforms(x)
    size, slope = np.abs(X) ** 2, np.abs(T) ** 2
    turned = ((X.conj() * T) ** 2).real
    return float(np.mean(size * slope - turned / 2) / (np.mean(size) * np.mean(slope)))


def fourth_power_of(x):
    """κ₂ = ½ E |X|⁴ / (E |X|²)², over windows and frequencies: 1 if white, and normal."""
    X, _ = _transforms(x)
    return float(np.mean(np.abs(X) ** 4) / np.mean(np.abs(X) ** 2) ** 2 / 2)


def energy_spread_of(x):
    """V = Var ‖x‖² / (n σ⁴), over windows: E x⁴/σ⁴ - 1 if white, 0 of standardised windows."""
    energy = np.sum(x**2, axis=1)
    return float(np.var(energy) * x.shape[1] / np.mean(energy) ** 2)


def shared_of(x):
    """φ = E C_k T_k C'_k T'_k / (E C_k² E T_k²), of two signals: 1/2N if white.

    What many signals leave of a product: its mean at each frequency, squared. It is large where S
    has a slope, and at 0 and π, where a cosine and a sine of one frequency are not orthogonal. Of a
    table: over all pairs of different windows, at frequencies a quarter of 2π/n apart; nan for one.
    """
    if len(x) == 1:
        return float("nan")
    X, T = _transforms(x, 4)
    product = X.real * T.imag
    pairs = np.sum(product, axis=0) ** 2 - np.sum(product**2, axis=0)
    of_two = np.mean(pairs) / len(x) / (len(x) - 1)
    return float(4 * of_two / (np.mean(np.abs(X) ** 2) * np.mean(np.abs(T) ** 2)))


def slope_share_of(x):
    """ρ = Σ n² E x_n² / (σ² Σ n²): E T_k² over that of noise whose energy is spread evenly."""
    square = np.arange(x.shape[1]) ** 2
    return float(np.mean(x**2 @ square) / (np.mean(x**2) * square.sum()))


def _later(x):
    """The windows with x_0 := 0."""
    return np.where(np.arange(x.shape[1]) == 0, 0.0, x)


def _transforms(x, oversampled=2):
    later = _later(x)
    size = oversampled * x.shape[1]
    return np.fft.rfft(later, size), np.fft.rfft(later * np.arange(x.shape[1]), size)


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
