"""The sizes of the gradients, derived: floats in, floats out, with numpy and (on first use) scipy and pandas.

Notation: γ = N/M, σ² = E x², b = (a2 a4 / 2)², q = a1/√γ, p = a3 q - 1, z = a2² σ² (N-1) / 2N, α = √(b/γ). The
derivations are in notebooks 04 (independent frequencies), 07 (sorted) and 08 (tied). Frequencies meet in one of
four couplings: "shuffled" and "sorted" (`random` starts), "tied", and "grid" (`orthogonal` starts).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

GROUPS = ("a1", "a2", "a3", "a4", "w1", "w2")
STARTS = ("random", "shuffled", "orthogonal", "jittered")
LEAST, WIDEST = 32, 16  # sizes from LEAST on; of sorted frequencies, 1/WIDEST <= N/M <= WIDEST
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
        scope = {"sqrt": np.sqrt, "pi": math.pi, "n": n, "m": m, "g": n / m, "sorting": sorting, "chain": chain}
        if "a2" in values:
            scope["b"] = (values["a2"] * values["a4"] / 2) ** 2
        return eval(self.python, {"__builtins__": {}}, scope | values)

    f = __call__

    def _repr_latex_(self):
        return f"${self.latex}$"


def _laws(text):
    return {name: Law(name, name[:2], latex, line) for name, latex, line in
            (map(str.strip, row.split("|")) for row in text.strip().splitlines())}  # fmt: skip


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
""")  # noqa: E501


def cosine_sum(w, n):
    """Σ_{j=1}^{n-1} cos(w j) = (sin((n - ½) w) / sin(w/2) - 1) / 2, w any array of radians."""
    v = _to_nearest_turn(w)
    return ((2 * n - 1) * np.sinc((n - 0.5) * v / np.pi) / np.sinc(v / 2 / np.pi) - 1) / 2


def sine_moment(w, n):
    """Σ_{j=1}^{n-1} j sin(w j) = -d/dw cosine_sum(w, n), by its Taylor series where n w is small."""
    v = _to_nearest_turn(w)
    small = np.abs(v) * n < 0.05
    u = np.where(small, 1.0, v)
    direct = (np.sin(n * u) - n * np.cos((n - 0.5) * u) * 2 * np.sin(u / 2)) / (4 * np.sin(u / 2) ** 2)
    sums = [sum(float(j) ** k for j in range(1, n)) if n < 4 else _power_sum(n - 1, k) for k in (2, 4, 6)]
    series = v * (sums[0] - v**2 * (sums[1] / 6 - v**2 * sums[2] / 120))
    return np.where(small, series, direct)


def _to_nearest_turn(w):
    w = np.asarray(w, dtype=float)
    return w - 2 * np.pi * np.round(w / (2 * np.pi))


