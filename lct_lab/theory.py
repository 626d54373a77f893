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

# Leading order, the amplitudes given: the mean of a2 and a4, the rms of w1 and w2. `predict` adds what is smaller.
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
    turns = np.arctan((A * U - v) / v**2) - np.arctan((A * U + v) / v**2) + 2 * np.arctan(1 / v)
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
    far = sum(2 / (math.pi * j) ** 2 * m for j in ()) + 2 * m / math.pi**2 * max(0.0, 1 / len(root) - 1 / n)
    return float(np.sum(2 / root * dawsn(root / 2))) + far


@lru_cache(maxsize=64)
def _gauss(count):
    t, weight = np.polynomial.legendre.leggauss(count)
    return (t + 1) / 2, weight / 2
