"""The sizes of the gradients, derived: floats in, floats out, with numpy and (on first use) scipy and pandas.

Notation: γ = N/M, σ² = E x², b = (a2 a4 / 2)², q = a1/√γ, p = a3 q - 1, z = a2² σ² (N-1) / 2N, α = √(b/γ). The
derivations are in notebooks 04 (independent frequencies), 07 (sorted) and 08 (tied). Frequencies meet in one of
four couplings: "shuffled" and "sorted" (`random` starts), "tied", and "grid" (`orthogonal` and `jittered` starts).
"""

import math
from copy import deepcopy
from functools import lru_cache
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from lct_lab.checks import (
    require_amplitudes,
    require_choice,
    require_flag,
    require_samples,
    require_size,
)

GROUPS = ("a1", "a2", "a3", "a4", "w1", "w2")
STARTS = ("random", "shuffled", "orthogonal", "jittered")
LEAST, WIDEST, FOLDS = (
    32,
    16,
    8,
)  # sizes from LEAST on; sorted 1/WIDEST <= N/M <= WIDEST; of a grid N <= FOLDS M
JITTER = 0.25  # of `jittered` starts, in units of the spacing
UNIT_AMPLITUDES = (1.0, 2**0.5, 1.0, 2**0.5)


class Law(NamedTuple):
    """A formula that computes, and that a reader can take away: `latex` and `python` say the same.

    Calling it, or `f`, evaluates the Python line for the names it uses: n, m and, for a law, b, s2 = σ², a1 ... a4.
    """

    name: str
    group: str
    latex: str
    python: str

    def __call__(self, n, m, **values):
        scope = {
            "sqrt": np.sqrt,
            "pi": math.pi,
            "n": n,
            "m": m,
            "g": n / m,
            "sorting": sorting,
            "chain": chain,
        }
        if "a2" in values:
            scope["b"] = (values["a2"] * values["a4"] / 2) ** 2
        return eval(self.python, {"__builtins__": {}}, scope | values)

    f = __call__

    def _repr_latex_(self):
        return f"${self.latex}$"


def _laws(text):
    return {
        name: Law(name, name[:2], latex, line)
        for name, latex, line in (
            map(str.strip, row.split("|")) for row in text.strip().splitlines()
        )
    }


# The divisors that the original notebook gives its gradients, read off at N = M = 1000.
RULES = _laws(r"""
a1 sum            | (M+N)/\sqrt{MN}      | (m + n) / sqrt(m * n)
a1 ratio          | 2\sqrt{M/N}          | 2 * sqrt(m / n)
a1 root           | \sqrt{N}             | sqrt(n)
a2 root           | \sqrt{MN}            | sqrt(m * n)
a3 one            | 1                    | 1.0
a4 max            | (N-1)/\sqrt{2}       | (n - 1) / sqrt(2)
a4 mean           | (N-1)/1.4            | (n - 1) / 1.4
a4 cosine         | 2(N-1)/\pi           | 2 * (n - 1) / pi
w1 max            | 10N/\sqrt{M}         | 10 * n / sqrt(m)
w1 mean           | N/\sqrt{M}           | n / sqrt(m)
w1 sum            | N(N-1)/M             | n * (n - 1) / m
w1 sum sixth      | N(N-1)/6M            | n * (n - 1) / (6 * m)
w2 max            | 5N/\sqrt{M}          | 5 * n / sqrt(m)
w2 median         | N/\sqrt{M}           | n / sqrt(m)
""")

# Leading order, the amplitudes given: the mean of a1 ... a4, the rms of w1 and w2. `predict` adds what is smaller.
LAWS = _laws(r"""
a2 shuffled | \tfrac12 N a_2a_4^2\sigma^2 | n * a2 * a4**2 * s2 / 2
a4 shuffled | \tfrac12 N a_2^2a_4\sigma^2 | n * a2**2 * a4 * s2 / 2
w1 shuffled | a_2a_4\sigma^2\sqrt{N^3/M}\sqrt{(1+b(1+\gamma))/3} | a2 * a4 * s2 * sqrt(n**3 / m * (1 + b * (1 + g)) / 3)
w2 shuffled | a_2a_4\sigma^2\sqrt{N^3/M}\sqrt{(1+b)/3} | a2 * a4 * s2 * sqrt(n**3 / m * (1 + b) / 3)
a2 sorted | \tfrac12 N a_2a_4^2\sigma^2(1+H(\gamma)) | n * a2 * a4**2 * s2 / 2 * (1 + sorting(g))
a4 sorted | \tfrac12 N a_2^2a_4\sigma^2(1+H(\gamma)) | n * a2**2 * a4 * s2 / 2 * (1 + sorting(g))
w1 sorted | a_2a_4\sigma^2\sqrt{N^3/M}\sqrt{(1+bF(\gamma))/3} | a2 * a4 * s2 * sqrt(n**3 / m * (1 + b * chain(g)[0]) / 3)
w2 sorted | a_2a_4\sigma^2\sqrt{N^3/M}\sqrt{(1+b\tilde F(\gamma))/3} | a2 * a4 * s2 * sqrt(n**3 / m * (1 + b * chain(g)[1]) / 3)
a2 tied | 2N\sigma^2(\alpha^2+b-\alpha)/a_2 | 2 * n * s2 * (b / g + b - sqrt(b / g)) / a2
a4 tied | 2N\sigma^2(\alpha^2+b-\alpha)/a_4 | 2 * n * s2 * (b / g + b - sqrt(b / g)) / a4
w1 tied | 2a_2a_4\sigma^2\sqrt{N^3/M}\sqrt{(2(\alpha-1)+\alpha\gamma)^2/12+3b/10} | 2 * a2 * a4 * s2 * sqrt(n**3 / m * ((2 * (sqrt(b / g) - 1) + sqrt(b * g))**2 / 12 + 3 * b / 10))
a2 grid | 2N\sigma^2(\alpha^2-\alpha)/a_2 | 2 * n * s2 * (b / g - sqrt(b / g)) / a2
a4 grid | 2N\sigma^2(\alpha^2-\alpha)/a_4 | 2 * n * s2 * (b / g - sqrt(b / g)) / a4
w1 grid | a_2a_4\sigma^2\lvert\alpha-1\rvert\sqrt{N^3/3M} | a2 * a4 * s2 * sqrt((sqrt(b / g) - 1)**2 * n**3 / (3 * m))
w2 grid | a_2a_4\sigma^2\lvert\alpha-1\rvert\sqrt{N^3/3M} | a2 * a4 * s2 * sqrt((sqrt(b / g) - 1)**2 * n**3 / (3 * m))
a1 any | 2\sigma^2\big(a_1a_3^2/\gamma-a_3/\sqrt\gamma+a_1a_4^2/2\big) | 2 * s2 * (a1 * a3**2 / g - a3 / sqrt(g) + a1 * a4**2 / 2)
a3 any | 2\sigma^2\big(a_3(a_1^2/\gamma+a_2^2/2)-a_1/\sqrt\gamma\big) | 2 * s2 * (a3 * (a1**2 / g + a2**2 / 2) - a1 / sqrt(g))
""")