def _power_sum(n, k):
    """Σ_{j≤n} j^k for k = 2, 4, 6, by Faulhaber's polynomials."""
    s, t = n * (n + 1) * (2 * n + 1), n * (n + 1)
    return {2: s / 6, 4: s * (3 * t - 1) / 30, 6: s * (3 * t**2 - 3 * t + 1) / 42}[k]


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
    cosine, sine = (np.pad(f(np.outer(w1, j)), ((0, 0), (1, 0))) for f in (np.cos, lambda v: j * np.sin(v)))
    turned, moment = (np.pad(f(np.outer(w2, j)), ((0, 0), (1, 0))) for f in (np.cos, lambda v: j * np.sin(v)))
    X = (a1 * first + a2 * cosine) / math.sqrt(n)  # rows: what gives X_k, and below y_n, e_n, g_k from x
    y = (np.where(first[:, None], a3, a4) * (turned.T + first[:, None])) @ X / math.sqrt(m)
    e = 2 * (y - np.eye(n))
    g = (a3 * e[:1] + a4 * turned @ e) / math.sqrt(m)
    forms = {"loss": e.T @ e / 4, "a1": np.outer(first, g.sum(0)) / math.sqrt(n), "a2": g.T @ cosine / math.sqrt(n),
             "a3": np.outer(e[0], X.sum(0)) / math.sqrt(m), "a4": e[1:].T @ y[1:] / a4}  # fmt: skip
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
                spread = spread + np.sum(u * s, 1) * np.sum(v * t, 1) + np.sum(u * t, 1) * np.sum(v * s, 1)
        result[group] = (s2 * diagonal.sum(1), s2**2 * spread + (x4 - 3 * s2**2) * np.sum(diagonal**2, 1))
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
            raise ValueError(f"signal must be uniform, normal or a table of windows (windows, n), got {signal!r}")
        s2, x4 = (1 / 3, 1 / 5) if signal == "uniform" else (1.0, 3.0)
        return Input(s2, x4, s2, x4, 1.0)
    x = np.asarray(signal, dtype=float)
    if x.ndim != 2 or not np.isfinite(x).all() or not x.any():
        raise ValueError(f"signal must be a finite table of windows (windows, n), not all zero, got shape {x.shape}")
    power = np.mean(np.abs(np.fft.fft(x, 2 * x.shape[1])) ** 2, axis=0)
    return Input(np.mean(x**2), np.mean(x**4), np.mean(x[:, 0] ** 2), np.mean(x[:, 0] ** 4),
                 np.mean(power**2) / np.mean(power) ** 2)  # fmt: skip


def predict(n, m, *, init="random", tied=False, amplitudes=None, signal="uniform", batch=1):
    """Mean, rms and median of every gradient over random inits, and the mean loss, without drawing one.

    DataFrame indexed by group, columns mean (signed), rms, median_abs (median over inits of the median over a group's
    entries) and law (one line, leading order); `attrs["loss"]` is E ‖y - x‖². Arguments as in `probe`;
    `signal` is "uniform", "normal" or a table of windows (windows, n). With `batch` B
    signals, E g² falls as floor + (E g² - floor)/B.
    `amplitudes=None`: each mean and mean square is a polynomial in amplitudes from U(½, 3/2), averaged exactly.

    Medians of sorted and tied frequencies take the factors of a product as independent: high by up to a quarter.
    Covered: n, m >= 32; for sorted starts 1/16 <= n/m <= 16; for orthogonal and jittered n <= m, and of the latter
    the loss and a1 ... a4 (frequencies NaN). Raises ValueError, with what is covered, for anything else.
    """
    import pandas as pd

    _require_covered(n, m, init, tied, batch)
    s = describe(signal)
    if np.ndim(signal) == 2 and np.shape(signal)[1] != n:
        raise ValueError(f"signal must have windows of n = {n} samples, got {np.shape(signal)[1]}")
    a, weight = _amplitudes(init, amplitudes)
    coupling = {"random": "sorted", "shuffled": "shuffled"}.get(init, "grid")
    coupling = "tied" if tied and coupling != "grid" else coupling
    spread = _jitter(n, m, tied) if init == "jittered" else None
    loss, given = _given(n, m, coupling, tied, a, s, spread)
    rows = {}
    for group, (mean, square, floor) in given.items():
        square = floor + (square - floor) / batch
        typical = _median(group, coupling, tied, n, m, s, batch, init, amplitudes, spread)
        law = LAWS.get(f"{group} {coupling}") or LAWS[f"{group} any"]
        rows[group] = {"mean": np.sum(weight * mean), "rms": np.sqrt(np.sum(weight * square)), "median_abs": typical,
                       "law": law.python}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "group"
    table.attrs["loss"] = float(np.sum(weight * loss))
    return table


