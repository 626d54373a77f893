"""What a law is asked about: the sizes, the amplitudes and the signal, as one value."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lct_lab.laws.spectrum import (
    Spectrum,
    colour_of,
    energy_spread_of,
    slope_share_of,
    spectrum_of,
)

NOISES = {"uniform": (1 / 3, 1 / 5), "normal": (1.0, 3.0)}  # E x² and E x⁴


class Moments(NamedTuple):
    """What the laws need to know of a signal.

    variance      σ² = E x², over the samples after x_0
    fourth        E x⁴, over these
    first_variance, first_fourth  σ_0² = E x_0² and E x_0⁴ of the first samples alone
    energy_spread V = Var ‖x‖² / (n σ⁴), over windows without x_0: E x⁴/σ⁴ - 1 if white

    and of a table, whose colour `spectrum` describes; all 1 if white and normal

    colour        κ = E C_k² T_k² / (E C_k² E T_k²), of one signal at one frequency
    fourth_power  κ₂ = ½ E |X|⁴ / (E |X|²)², X its transform
    slope_share   ρ = Σ n² E x_n² / (σ² Σ n²): a few windows may have their energy late or early
    shared        φ = E C_k T_k C'_k T'_k / (E C_k² E T_k²), of two signals; None: 1/2N
    spectrum      the `Spectrum`; None if white by name
    windows       the table (windows, n); None by name
    """

    variance: float
    fourth: float
    first_variance: float
    first_fourth: float
    energy_spread: float
    colour: float = 1.0
    fourth_power: float = 1.0
    slope_share: float = 1.0
    shared: float | None = None
    spectrum: Spectrum | None = None
    windows: np.ndarray | None = None

    @property
    def flat(self):
        """Whether it is uniform noise, by its kurtosis; only asked of noise by name."""
        return self.excess < -1

    @property
    def excess(self):
        """E x⁴ / σ⁴ - 3: the excess kurtosis, 0 for normal noise."""
        return self.fourth / self.variance**2 - 3


def describe(signal):
    """The `Moments` of "uniform" noise (σ² = 1/3), "normal", or a table (windows, n) of a signal.

    Raises ValueError for another name, or a table that is not finite, or all zero but for x_0.
    """
    if isinstance(signal, str):
        if signal not in NOISES:
            raise ValueError(
                f"signal must be uniform, normal or a table of windows (windows, n), got {signal!r}"
            )
        variance, fourth = NOISES[signal]
        return Moments(variance, fourth, variance, fourth, fourth / variance**2 - 1)
    x = np.atleast_2d(np.asarray(signal, dtype=float))
    if x.ndim != 2 or not np.isfinite(x).all() or not x[:, 1:].any():
        raise ValueError(
            "signal must be a finite table of windows (windows, n), not all zero after x_0, "
            f"got shape {x.shape}"
        )
    first, later = x[:, 0], x[:, 1:]
    return Moments(
        variance=np.mean(later**2),
        fourth=np.mean(later**4),
        first_variance=np.mean(first**2),
        first_fourth=np.mean(first**4),
        energy_spread=energy_spread_of(later),
        slope_share=slope_share_of(x),
        spectrum=spectrum_of(x),
        windows=x,
        **vars(colour_of(x)),
    )


@dataclass(frozen=True, eq=False)
class Setting:
    """One question to a law. The amplitudes are numbers, or arrays of one shape: one law for each.

    jitter : of frequencies about the grid, in units of its spacing π/M; only grids use it.
    """

    n: int
    m: int
    a1: np.ndarray
    a2: np.ndarray
    a3: np.ndarray
    a4: np.ndarray
    signal: Moments
    jitter: float = 0.0

    @property
    def later(self):
        """N - 1: the samples after x_0, and the outputs after y_0."""
        return self.n - 1

    @property
    def gamma(self):
        """γ = N/M."""
        return self.n / self.m

    @property
    def variance(self):
        """σ² = E x² after x_0."""
        return self.signal.variance

    @property
    def b(self):
        """b = (a2 a4 / 2)²: Σ_n E y_n² is N b σ² where the outputs add up independently."""
        return (self.a2 * self.a4 / 2) ** 2

    @property
    def alpha(self):
        """α = a2 a4 / 2√γ = √(b/γ), signed: the share of its input that a tied start returns."""
        return self.a2 * self.a4 / 2 / np.sqrt(self.gamma)

    @property
    def q(self):
        """q = a1/√γ: Σ_k X_k / √M = q x_0 + ζ."""
        return self.a1 / np.sqrt(self.gamma)

    @property
    def p(self):
        """p = a3 q - 1: y_0 - x_0 = p x_0 + a3 ζ."""
        return self.a3 * self.q - 1

    @property
    def unit(self):
        """U = (a2 a4 σ²)² N³/M: the mean square of a frequency's gradient is U times a number."""
        return (self.a2 * self.a4 * self.variance) ** 2 * self.n**3 / self.m

    @property
    def scale(self):
        """√U = a2 a4 σ² √(N³/M): the rms of a frequency's gradient is √U times a number."""
        return self.a2 * self.a4 * self.variance * np.sqrt(self.n**3 / self.m)

    @property
    def shared(self):
        """φ = E C T C' T' / (E C² E T²) of two signals: 1/2N if white."""
        return 1 / (2 * self.n) if self.signal.shared is None else self.signal.shared

    @property
    def ramp(self):
        """Σ_{n≥1} n²/2: the mean of |t|², t_n = n sin(w n), over w."""
        return self.later * self.n * (2 * self.n - 1) / 12