def cosine_sum(w, n):
    """Σ_{j=1}^{n-1} cos(w j) = (sin((n - ½) w) / sin(w/2) - 1) / 2, w any array of radians."""
    v = _to_nearest_turn(w)
    return ((2 * n - 1) * np.sinc((n - 0.5) * v / np.pi) / np.sinc(v / 2 / np.pi) - 1) / 2


def sine_moment(w, n):
    """Σ_{j=1}^{n-1} j sin(w j) = -d/dw cosine_sum(w, n), by its Taylor series where n w is small."""
    v = _to_nearest_turn(w)
    small = np.abs(v) * n < 0.05
    u = np.where(small, 1.0, v)
    direct = (np.sin(n * u) - n * np.cos((n - 0.5) * u) * 2 * np.sin(u / 2)) / (
        4 * np.sin(u / 2) ** 2
    )
    s, t = (n - 1) * n * (2 * n - 1), (n - 1) * n  # Σ j², Σ j⁴ and Σ j⁶ are Faulhaber's polynomials
    second, fourth, sixth = s / 6, s * (3 * t - 1) / 30, s * (3 * t**2 - 3 * t + 1) / 42
    series = v * (second - v**2 * (fourth / 6 - v**2 * sixth / 120))
    return np.where(small, series, direct)


def _to_nearest_turn(w):
    w = np.asarray(w, dtype=float)
    return w - 2 * np.pi * np.round(w / (2 * np.pi))


def sorted_profile(v, gamma):
    """h(v) = (1/U) ∫_0^U S(u, v) du, U = πγ: by how much sorting raises E y_n² at v = πn/M, in units of σ² b.

    S(u, v) = uv / (u²v² + (u-v)²) - uv / (u²v² + (u+v)²) is the sum over all distances d in the sorted order of the
    product of Re (1 - iu)^-d and Re (1 - iv)^-d, the means of the cosine of d exponential gaps.
    """
    v, U = np.asarray(v, dtype=float), math.pi * gamma
    A = 1 + v**2
    logs = v / 2 * np.log1p(-4 * U * v / ((U + v) ** 2 + (U * v) ** 2))
    turns = np.arctan((A * U - v) / v**2) + np.arctan((A * U + v) / v**2)
    return (logs + turns) / (A * U)


@lru_cache(maxsize=4096)
def sorting(gamma):
    """H(γ) = (1/U) ∫_0^U h(v) dv, U = πγ: sorting multiplies E y² and the gradients of a2 and a4 by 1 + H."""
    t, weight = _gauss(80)
    v = math.pi * gamma * (1 - (1 - t) ** 2)  # nodes crowd at v = U, where h bends over a width U²
    return float(np.sum(weight * 2 * (1 - t) * sorted_profile(v, gamma)))


def pairing(n, m):
    """(2/M) Σ_n E Σ_k cos(w_k n) cos(w̃_k n), two sorted draws: Σ_{j=1}^{n-1} J(π² j²/m), J(c) = ∫_0^1 e^{-c t(1-t)} dt.

    The k-th of m sorted uniforms has variance t(1-t)/m at t = k/m, so its cosine has mean cos(πjt) e^{-π²j²t(1-t)/2m}.
    As n grows the sum tends to √(πm)/2.
    """
    from scipy.special import dawsn

    root = math.pi * np.arange(1, min(n, int(40 * math.sqrt(m)) + 2)) / math.sqrt(m)
    far = 2 * m / math.pi**2 * max(0.0, 1 / (len(root) + 0.5) - 1 / (n - 0.5))
    return float(np.sum(2 / root * dawsn(root / 2))) + far


@lru_cache(maxsize=64)
def _gauss(count):
    t, weight = np.polynomial.legendre.leggauss(count)
    return (t + 1) / 2, weight / 2