def _require_covered(n, m, init, tied, batch):
    for name, value, least in (("n", n, LEAST), ("m", m, LEAST), ("batch", batch, 1)):
        if isinstance(value, bool) or value != int(value) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, the range the laws cover, got {value!r}")
    if init not in STARTS:
        raise ValueError(f"init must be one of {', '.join(STARTS)}, the starts the laws cover, got {init!r}")
    if init == "random" and not tied and not 1 / WIDEST <= n / m <= WIDEST:
        raise ValueError(f"n/m must be between 1/{WIDEST} and {WIDEST}, which the sorted laws cover, got {n / m:.4g}")
    if init in ("orthogonal", "jittered") and n > m:
        raise ValueError(f"n must be at most m, the range the {init} laws cover, got n = {n}, m = {m}")


def _amplitudes(init, amplitudes):
    """Amplitudes as four arrays, and weights: five Gauss nodes each average polynomials of degree 9 exactly."""
    if amplitudes is None and init in ("orthogonal", "jittered"):
        amplitudes = UNIT_AMPLITUDES
    if amplitudes is not None:
        a = np.asarray(amplitudes, dtype=float)
        if a.shape != (4,) or not (np.isfinite(a) & (a != 0)).all():
            raise ValueError(f"amplitudes must be None or four finite numbers other than 0, got {amplitudes!r}")
        return a[:, None], np.ones(1)
    t, weight = _gauss(5)
    nodes = np.stack(np.meshgrid(*[t + 0.5] * 4, indexing="ij")).reshape(4, -1)
    return nodes, np.prod(np.stack(np.meshgrid(*[weight] * 4, indexing="ij")).reshape(4, -1), axis=0)


def _jitter(n, m, tied):
    """Of frequencies moved by U(-¼, ¼) π/m: r_j = E cos(j δ), and the sums that the mean loss is made of.

    Returns (Σ r_j², Σ (1 - r_j²), the spread Σ Var B_ij) with B_ij = (2/√m) Σ_k cos(w_k i) cos(w̃_k j), 1 <= i, j < n.
    """
    r = np.sinc(np.arange(2 * n - 1) / (4 * m)) ** 2
    inner = r[1:n]
    if not tied:
        return inner.sum(), np.sum(1 - inner), (n - 1) ** 2 - inner.sum() ** 2 + np.sum(1 + r[2::2] - 2 * inner**2) / 2
    lag = np.arange(2 * n - 1)
    sums = np.where(lag <= n, lag - 1, 2 * n - 1 - lag)[2:]  # how many (i, j) have i + j = lag
    differences = 2 * (n - 1 - lag[1 : n - 1])
    spread = (np.sum(differences * (1 - r[1 : n - 1])) + np.sum(sums * (1 - r[2:]))) / 2
    return float(n - 1), np.sum(1 - inner), spread


