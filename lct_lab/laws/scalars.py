"""The loss and the gradients of a1 … a4, from a few moments of the matrix that a start makes.

With x_0 apart, a start makes three things of a signal (the model itself, notebook 01; q and p are
`Setting`'s; how large the parts are, notebook 05, "Why the laws hold"):

    ζ   = a2 Σ_k C_k / √(NM)                             what x_1 … x_{N-1} add to y_0 / a3
    y_0 = a3 (q x_0 + ζ)
    y_n = a1 a4 x_0 P̃_n / √γ + Σ_{n'≥1} A_nn' x_n'

    P_n = Σ_k cos(w_k n) / M of w, so that ζ = (a2/√γ) Σ_{n≥1} P_n x_n, and P̃_n the same of w̃

    a4 ∂L/∂a4 = 2 Σ_{n≥1} (y_n² - x_n y_n)               a3 ∂L/∂a3 = 2 (y_0² - x_0 y_0)

and Euler's identity a1 ∂₁ + a2 ∂₂ = a3 ∂₃ + a4 ∂₄ (notebook 02) gives a1 and a2. How the
frequencies meet enters through `Matrix` alone; each coupling says what its matrix is.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Matrix:
    """What the laws of the loss and of a1 … a4 need of a coupling; σ² is included where stated.

    output     σ² Σ E A_nn'²: the energy of y_1 … y_{N-1} that comes from x_1 … x_{N-1}
    match      σ² Σ E A_nn: how much of the input it returns, E Σ x_n y_n
    column     Σ_n E P̃_n² / γ: a1² a4² σ_0² column is the energy of y_1 … that comes from x_0
    row        z = E ζ²
    wobble     the variance over signals of xᵀ(AᵀA - A)x, in units of N σ⁴, averaged over starts
    drift      the variance over starts of its mean over signals, in the same units
    beta       β, where ∂L/∂a1 = (x_0/√N) Σ_k g_k = 2 x_0 (… x_0 + β ζ + η)
    eta_square E η²: what else meets x_0 in Σ_k g_k, independent of ζ
    peak       Σ_n (E P_n)⁴, for the kurtosis of ζ; zero where the frequencies are random
    rough      how far wobble and drift may be off together, for the bands
    comb       E P_2Mq, q = 1, 2, …: the samples n = 2Mq < N at which all frequencies of a grid have
               one sign enter ζ and η one by one, Σ_q E P_2Mq x_2Mq; none where they are random
    eta_comb   the factor of that sum in η; in ζ it is a2/√γ
    """

    output: np.ndarray
    match: np.ndarray
    column: np.ndarray
    row: np.ndarray
    wobble: np.ndarray
    drift: np.ndarray
    beta: np.ndarray
    eta_square: np.ndarray
    peak: float = 0.0
    rough: float = 0.0
    comb: np.ndarray = field(default_factory=lambda: np.zeros(0))
    eta_comb: np.ndarray | float = 0.0


@dataclass(frozen=True, eq=False)
class Law:
    """A group's law as named terms: their sums are the mean, and E g g' for one and two signals.

    mean    terms of E g
    square  terms of E g², one signal
    floor   terms of E g(x) g(x'), two independent signals: what a large batch leaves of E g²
    """

    mean: dict = field(default_factory=dict)
    square: dict = field(default_factory=dict)
    floor: dict = field(default_factory=dict)

    def mean_square(self, batch):
        """Terms of E g² for the mean gradient of B signals: B pairs of B² are of one signal."""
        own = {name: value / batch for name, value in self.square.items()}
        if batch == 1:
            return own
        return own | {
            f"{name}, any signal": value * (1 - 1 / batch) for name, value in self.floor.items()
        }


def total(terms):
    """The sum of named terms."""
    return sum(terms.values())


def edge(s, matrix):
    """(a1 a4)² σ_0² column: the energy of y_1 … y_{N-1} that x_0 makes."""
    return (s.a1 * s.a4) ** 2 * s.signal.first_variance * matrix.column


def loss(s, matrix):
    """E L = E (y_0 - x_0)² + Σ_{n≥1} E (x_n² + y_n² - 2 x_n y_n), term by term."""
    return {
        "first output": s.p**2 * s.signal.first_variance + s.a3**2 * matrix.row,
        "input": s.later * s.variance,
        "output": matrix.output,
        "edge": edge(s, matrix),
        "match": -2 * matrix.match,
    }


def of_a1(s, matrix):
    """∂L/∂a1 = 2 x_0 (slope x_0 + β ζ + η), slope = a3 p/√γ + a1 a4² column."""
    first_variance = s.signal.first_variance
    parts = {
        "first output": s.a3 * s.p / np.sqrt(s.gamma),
        "later outputs": s.a1 * s.a4**2 * matrix.column,
    }
    slope = total(parts)
    mean = {name: 2 * first_variance * value for name, value in parts.items()}
    square = {
        "x_0 squared": 4 * slope**2 * s.signal.first_fourth,
        "x_0 and ζ": 4 * first_variance * matrix.beta**2 * matrix.row,
        "x_0 and the rest": 4 * first_variance * matrix.eta_square,
    }
    return Law(mean, square, floor=_mean_squared(mean))


def of_a3(s, matrix):
    """∂L/∂a3 = 2 (p x_0 + a3 ζ)(q x_0 + ζ): a product of two numbers that have ζ in common."""
    first_variance, z = s.signal.first_variance, matrix.row
    mean = {"x_0": 2 * s.p * s.q * first_variance, "ζ": 2 * s.a3 * z}
    not_normal = s.signal.fourth - 3 * s.variance**2
    square = {
        "x_0 squared": 4 * s.p**2 * s.q**2 * s.signal.first_fourth,
        "x_0 and ζ": 4 * (s.p + s.a3 * s.q) ** 2 * first_variance * z,
        "ζ squared": 12 * s.a3**2 * z**2,
        "both": 8 * s.p * s.q * s.a3 * first_variance * z,
        "ζ not normal": 4 * not_normal * s.a3**2 * s.a2**4 * matrix.peak / s.gamma**2,
    }
    return Law(mean, square, floor=_mean_squared(mean))


def of_a4(s, matrix):
    """∂L/∂a4 = 2 Σ_{n≥1} (y_n² - x_n y_n) / a4: N terms, a mean of order N, a small spread."""
    mean = {
        "output": 2 * matrix.output / s.a4,
        "edge": 2 * edge(s, matrix) / s.a4,
        "match": -2 * matrix.match / s.a4,
    }
    return _spread(s, matrix, mean, s.a4)


def of_a2(s, matrix):
    """a2 ∂L/∂a2 = a3 ∂L/∂a3 + a4 ∂L/∂a4 - a1 ∂L/∂a1; the terms of x_0 cancel but for a3² z."""
    mean = {
        "output": 2 * matrix.output / s.a2,
        "match": -2 * matrix.match / s.a2,
        "first output": 2 * s.a3**2 * matrix.row / s.a2,
    }
    return _spread(s, matrix, mean, s.a2)


def _spread(s, matrix, mean, amplitude):
    """E g² = (E g)² + 4 N σ⁴ (drift + wobble) / a²; all but the wobble is the same for every x."""
    energy = 4 * s.variance**2 * s.n / amplitude**2
    floor = _mean_squared(mean) | {"drift over starts": energy * matrix.drift}
    return Law(mean, floor | {"wobble over signals": energy * matrix.wobble}, floor)


def _mean_squared(mean):
    return {"mean squared": total(mean) ** 2}


def of_all(s, matrix):
    """{group: Law} of a1 … a4."""
    laws = {"a1": of_a1, "a2": of_a2, "a3": of_a3, "a4": of_a4}
    return {group: law(s, matrix) for group, law in laws.items()}