def conditional(n, a1, a2, a3, a4, w1, w2=None, *, s2=1 / 3, x4=1 / 5):
    """Mean and variance over white x of the loss and of each gradient, all parameters given: {group: (mean, variance)}.

    Each is a quadratic form xᵀQx, with mean σ² tr Q and variance 2σ⁴ tr Q_s² + (E x⁴ - 3σ⁴) Σ Q_ii², Q_s symmetric.
    A frequency's is a product (u·x)(v·x), so Q = uvᵀ; group w1 (w2) is a pair of arrays (m,). Without w2: tied.
    Dense, O(n²(n + m)).
    """
    w1 = np.asarray(w1, dtype=float)
    tied, w2 = w2 is None, w1 if w2 is None else np.asarray(w2, dtype=float)
    m, j, first = len(w1), np.arange(1, n), np.arange(n) == 0
    cosine, sine = (
        np.pad(f(np.outer(w1, j)), ((0, 0), (1, 0))) for f in (np.cos, lambda v: j * np.sin(v))
    )
    turned, moment = (
        np.pad(f(np.outer(w2, j)), ((0, 0), (1, 0))) for f in (np.cos, lambda v: j * np.sin(v))
    )
    X = (a1 * first + a2 * cosine) / math.sqrt(
        n
    )  # rows: what gives X_k, and below y_n, e_n, g_k from x
    y = (np.where(first[:, None], a3, a4) * (turned.T + first[:, None])) @ X / math.sqrt(m)
    e = 2 * (y - np.eye(n))
    g = (a3 * e[:1] + a4 * turned @ e) / math.sqrt(m)
    forms = {
        "loss": e.T @ e / 4,
        "a1": np.outer(first, g.sum(0)) / math.sqrt(n),
        "a2": g.T @ cosine / math.sqrt(n),
        "a3": np.outer(e[0], X.sum(0)) / math.sqrt(m),
        "a4": e[1:].T @ y[1:] / a4,
    }
    result = {}
    for group, form in forms.items():
        form = (form + form.T) / 2
        spread = 2 * s2**2 * np.sum(form**2) + (x4 - 3 * s2**2) * np.sum(np.diag(form) ** 2)
        result[group] = (s2 * np.trace(form), spread)
    analysis, synthesis = (-a2 / math.sqrt(n) * g, sine), (-a4 / math.sqrt(m) * X, moment @ e)
    groups = [("w1", [analysis, synthesis])] if tied else [("w1", [analysis]), ("w2", [synthesis])]
    for group, pairs in groups:
        diagonal, spread = sum(u * v for u, v in pairs), 0.0
        for u, v in pairs:
            for s, t in pairs:
                spread = (
                    spread
                    + np.sum(u * s, 1) * np.sum(v * t, 1)
                    + np.sum(u * t, 1) * np.sum(v * s, 1)
                )
        result[group] = (
            s2 * diagonal.sum(1),
            s2**2 * spread + (x4 - 3 * s2**2) * np.sum(diagonal**2, 1),
        )
    return result


class Input(NamedTuple):
    """What the laws need of a signal: σ² = E x², E x⁴, the same of x_0, and the colour ∫S² / (∫S)² of its spectrum."""

    s2: float
    x4: float
    first2: float
    first4: float
    colour: float


def describe(signal):
    """The moments of "uniform" (σ² = 1/3), "normal", or a table (windows, n) of a stationary signal, as an `Input`."""
    if isinstance(signal, str):
        if signal not in ("uniform", "normal"):
            raise ValueError(
                f"signal must be uniform, normal or a table of windows (windows, n), got {signal!r}"
            )
        s2, x4 = (1 / 3, 1 / 5) if signal == "uniform" else (1.0, 3.0)
        return Input(s2, x4, s2, x4, 1.0)
    x = np.asarray(signal, dtype=float)
    if x.ndim != 2 or not np.isfinite(x).all() or not x.any():
        raise ValueError(
            f"signal must be a finite table of windows (windows, n), not all zero, got shape {x.shape}"
        )
    power = np.mean(np.abs(np.fft.fft(x, 2 * x.shape[1])) ** 2, axis=0)
    return Input(
        np.mean(x**2),
        np.mean(x**4),
        np.mean(x[:, 0] ** 2),
        np.mean(x[:, 0] ** 4),
        np.mean(power**2) / np.mean(power) ** 2,
    )