def _given(n, m, coupling, tied, a, s, spread):
    """The mean loss and {group: (mean, mean square, floor)} of amplitudes given as arrays; batch 1."""
    a1, a2, a3, a4 = a
    g, P = n / m, n - 1
    q = a1 / math.sqrt(g)
    p = a3 * q - 1
    b, alpha = (a2 * a4 / 2) ** 2, a2 * a4 / 2 / math.sqrt(g)
    z, beta, rest = _scalars(n, m, coupling, tied, a, s, spread)
    slope = a3 * p / math.sqrt(g) + a1 * a4**2 * P / (2 * n) * (1 if coupling != "grid" else 0)
    edge = (a1 * a4) ** 2 * s.first2 * P / (2 * n)  # Σ_n E y_n² that comes from x_0
    if coupling == "grid":
        kept, moved, scatter = spread or (float(P), 0.0, 0.0)
        edge = edge * moved / P
        slope = slope + a1 * a4**2 / (2 * n) * moved
        coherent = kept if tied or not spread else _squares(n, m)
        power = s.s2 * (alpha**2 * coherent + b / n * scatter)
        match = s.s2 * alpha * kept
        wobble = s.s2**2 * 0 * b
    elif coupling == "tied":
        power = s.s2 * (P * alpha**2 + b * (P * (P - 1) + P / 2) / n)
        match = s.s2 * P * alpha
        m2, m3 = alpha**2 * (1 + g), alpha**3 * (1 + 3 * g + g**2)
        m4 = alpha**4 * (1 + 6 * g + 20 / 3 * g**2 + g**3)
        wobble = 2 * (m4 - 2 * m3 + m2) + (s.x4 / s.s2**2 - 3) * (m2 - alpha) ** 2
    else:
        gain = 1 + sorting(g) if coupling == "sorted" else 1.0
        power = s.s2 * b * P**2 / n * gain
        match = s.s2 * alpha * pairing(n, m) if coupling == "sorted" else 0.0
        wobble = gain**2 * (2 * b**2 * (2 + g) + b**2 * (s.x4 / s.s2**2 - 3)) + b
    loss = p**2 * s.first2 + a3**2 * z + P * s.s2 + power + edge - 2 * match
    means = {"a1": 2 * s.first2 * slope, "a3": 2 * (p * q * s.first2 + a3 * z), "a4": 2 * (power + edge - match) / a4}
    means["a2"] = (a3 * means["a3"] + a4 * means["a4"] - a1 * means["a1"]) / a2
    squares = {"a1": 4 * (slope**2 * s.first4 + s.first2 * (beta**2 * z + rest)),
               "a3": 4 * (p**2 * q**2 * s.first4 + (p + a3 * q) ** 2 * s.first2 * z + 3 * a3**2 * z**2
                          + 2 * p * q * a3 * s.first2 * z)}  # fmt: skip
    init_part = 4 * s.s2**2 * n * b**2 * (4 / 3 if coupling == "tied" else 0)
    floors = {"a1": means["a1"] ** 2, "a3": means["a3"] ** 2}
    for group, amplitude in (("a2", a2), ("a4", a4)):
        floors[group] = means[group] ** 2 + init_part / amplitude**2
        squares[group] = floors[group] + 4 * s.s2**2 * n * wobble / amplitude**2
    given = {group: (means[group], squares[group], floors[group]) for group in ("a1", "a2", "a3", "a4")}
    for group, (square, floor) in _frequencies(n, m, coupling, tied, a, s, spread).items():
        given[group] = (0.0 * square, square, floor)  # reflecting all w to π - w flips the sign: the mean is zero
    return loss, given


def _scalars(n, m, coupling, tied, a, s, spread):
    """z = E ζ², ζ = a2 Σ C_k / √NM, and of ∂L/∂a1 = 2 x_0 (slope x_0 + beta ζ + η) the factor beta and E η²."""
    a1, a2, a3, a4 = a
    g, P = n / m, n - 1
    z = a2**2 * s.s2 * P / (2 * n)
    beta = a3**2 / math.sqrt(g) + a4**2 * math.sqrt(g) / 2
    if coupling == "grid":
        moved = spread[1] if spread else 0.0
        shift = (a2 * a4 / 2 / math.sqrt(g) - 1) * a4
        apart = 0.0 if tied else shift**2 * s.s2 * moved / (2 * n)
        return z * moved / P, a3**2 / math.sqrt(g) + shift / a2 * tied, apart
    if coupling == "tied":
        return z, beta - a4 / a2 + a4**2 / (2 * math.sqrt(g)), a4**4 * a2**2 * s.s2 * 7 / 32
    gain = 1 + sorting(g) if coupling == "sorted" else 1.0
    return z, beta, s.s2 * a4**2 / 2 * (P / n) * (1 + (a2 * a4) ** 2 / 4 * gain)


def _squares(n, m):
    return float(np.sum(np.sinc(np.arange(1, n) / (4 * m)) ** 4))


def _frequencies(n, m, coupling, tied, a, s, spread):
    """{group: (mean square, floor)} of the gradients of w and w̃ (tied: of their sum)."""
    a1, a2, a3, a4 = a
    g, P, kurtosis = n / m, n - 1, s.x4 / s.s2**2 - 3
    b, alpha = (a2 * a4 / 2) ** 2, a2 * a4 / 2 / math.sqrt(g)
    p = a3 * a1 / math.sqrt(g) - 1
    unit = (a2 * a4 * s.s2) ** 2 * n**3 / m
    t2 = P * n * (2 * n - 1) / 12  # Σ n² / 2, the mean of |t|², t_n = n sin(w n)
    if coupling == "grid":
        if spread:
            return {group: (np.nan * unit, np.nan * unit) for group in (("w1",) if tied else ("w1", "w2"))}
        inner, outer = a4**2 * (alpha - 1) ** 2 * P / 2 * s.s2, (a3 * p) ** 2 * s.first2
        first = 4 * a2**2 / (n * m) * s.s2 * t2 * (inner + outer)
        second = 4 * a4**2 / m * (alpha - 1) ** 2 * s.s2 * t2 * (a1**2 * s.first2 + a2**2 * s.s2 * P / 2) / n
        joint = 8 * (a2 * a4 * (alpha - 1)) ** 2 / (n * m) * s.s2**2 * t2 * P / 2
        return {"w1": (first + second + joint, 0 * b)} if tied else {"w1": (first, 0 * b), "w2": (second, 0 * b)}
    mix = 4 * b / (n * m)
    own, other = P**2 / 4 + P / 8, (m - 1) * P / 4
    inner = a4**2 * P / 2 * (1 + mix * (own * s.colour + other)) + a3**4 * a2**2 * P / (2 * n)
    inner = inner + (a3 * a4 * a2) ** 2 * P**2 / (2 * n * m)
    pull = a4**2 * a1 / math.sqrt(n * m)
    outer = (a3 * p) ** 2 + a3 * p * pull * P + pull**2 * (own + other)
    scale = 4 * a2**2 / (n * m) * s.s2 * t2 * (1 + kurtosis / n)
    first, edge1 = scale * inner * s.s2, scale * outer * s.first2
    scale = 4 * a4**2 / m * t2 * (1 + kurtosis / n)
    sums = ((m - 1) / 2 + 0.25) / (n * m) * (a4**2)
    strength = s.s2 * (1 + a2**2 * sums * P / 2) + a1**2 * sums * s.first2
    second = scale / n * a2**2 * s.s2 * P / 2 * strength
    edge2 = scale / n * a1**2 * s.first2 * strength
    if coupling == "tied":
        lead = 4 * unit * ((2 * (alpha - 1) + alpha * g) ** 2 / 12 + 3 * b / 10) * s.colour
        shuffled = unit * ((1 + b * (1 + g)) + (1 + b)) / 3
        return {"w1": (lead + first + second + edge1 + edge2 - shuffled, 4 * unit * b / 15)}
    still1, still2 = unit / (6 * n) * (1 + b * (1 + g / 2)) * 2, unit / (6 * n) * (1 + b) * 2
    if coupling == "shuffled":
        return {"w1": (first + edge1 + 2 * still1, still1), "w2": (second + edge2 + 2 * still2, still2)}
    total1, total2, floor = chain(g)
    near = 2 * pairing(n, m) / n  # tends to √(πm)/n: the chance that w̃_k lies within 1/n of w_k
    overlap = near * (1 - alpha * (1 + g))  # such a w̃_k also meets the part of g_k that the w_l make
    colour = s.colour
    sorted1 = first + edge1 + unit / 3 * (colour * (overlap + b * (total1 - 1 - g) + 1 + b * (1 + g)) - 1 - b * (1 + g))
    sorted2 = second + edge2 + unit / 3 * (colour * (near + b * (total2 - 1) + 1 + b) - 1 - b)
    return {"w1": (sorted1, unit / 3 * (near / 2 + b * floor)), "w2": (sorted2, unit / 3 * (near / 2 + b * floor))}