def predict(n, m, *, init="random", tied=False, amplitudes=None, signal="uniform", batch=1):
    """Mean, rms and median of every gradient over random inits, and the mean loss, without drawing one.

    DataFrame indexed by group, columns mean (signed), rms, median_abs (median over inits of the median over a group's
    entries) and law (one line, leading order); `attrs["loss"]` is E ‖y - x‖². Arguments as in `probe`;
    `signal` is "uniform", "normal" or a table of windows (windows, n). With `batch` B
    signals, E g² falls as floor + (E g² - floor)/B.
    `amplitudes=None`: each mean and mean square is a polynomial in amplitudes from U(½, 3/2), averaged exactly.

    Medians take the factors of a frequency's gradient as independent normals: for sorted and tied starts high by a
    seventh, for jittered ones at batch 1 off by up to a factor 1.8. The `law` of orthogonal and jittered starts is
    that of the exact grid at n <= m; the numbers know more.
    Covered: n, m >= 32; for sorted starts 1/16 <= n/m <= 16; for orthogonal and jittered n <= 8 m. Raises TypeError
    for a wrong type, ValueError, with what is covered, for anything else.
    """
    import pandas as pd

    n, m, tied, batch = _require_covered(n, m, init, tied, batch)
    amplitudes = require_amplitudes(amplitudes)
    s = describe(signal if isinstance(signal, str) else require_samples(signal))
    if np.ndim(signal) == 2 and np.shape(signal)[1] != n:
        raise ValueError(f"signal must have windows of n = {n} samples, got {np.shape(signal)[1]}")
    a, weight = _amplitudes(init, amplitudes)
    coupling = {"random": "sorted", "shuffled": "shuffled"}.get(init, "grid")
    coupling = "tied" if tied and coupling != "grid" else coupling
    spread = JITTER if init == "jittered" else 0.0
    loss, given = _given(n, m, coupling, tied, a, s, spread)
    medians, rows = _medians(n, m, coupling, tied, a, s, spread, batch), {}
    for group, (mean, square, floor) in given.items():
        square = floor + (square - floor) / batch
        law = LAWS.get(f"{group} {coupling}") or LAWS[f"{group} any"]
        rows[group] = {
            "mean": np.sum(weight * mean),
            "rms": np.sqrt(np.sum(weight * square)),
            "median_abs": medians[group],
            "law": law.python,
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "group"
    table.attrs["loss"] = float(np.sum(weight * loss))
    return table


def _require_covered(n, m, init, tied, batch):
    n, m, batch = (
        require_size("n", n, LEAST),
        require_size("m", m, LEAST),
        require_size("batch", batch),
    )
    tied = require_flag("tied", tied)
    require_choice("init", init, STARTS)
    if init == "random" and not tied and not 1 / WIDEST <= n / m <= WIDEST:
        raise ValueError(
            f"n/m must be between 1/{WIDEST} and {WIDEST}, which the sorted laws cover, got {n / m:.4g}"
        )
    if init in ("orthogonal", "jittered") and n > FOLDS * m:
        raise ValueError(
            f"n must be at most {FOLDS} m, the range the {init} laws cover, got n = {n}, m = {m}"
        )
    return n, m, tied, batch


def _amplitudes(init, amplitudes):
    """Amplitudes as four arrays, and weights: five Gauss nodes each average polynomials of degree 9 exactly."""
    if amplitudes is None and init in ("orthogonal", "jittered"):
        amplitudes = UNIT_AMPLITUDES
    if amplitudes is not None:
        if 0 in amplitudes:
            raise ValueError(
                f"amplitudes must be None or four finite numbers other than 0, got {amplitudes!r}"
            )
        return np.array(amplitudes)[:, None], np.ones(1)
    t, weight = _gauss(5)
    a, weights = (
        np.stack(np.meshgrid(*[v] * 4, indexing="ij")).reshape(4, -1) for v in (t + 0.5, weight)
    )
    return a, np.prod(weights, axis=0)


def _given(n, m, coupling, tied, a, s, spread):
    """The mean loss and {group: (mean, mean square, floor)} of amplitudes given as arrays; batch 1."""
    a1, a2, a3, a4 = a
    g, P = n / m, n - 1
    q = a1 / math.sqrt(g)
    p = a3 * q - 1
    b, alpha = (a2 * a4 / 2) ** 2, a2 * a4 / 2 / math.sqrt(g)
    z, beta, rest = _scalars(n, m, coupling, tied, a, s, spread)
    column, fourth, drift = P / (2 * n), 0.0, b**2 * (4 / 3 if coupling == "tied" else 0)
    if coupling == "grid":
        (row, fourth, trace, total), near = _grid(n, m, tied, a, spread)
        column, drift = row / g, max(0.0, near.drift)
        power, match = s.s2 * alpha**2 * total, s.s2 * alpha * trace
        wobble = max(0.0, 2 * near.wobble + (s.x4 / s.s2**2 - 3) * near.diagonal)
    elif coupling == "tied":
        power = s.s2 * (P * alpha**2 + b * (P * (P - 1) + P / 2) / n)
        match = s.s2 * P * alpha
        m2, m3 = alpha**2 * (1 + g), alpha**3 * (1 + 3 * g + g**2)
        m4 = alpha**4 * (1 + 6 * g + 20 / 3 * g**2 + g**3)
        # bands of the spectrum fluctuate independently, each as its power squared
        wobble = s.colour * (2 * (m4 - 2 * m3 + m2) + (s.x4 / s.s2**2 - 3) * (m2 - alpha) ** 2)
        drift = s.colour * drift
    else:
        gain = 1 + sorting(g) if coupling == "sorted" else 1.0
        power = s.s2 * b * P**2 / n * gain
        match = s.s2 * alpha * pairing(n, m) if coupling == "sorted" else 0.0
        wobble = gain**2 * (2 * b**2 * (2 + g) + b**2 * (s.x4 / s.s2**2 - 3)) + b
    slope = a3 * p / math.sqrt(g) + a1 * a4**2 * column
    edge = (a1 * a4) ** 2 * s.first2 * column  # Σ_n E y_n² that comes from x_0
    loss = p**2 * s.first2 + a3**2 * z + P * s.s2 + power + edge - 2 * match
    means = {
        "a1": 2 * s.first2 * slope,
        "a3": 2 * (p * q * s.first2 + a3 * z),
        "a4": 2 * (power + edge - match) / a4,
    }
    means["a2"] = (a3 * means["a3"] + a4 * means["a4"] - a1 * means["a1"]) / a2
    squares = {
        "a1": 4 * (slope**2 * s.first4 + s.first2 * (beta**2 * z + rest)),
        "a3": 4
        * (
            p**2 * q**2 * s.first4
            + (p + a3 * q) ** 2 * s.first2 * z
            + 3 * a3**2 * z**2
            + 2 * p * q * a3 * s.first2 * z
            + (s.x4 - 3 * s.s2**2) * a3**2 * a2**4 * fourth / g**2
        ),
    }
    floors = {"a1": means["a1"] ** 2, "a3": means["a3"] ** 2}
    for group, amplitude in (("a2", a2), ("a4", a4)):
        floors[group] = means[group] ** 2 + 4 * s.s2**2 * n * drift / amplitude**2
        squares[group] = floors[group] + 4 * s.s2**2 * n * wobble / amplitude**2
    given = {
        group: (means[group], squares[group], floors[group]) for group in ("a1", "a2", "a3", "a4")
    }
    for group, (square, floor) in _frequencies(n, m, coupling, tied, a, s, spread).items():
        given[group] = (
            0.0 * square,
            square,
            floor,
        )  # reflecting all w to π - w flips the sign: the mean is zero
    return loss, given


def _scalars(n, m, coupling, tied, a, s, spread):
    """z = E ζ², ζ = a2 Σ C_k / √NM, and of ∂L/∂a1 = 2 x_0 (slope x_0 + beta ζ + η) the factor beta and E η²."""
    a1, a2, a3, a4 = a
    g, P = n / m, n - 1
    z = a2**2 * s.s2 * P / (2 * n)
    beta = a3**2 / math.sqrt(g) + a4**2 * math.sqrt(g) / 2
    if coupling == "grid":
        (row, *_), near = _grid(n, m, tied, a, spread)
        rest = a4**2 * (
            near.U * P / (2 * n) + near.comb * (a2 * a4 / 2 * math.sqrt(g) * near.y - 1) ** 2 / g
        )
        return a2**2 * s.s2 * row / g, 0.0, s.s2 * rest
    if coupling == "tied":
        return z, beta - a4 / a2 + a4**2 / (2 * math.sqrt(g)), a4**4 * a2**2 * s.s2 * 7 / 32
    gain = 1 + sorting(g) if coupling == "sorted" else 1.0
    return z, beta, s.s2 * a4**2 / 2 * (P / n) * (1 + (a2 * a4) ** 2 / 4 * gain)


def _frequencies(n, m, coupling, tied, a, s, spread):
    """{group: (mean square, floor)} of the gradients of w and w̃ (tied: of their sum)."""
    a1, a2, a3, a4 = a
    g, P, kurtosis = n / m, n - 1, s.x4 / s.s2**2 - 3
    b, alpha = (a2 * a4 / 2) ** 2, a2 * a4 / 2 / math.sqrt(g)
    p = a3 * a1 / math.sqrt(g) - 1
    unit = (a2 * a4 * s.s2) ** 2 * n**3 / m
    t2 = P * n * (2 * n - 1) / 12  # Σ n² / 2, the mean of |t|², t_n = n sin(w n)
    if coupling == "grid":
        near, f = _grid(n, m, tied, a, spread)[1], a1 * a4**2 * math.sqrt(g) / 2
        outer = s.first2 * (
            f**2 * near.y2 - 2 * a3 * f * near.y + a3**2
        )  # of x_0: g_k / √M = 2 x_0 (f y_k - a3) + ...
        scale = 4 * a2**2 / (n * m) * s.s2 * t2
        w1, w2, floor = (scale * a4**2 * s.s2 * P / 2 * 3 * v for v in near.laws)
        own = a1 * a4 / a2  # of x_0 in X_k
        if tied:
            outer = outer + s.first2 * 3 * own * (
                2 * (f * near.y - a3) * near.pull + own * near.second
            )
        first, second = w1 + scale * outer, w2 * (1 + 2 * a1**2 * s.first2 / (a2**2 * s.s2 * P))
        return {"w1": (first, floor)} if tied else {"w1": (first, floor), "w2": (second, floor)}
    mix = 4 * b / (n * m)
    own, other = P**2 / 4 + P / 8, (m - 1) * P / 4
    inner = a4**2 * P / 2 * (1 + mix * (own * s.colour + other)) + a3**4 * a2**2 * P / (2 * n)
    inner = inner + (a3 * a4 * a2) ** 2 * P**2 / (2 * n * m)
    pull = a4**2 * a1 / math.sqrt(n * m)
    outer = (a3 * p) ** 2 + a3 * p * pull * P + pull**2 * (own + other)
    scale = 4 * a2**2 / (n * m) * s.s2 * t2 * (1 + kurtosis / n)
    first, edge1 = scale * inner * s.s2, scale * outer * s.first2
    scale = 4 * a4**2 / m * t2 * (1 + kurtosis / n)
    sums = ((m - 1) / 2 + 0.25) / (n * m) * a4**2
    strength = s.s2 * (1 + a2**2 * sums * P / 2) + a1**2 * sums * s.first2
    second = scale / n * a2**2 * s.s2 * P / 2 * strength
    edge2 = scale / n * a1**2 * s.first2 * strength
    if coupling == "tied":
        lead = 4 * unit * ((2 * (alpha - 1) + alpha * g) ** 2 / 12 + 3 * b / 10) * s.colour
        shuffled = unit * ((1 + b * (1 + g)) + (1 + b)) / 3
        return {"w1": (lead + first + second + edge1 + edge2 - shuffled, 4 * unit * b / 15)}
    still1, still2 = unit / (6 * n) * (1 + b * (1 + g / 2)) * 2, unit / (6 * n) * (1 + b) * 2
    if coupling == "shuffled":
        return {
            "w1": (first + edge1 + 2 * still1, still1),
            "w2": (second + edge2 + 2 * still2, still2),
        }
    total1, total2, floor = chain(g)
    near = 2 * pairing(n, m) / n  # tends to √(πm)/n: the chance that w̃_k lies within 1/n of w_k
    overlap = near * (
        1 - alpha * (1 + g)
    )  # such a w̃_k also meets the part of g_k that the w_l make
    colour = s.colour
    sorted1 = (
        first
        + edge1
        + unit / 3 * (colour * (overlap + b * (total1 - 1 - g) + 1 + b * (1 + g)) - 1 - b * (1 + g))
    )
    sorted2 = second + edge2 + unit / 3 * (colour * (near + b * (total2 - 1) + 1 + b) - 1 - b)
    return {
        "w1": (sorted1, unit / 3 * (near / 2 + b * floor)),
        "w2": (sorted2, unit / 3 * (near / 2 + b * floor)),
    }


def _medians(n, m, coupling, tied, a, s, spread, batch):
    """Medians over inits of |gradient|: amplitudes, x_0 and the normal sums drawn 8192 times, always the same."""
    rng, count, terms = np.random.default_rng(0), 8192, min(batch, 16)
    if a.shape[1] > 1:
        a = rng.permuted(np.tile(np.arange(count) + 0.5, (4, 1)), axis=1) / count + 0.5
    _, given = _given(n, m, coupling, tied, a, s, spread)
    (z, beta, rest), again = _scalars(n, m, coupling, tied, a, s, spread), deepcopy(rng)
    product = np.abs(again.standard_normal(count)) * np.sqrt(again.chisquare(batch, count) / batch)
    normal = rng.standard_normal((2, terms, count))
    x0 = (
        rng.uniform(-1, 1, (terms, count)) * 3**0.5
        if s.x4 < 2 * s.s2**2
        else rng.standard_normal((terms, count))
    )
    x0, q, zeta = x0 * math.sqrt(s.first2), a[0] / math.sqrt(n / m), normal[0] * np.sqrt(z)
    medians = {}
    for group, (mean, square, floor) in given.items():
        if group[0] == "w":
            medians[group] = float(
                np.median(product) * np.median(np.sqrt(floor + (square - floor) / batch))
            )
            continue
        if group in ("a2", "a4"):
            value = (
                mean + np.sqrt(np.maximum(square - mean**2, 0)) / math.sqrt(batch) * normal[0, 0]
            )
        else:
            value = (
                2 * ((a[2] * q - 1) * x0 + a[2] * zeta) * (q * x0 + zeta)
                if group == "a3"
                else x0 * (mean / s.first2 * x0 + 2 * beta * zeta + 2 * np.sqrt(rest) * normal[1])
            )
            value = mean + (value.mean(0) - mean) * math.sqrt(terms / batch)
        medians[group] = float(np.median(np.abs(value)))
    return medians


# log2 γ, F, F̃ and their common floor, from chain_sums: what sorting makes of the frequency gradients.
CHAIN = np.array(
    [
        (-4.0, 16.79463, 13.50942, 0.586850),
        (-3.5, 12.21746, 9.38241, 0.491580),
        (-3.0, 9.02313, 6.57797, 0.408557),
        (-2.5, 6.81408, 4.69309, 0.339875),
        (-2.0, 5.31008, 3.44319, 0.286069),
        (-1.5, 4.31502, 2.62788, 0.246065),
        (-1.0, 3.69413, 2.10582, 0.217162),
        (-0.5, 3.35865, 1.77600, 0.195119),
        (0.0, 3.25754, 1.56552, 0.175139),
        (0.5, 3.37516, 1.42434, 0.153899),
        (1.0, 3.73123, 1.32279, 0.130827),
        (1.5, 4.37971, 1.24520, 0.107357),
        (2.0, 5.41156, 1.18602, 0.085346),
        (2.5, 6.96095, 1.13969, 0.066090),
        (3.0, 9.22265, 1.10381, 0.050121),
        (3.5, 12.47550, 1.07640, 0.037394),
        (4.0, 17.11685, 1.05578, 0.027547),
    ]
)


@lru_cache(maxsize=4096)
def chain(gamma):
    """F(γ), F̃(γ) and their floor by cubic interpolation in log γ of a table of `chain_sums`, to 2e-3."""
    from scipy.interpolate import CubicSpline

    return tuple(np.exp(CubicSpline(CHAIN[:, 0], np.log(CHAIN[:, 1:]))(math.log2(gamma))).tolist())


def chain_sums(gamma):
    """The same as integrals. With x_i, y_i (x_0 = y_0 = 0) two chains of exponential gaps of mean πγ, s(x) = sin x / x,

    F = γ Σ_ij E[s(x_i) s(x_j)] (E s(y_i - y_j) + 6 E[s'(y_i) s'(y_j)]),
    F̃ = 3γ Σ_ij E[s'(x_i) s'(x_j)] (E s(y_i - y_j) + 2 E[s(y_i) s(y_j)]),  floor = 3γ Σ_ij E[s s] E[s' s'].

    s(x) = ∫_0^1 cos(tx) dt and E e^{itx_i} = φ(t)^i, φ(t) = 1/(1 - iπγt), so each mean is an integral over (0, 1)² of
    powers of φ; the sums run to x ≈ 70 and the rest, where s(x) s(x + d) is on average cos(d) / 2x², is added. Seconds.
    """
    K = max(8, int(70 / (math.pi * gamma)))
    panels, (t, weight) = max(10, int(K * math.pi * gamma / 14)), _gauss(12)
    t, weight = (
        ((np.arange(panels)[:, None] + t) / panels).ravel(),
        np.tile(weight / panels, panels),
    )
    i, d = np.arange(1, K + 1)[:, None], np.arange(K)[:, None]
    one = (1 - 1j * math.pi * gamma * t) ** -i
    s, slope = (one @ weight).real, -(one @ (weight * t)).imag
    even, odd = (
        np.zeros((K, K)),
        np.zeros((K, K)),
    )  # E s(x_i) s(x_{i+d}) and E s'(x_i) s'(x_{i+d}), i >= 1
    for ta, wa in zip(t, weight, strict=True):
        near = (1 - 1j * math.pi * gamma * t) ** -d
        plus, minus = ((1 - 1j * math.pi * gamma * (ta + sign * t)) ** -i for sign in (1, -1))
        for total, scale, sign in ((even, wa * weight, 1), (odd, wa * ta * weight * t, -1)):
            total += ((minus * scale) @ near.conj().T).real / 2 + sign * (
                (plus * scale) @ near.T
            ).real / 2
    P, Q = _two_sided(even, s, 1.0), _two_sided(odd, slope, -1.0)
    index = np.arange(2 * K + 1)
    apart = np.concatenate([[1.0], s, np.zeros(K)])[abs(index[:, None] - index)]
    far = (1 - 1j * math.pi * gamma) ** -np.arange(1, K)
    tail = (1 + 2 * np.sum(far.real * s[: K - 1])) / ((math.pi * gamma) ** 2 * (K + 0.5))
    floor = 3 * gamma * np.sum(P * Q)
    return tuple(
        float(v)
        for v in (
            gamma * (np.sum(P * apart) + tail) + 2 * floor,
            3 * gamma * (np.sum(Q * apart) + tail) + 2 * floor,
            floor,
        )
    )


def _two_sided(same, single, sign):
    """E f(x_i) f(x_j), -K <= i, j <= K: on one side from `same`[i-1, d], across x_0 = 0 a product (f odd: sign -1)."""
    K = len(single)
    full, i = np.empty((2 * K + 1, 2 * K + 1)), np.arange(1, K + 1)
    low, gap = np.minimum(i[:, None], i) - 1, abs(i[:, None] - i)
    side = same[low, gap]
    full[K + 1 :, K + 1 :], full[:K, :K] = side, side[::-1, ::-1]
    full[:K, K + 1 :] = sign * np.outer(single[::-1], single)
    full[K + 1 :, :K] = full[:K, K + 1 :].T
    centre = np.concatenate([single[::-1], [1.0], single]) * (sign > 0)
    full[K], full[:, K] = centre, centre
    return full


def _grid(n, m, tied, a, jitter):
    """The exact sums and the local laws of a grid, for amplitudes given as arrays of one."""
    _, a2, a3, a4 = (float(np.squeeze(v)) for v in a)
    alpha = a2 * a4 / 2 * math.sqrt(m / n)
    return grid_sums(n, m, tied, jitter), grid_local(n / m, alpha, (a3 / a4) ** 2, tied, jitter)


@lru_cache(maxsize=64)
def grid_sums(n, m, tied, jitter):
    """With P_i = Σ_k cos(w_k i) / m and y_i = α Σ_j A_ij x_j, 1 <= i, j < n: Σ E P_i², Σ (E P_i)⁴, Σ E A_ii, Σ E A_ij².

    E P_i = r_i D_i, r_i = sinc(jitter i/m), D_i = (-1)^q at i = 2mq and else 0; tied A_ij = P_|i-j| + P_{i+j}.
    """
    i, inner = np.arange(2 * n - 1), slice(1, n)
    r, double = np.sinc(jitter * i / m), np.sinc(2 * jitter * i / m)
    D, twice = ((i % (k * m) == 0) * (1.0 - 2 * (i // (k * m) % 2)) for k in (2, 1))  # D_i and D_2i
    square = (r * D) ** 2 + (1 - r**2 + twice * (double - r**2)) / (2 * m)
    sums = np.sum(square[inner]), np.sum((r * D)[inner] ** 4)
    if tied and jitter:
        pairs = 2 * np.maximum(n - 1 - i, 0) + np.maximum(
            np.minimum(i - 1, 2 * n - 1 - i), 0
        )  # with |i-j|, i+j = lag
        pairs[0] = n - 1
        a, b = (
            np.arange(m, n, m)[:, None],
            i[inner],
        )  # where a is a multiple of m, P_|a-b| and P_{a+b} are correlated
        rr = r[abs(a - b)] * r[a + b]
        both = 2 * np.sum(rr * D[abs(a - b)] * D[a + b] + twice[a] * (double[a] - rr) / m)
        return *sums, np.sum((1 + double * twice)[inner]), np.sum(pairs * square) + both
    kept, i = r[inner] ** 2, i[inner]
    met = np.bincount(
        np.minimum(i % (2 * m), -i % (2 * m)), kept, m + 1
    )  # i and j meet where i = ±j modulo 2m
    e = i % m
    c, sign, share = (
        np.minimum(e, m - e),
        np.where(2 * e > m, -1, 1) * (1 - 2 * (i // m % 2)),
        np.full(m // 2 + 1, 0.5),
    )
    share[[m // 2, 0]] = (
        (m % 2) / 2,
        1,
    )  # cos(2w i) = sign cos(2w c), whose square has this mean over the grid
    h, k = (
        np.bincount(c, sign * v, m // 2 + 1) for v in (double[inner], kept)
    )  # 2 Σ E cos², 2 Σ (E cos)², less c = 0
    h[0], k[0] = h[0] + n - 1, k[0] + kept.sum()
    power = 4 * met[0] ** 2 + np.sum(met[1:m] ** 2) + share @ (h**2 - k**2) / m
    return *sums, np.sum(kept * (1 + twice[inner])), power


@lru_cache(maxsize=8)
def _sites(g, tied, jitter):
    """The grid around one frequency as N -> ∞, g = N/M: nodes, kernels, site 0's deviation, sums over the other sites.

    e_l(t) = exp(iπg(l + u_l)t), -1 < t < 1, stands for the vector cos(w_l n), n = Nt, and e_l·e_j for its cosine sum.
    Σ_l e^{iπgl(t - t')} joins t to t + 2q/g alone: the panels of nodes are such that these shifts keep them.
    """
    whole, part, (x, weight) = int(g), g % 1, _gauss(6)
    panels = [
        (low + q, size, kind)
        for low, size, count, kind in ((0, part, whole + 1, 0), (part, 1 - part, whole, 6))
        for q in range(count if size > 1e-9 else 0)
    ]
    t = np.concatenate([2 / g * (low + size * x) - 1 for low, size, _ in panels])
    w = np.concatenate([size / g * weight for _, size, _ in panels])
    coset = np.concatenate([kind + np.arange(6) for *_, kind in panels])
    u, p = _gauss(5 + int(g / 3) if jitter else 1)
    u, root = (
        (2 * u - 1) * jitter,
        np.sqrt(w),
    )  # kernels carry the roots of both weights: they compose as matrices
    unit, link = np.outer(root, root), coset[:, None] == coset
    e, r = root * np.exp(1j * math.pi * g * np.outer(u, t)), root * np.sinc(jitter * g * t)
    same = unit * np.sinc(jitter * g * (t[:, None] - t))  # E e e*
    K = same if tied else np.outer(r, r)  # E e ẽ*
    k = SimpleNamespace(t=t, w=w, r=r, same=same, B=K * link / unit, others=link / unit / g - 1)
    vars(k).update(_lattice(g, tied, u, p))
    k.e, k.z, k.u, k.p = e, e, u, p  # one (tied) or both jitters of site 0
    if not tied:
        k.e, k.z = np.repeat(e, len(u), 0), np.tile(e, (len(u), 1))
        k.u, k.p = np.tile(u, len(u)), np.outer(p, p).ravel()
    k.d = d = g * (k.e[:, :, None] * k.z.conj()[:, None, :] - K)
    h, B, B2 = d.conj().transpose(0, 2, 1), k.B, k.B @ k.B
    dh, hd, k.left = d @ h, h @ d, B @ d
    k.right, k.square = np.tensordot(k.p, hd, 1), hd

    def trace(a, b):
        return k.p @ np.einsum("kij,kji->k", a, b).real / g

    twice = (
        np.sum((abs(k.right) ** 2 + abs(np.tensordot(k.p, dh, 1)) ** 2) * k.others) / g
        + g**3 * k.cross
    )
    k.m2 = w @ np.diag(B2) + (trace(h, d) + trace(d, d)) / 2
    k.m3 = (
        w @ np.diag(B2 @ B) + trace(k.left, h) + trace(h @ B, d) + trace(k.left, d) + trace(hd, d)
    )
    k.m4 = w @ np.diag(B2 @ B2) + 2 * trace(B2 @ d, h) + 2 * trace(B2 @ h, d) + trace(B @ h, B @ h)
    k.m4 += (
        trace(k.left, k.left) + 2 * trace(B @ dh, d) + 2 * trace(B @ hd, h) + trace(hd, hd) + twice
    )
    return k


def _lattice(g, tied, u, p):
    """Σ_{l≠0} of means of products of s = e_l·e_0 and s' = its slope, site l against site 0; they fall off as l⁻³."""
    lag = np.arange(1, int(min(30 / g + 30, 400)))
    x = (
        math.pi * g * (np.concatenate([-lag, lag])[:, None, None] + u[:, None] - u)
    )  # l, jitter of l, jitter of 0
    s, slope = np.sinc(x / np.pi), (np.cos(x) - np.sinc(x / np.pi)) / x
    swap = (s - (s @ p)[:, :, None]) * (
        s - (p @ s)[:, None, :]
    )  # e_l·(e_0 - E e_0) e_0·(e_l - E e_l)
    if not tied:
        s2, one, mean = p @ s**2 @ p, (p @ s) ** 2 @ p, p @ s @ p
        two = np.sum(s2**2 - 2 * one**2 + mean**4)
        meet = np.sum(s2 * (p @ slope**2 @ p) - one * ((p @ slope) ** 2 @ p))
        return dict(meet=meet, joint=0.0, swap=(p @ swap @ p) @ mean, cross=two, two=two)
    meet = np.sum(p @ (s * slope) ** 2 @ p - (p @ (s * slope)) ** 2 @ p)
    joint = np.sum(p @ (s * slope) ** 2 @ p - ((p @ s**2) * (p @ slope**2)) @ p)
    one, other, half = (p @ s**2)[:, None, :], (s**2 @ p)[:, :, None], s * np.sqrt(np.outer(p, p))
    cross = np.sum(p @ (s**4 - one**2 - other**2) @ p) + np.sum(
        (half @ half.transpose(0, 2, 1)) ** 2
    )
    two = np.sum(p @ (s**2 - one - other + (one @ p)[:, :, None]) ** 2 @ p)
    return dict(meet=meet, joint=joint, swap=np.sum(p @ (swap * s) @ p), cross=cross, two=two)


@lru_cache(maxsize=4096)
def grid_local(g, alpha, corner, tied, jitter):
    """What one frequency sees of its neighbours as N -> ∞, g = N/M: the laws that `grid_sums` does not hold.

    A* = αT, T = g Σ_l e_l ẽ_l* = B + Σ_l δ_l: the mean B and each site's deviation. The deviations are independent and
    of mean zero, so only sites that coincide contribute to the mean of a product. `corner` is a3² / a4².
    """
    k = _sites(g, tied, jitter)

    def act(f):  # E of (A* - 1) f over the sites other than 0
        return alpha * (f @ k.B + np.einsum("kij,kj->ki", k.d, f)) - f

    def dot(a, b):
        return np.sum(a.conj() * b, 1).real

    def pairs(C):  # what the other sites' deviations add to |(A* - 1) f|², C = E f f*
        return alpha**2 * np.sum(k.right * C * k.others).real

    ag2, tau, C = (alpha * g) ** 2, 1j * k.t, k.same - np.outer(k.r, k.r)
    q, turned = act(k.z), act(tau * k.z)
    first, second = (
        k.p @ dot(q, q) + pairs(k.same),
        k.p @ dot(turned, turned) + pairs(k.same * np.outer(k.t, k.t)),
    )
    meet = k.p @ dot(tau * k.e, q) ** 2 + ag2 * k.meet
    joint = k.p @ (dot(k.z, q) * dot(tau * k.e, turned)) + ag2 * k.joint
    laws = (
        (first / 3 + second + 2 * joint + 6 * meet, 0.0, 4 * meet)
        if tied
        else (first / 3 + 2 * meet, second + 2 * meet, meet)
    )
    folds = np.arange(
        1, math.ceil(g / 2)
    )  # rows n = 2mq, to which every frequency contributes with one sign
    comb = np.sinc(2 * jitter * folds)
    kappa = 2 / g * (np.cos(2 * np.pi * np.outer(k.u, folds)) @ comb + corner)
    y, U = dot(k.z, k.z - k.r) + kappa, act(k.z - k.r) + alpha * g * k.e * kappa[:, None]
    U = U - k.p @ U
    diagonal = alpha**2 * (
        np.diag(k.B @ k.B) + np.diag(k.right).real / (k.w * g)
    ) - alpha * np.diag(k.B)
    phi = np.trace(alpha**2 * (2 * k.left + k.square) - alpha * k.d, axis1=1, axis2=2).real
    return SimpleNamespace(
        laws=laws,
        second=second,
        pull=k.p @ dot(tau * k.e, turned),
        U=k.p @ dot(U, U) + pairs(C) + ag2 * k.swap,
        comb=comb @ comb,
        y=k.p @ y,
        y2=k.p @ y**2 + np.sum(k.same * C * k.others),
        diagonal=k.w @ diagonal**2,
        wobble=alpha**4 * k.m4 - 2 * alpha**3 * k.m3 + alpha**2 * k.m2,
        drift=(k.p @ (phi - k.p @ phi) ** 2 + 2 * alpha**4 * g**4 * k.two) / g,
    )