def _median(group, coupling, tied, n, m, s, batch, init, amplitudes, spread):
    """Median over inits of |gradient|: amplitudes, x_0 and the normal sums drawn 8192 times, always the same."""
    rng, count, terms = np.random.default_rng(0), 8192, min(batch, 16)
    a, _ = _amplitudes(init, amplitudes)
    if a.shape[1] > 1:
        a = (rng.permuted(np.tile(np.arange(count) + 0.5, (4, 1)), axis=1)) / count + 0.5
    _, given = _given(n, m, coupling, tied, a, s, spread)
    mean, square, floor = given[group]
    if group[0] == "w":
        product = np.abs(rng.standard_normal(count)) * np.sqrt(rng.chisquare(batch, count) / batch)
        return float(np.median(product) * np.median(np.sqrt(floor + (square - floor) / batch)))
    normal, scatter = rng.standard_normal((2, terms, count)), np.sqrt(np.maximum(square - mean**2, 0))
    if group in ("a2", "a4"):
        return float(np.median(np.abs(mean + scatter / math.sqrt(batch) * normal[0, 0])))
    x0 = rng.uniform(-1, 1, (terms, count)) * 3**0.5 if s.x4 < 2 * s.s2**2 else rng.standard_normal((terms, count))
    x0, q = x0 * math.sqrt(s.first2), a[0] / math.sqrt(n / m)
    z, beta, rest = _scalars(n, m, coupling, tied, a, s, spread)
    zeta = normal[0] * np.sqrt(z)
    if group == "a3":
        value = 2 * ((a[2] * q - 1) * x0 + a[2] * zeta) * (q * x0 + zeta)
    else:
        value = x0 * (mean / s.first2 * x0 + 2 * beta * zeta + 2 * np.sqrt(rest) * normal[1])
    value = mean + (value.mean(0) - mean) * math.sqrt(terms / batch)
    return float(np.median(np.abs(value)))


# log2 γ, F, F̃ and their common floor, from chain_sums: what sorting makes of the frequency gradients.
CHAIN = np.array([
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
])


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
    t, weight = ((np.arange(panels)[:, None] + t) / panels).ravel(), np.tile(weight / panels, panels)
    i, d = np.arange(1, K + 1)[:, None], np.arange(K)[:, None]
    one = (1 - 1j * math.pi * gamma * t) ** -i
    s, slope = (one @ weight).real, -(one @ (weight * t)).imag
    even, odd = np.zeros((K, K)), np.zeros((K, K))  # E s(x_i) s(x_{i+d}) and E s'(x_i) s'(x_{i+d}), i >= 1
    for ta, wa in zip(t, weight, strict=True):
        near = (1 - 1j * math.pi * gamma * t) ** -d
        plus, minus = ((1 - 1j * math.pi * gamma * (ta + sign * t)) ** -i for sign in (1, -1))
        for total, scale, sign in ((even, wa * weight, 1), (odd, wa * ta * weight * t, -1)):
            total += ((minus * scale) @ near.conj().T).real / 2 + sign * ((plus * scale) @ near.T).real / 2
    P, Q = _two_sided(even, s, 1.0), _two_sided(odd, slope, -1.0)
    index = np.arange(2 * K + 1)
    apart = np.concatenate([[1.0], s, np.zeros(K)])[abs(index[:, None] - index)]
    far = (1 - 1j * math.pi * gamma) ** -np.arange(1, K)
    tail = (1 + 2 * np.sum(far.real * s[: K - 1])) / ((math.pi * gamma) ** 2 * (K + 0.5))
    floor = 3 * gamma * np.sum(P * Q)
    return tuple(float(v) for v in (gamma * (np.sum(P * apart) + tail) + 2 * floor,
                                    3 * gamma * (np.sum(Q * apart) + tail) + 2 * floor, floor))  # fmt: skip


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
