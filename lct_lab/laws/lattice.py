"""Sums over a grid of frequencies: exact at any size, their limits, and the picture around one.

The frequencies are w_k = (k + ½ + u_k) π / M with independent u_k ~ U(-jitter, jitter); without
jitter they are the exact grid. Tied, w̃ = w; untied, w̃ has jitter of its own. With γ = N/M and
α = (a2 a4 / 2) / √γ the output is, for 1 <= i, j < N and but for what x_0 adds,

    y_i = α Σ_j A_ij x_j,   A_ij = (2/M) Σ_k cos(w̃_k i) cos(w_k j),   P_i = (1/M) Σ_k cos(w_k i).

`sums` averages what is a sum over samples, at any size; `limits` says what it tends to as N -> ∞;
`local` is what one frequency sees of its neighbours as N -> ∞. Notebook 08 derives them.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.laws.quadrature import gauss


@dataclass(frozen=True)
class Sums:
    """Sums over 1 <= i, j < N, averaged over the jitter."""

    row: float  # Σ_i E P_i²
    fourth: float  # Σ_i (E P_i)⁴
    trace: float  # Σ_i E A_ii
    total: float  # Σ_ij E A_ij²


@dataclass(frozen=True)
class Limits:
    """What the sums tend to as N -> ∞ at fixed γ = N/M."""

    row: float  # Σ_i E P_i²
    fourth: float  # Σ_i (E P_i)⁴
    trace: float  # Σ_i E A_ii / N
    total: float  # Σ_ij E A_ij² / N


@dataclass(frozen=True)
class Local:
    """What one frequency sees of its neighbours as N -> ∞, averaged over the jitter.

    Seen from site 0, cos(w_0 n) is e_0(t) = exp(iπγu_0t), n = Nt, -1 < t < 1, and cos(w̃_0 n) its
    partner ẽ_0; their slopes are τ = it e_0 and τ̃ = it ẽ_0; the inner product is the mean over t;
    the transpose of A is T = γ Σ_l e_l ẽ_l*. Then (notebook 08, steps 2 and 3)

        u_1 = (αT - 1) ẽ_0,   u_2 = (αT - 1) τ̃,   R = τ·u_1,   S = α² T T* - α T.

    Of what x_0 makes, w̃_0 sees y_0: g_0 / √M = 2 x_0 (½ a1 a4² √γ y_0 - a3) + ..., and the factor
    η in ∂L/∂a1 = 2 x_0 (... + η) has E η² = σ² a4² [row_error / 2 + comb (αγ echo - 1)² / γ].
    """

    square_w1: float  # E (∂L/∂w)² / ((a2 a4 σ²)² N³/M); tied, of both sides together
    square_w2: float  # E (∂L/∂w̃)² in the same unit; 0 where tied
    floor: float  # what is left of either over many signals: E R², tied 4 E R²
    second: float  # E |u_2|²
    pull: float  # E τ·u_2
    own: float  # E ẽ_0·u_1
    row_error: float  # E |V - E V|², V what site 0 adds to (αT - 1) P̃ + 2α (a3²/a4²) P
    comb: float  # Σ_q (E P̃_{2Mq})², the samples at which every frequency has one sign
    echo: float  # E y_0, y_0 = (2/γ) (Σ_n cos(w̃_0 n) P̃_n + a3²/a4²)
    echo_square: float  # E y_0²
    diagonal: float  # Σ_n (E S_nn)² / N
    wobble: float  # E tr S_s² / N, S_s = (S + S*) / 2
    drift: float  # Var tr S / N, over the jitter


# --- the sums, exact at any size ----------------------------------------------------------------


@lru_cache(maxsize=64)
def sums(n, m, tied, jitter):
    """Σ E P_i², Σ (E P_i)⁴, Σ E A_ii and Σ E A_ij² of n samples and m frequencies, as `Sums`.

    jitter is in units of the spacing π/m. Exact for every n and m (notebook 08, step 1).
    """
    lags = _lags(n, m, jitter)
    inner = slice(1, n)
    coupling = _Tied if tied else _Untied
    return Sums(
        row=np.sum(lags.square[inner]),
        fourth=np.sum(lags.mean[inner] ** 4),
        trace=coupling.trace(n, lags),
        total=coupling.total(n, m, lags),
    )


@dataclass(frozen=True)
class _Lags:
    """P_i and what it is made of, at every lag 0 <= i <= 2n - 2."""

    i: np.ndarray
    r: np.ndarray  # r_i = E cos(iδ) = sinc(jitter i / m), δ = uπ/m the jitter in radians
    r_twice: np.ndarray  # r_2i
    D: np.ndarray  # D_i, the mean of cos(w_k i) over the exact grid
    D_twice: np.ndarray  # D_2i
    mean: np.ndarray  # E P_i
    square: np.ndarray  # E P_i²


def _lags(n, m, jitter):
    """E P_i = r_i D_i,   Var P_i = (1 - r_i² + D_2i (r_2i - r_i²)) / 2m   (notebook 08, step 1)."""
    i = np.arange(2 * n - 1)
    r = np.sinc(jitter * i / m)
    r_twice = np.sinc(2 * jitter * i / m)
    D = _alternating(i, 2 * m)
    D_twice = _alternating(i, m)
    mean = r * D
    variance = (1 - r**2 + D_twice * (r_twice - r**2)) / (2 * m)
    return _Lags(i, r, r_twice, D, D_twice, mean, mean**2 + variance)


def _alternating(i, period):
    """(-1)^q at i = q period, else 0: with period 2m it is D_i, with period m it is D_2i."""
    sign = 1.0 - 2 * (i // period % 2)
    return np.where(i % period == 0, sign, 0.0)


def _pairs_at_lag(n):
    """How many pairs 1 <= i, j < n have |i - j| = l, plus how many i + j = l, l = 0 ... 2n - 2."""
    lag = np.arange(2 * n - 1)
    difference = 2 * np.maximum(n - 1 - lag, 0)
    difference[0] = n - 1
    total = np.minimum(lag - 1, 2 * n - 1 - lag)
    return difference + np.maximum(total, 0)


def _correlation(n, m, lags):
    """2 Σ_ij E P_|i-j| P_{i+j} = 2 Σ_ij [ρ D_|i-j| D_{i+j} + D_2i (r_2i - ρ) / m].

    ρ = r_|i-j| r_{i+j}. The second part is the covariance, of which half comes from D_2i and
    as much from D_2j. Both parts vanish unless i is a multiple of m.
    """
    i = np.arange(m, n, m)[:, None]
    j = np.arange(1, n)
    near = abs(i - j)
    far = i + j
    rho = lags.r[near] * lags.r[far]
    means = rho * lags.D[near] * lags.D[far]
    covariance = lags.D_twice[i] * (lags.r_twice[i] - rho) / m
    return 2 * np.sum(means + covariance)


def _squared_means(m, i, kept):
    """Σ_ij (E A_ij)², E A_ij = r_i r_j (D_{i-j} + D_{i+j}), kept = r_i².

    i and j meet where i = ±j modulo 2m, so that classes of equal distance c to a multiple of 2m
    meet among themselves: at c = 0 with both signs (4 times), at c = m with opposite ones (never).
    """
    distance = np.minimum(i % (2 * m), -i % (2 * m))
    met = np.bincount(distance, kept, m + 1)
    return 4 * met[0] ** 2 + np.sum(met[1:m] ** 2)


def _summed_variances(m, i, kept, r_twice):
    """Σ_ij Var A_ij = (4/m²) Σ_l (p_l² - q_l²) = (1/m) Σ_c s_c (h_c² - k_c²), kept = r_i².

    On the exact grid cos(2w_l i) = ± cos(2w_l c) for one 0 <= c <= m/2, so that

        2 p_l = 2 Σ_i E cos²(w_l i)   = Σ_i (1 + r_2i cos(2w_l i)) = Σ_c h_c cos(2w_l c),
        2 q_l = 2 Σ_i (E cos(w_l i))² = Σ_i r_i² (1 + cos(2w_l i)) = Σ_c k_c cos(2w_l c).

    s_c, the mean of cos²(2w_l c) over the grid, is 1 at c = 0, 0 at c = m/2, and else ½.
    """
    c, sign = _alias(i, m)
    length = m // 2 + 1
    h = np.bincount(c, sign * r_twice, length)
    k = np.bincount(c, sign * kept, length)
    h[0] += len(i)
    k[0] += kept.sum()
    s = np.full(length, 0.5)
    if m % 2 == 0:
        s[-1] = 0
    s[0] = 1
    return s @ (h**2 - k**2) / m


def _alias(i, m):
    """c and the sign of cos(2w_l i) = ± cos(2w_l c) at every l of the exact grid, 0 <= c <= m/2."""
    rest = i % m
    turns = 1 - 2 * (i // m % 2)
    mirrored = np.where(2 * rest > m, -1, 1)
    return np.minimum(rest, m - rest), turns * mirrored


# --- their limits -------------------------------------------------------------------------------


def limits(gamma, tied, jitter):
    """The limits of `sums` as N -> ∞, as `Limits`; with r(v) = sinc(jitter v) at v = i/M

        row    = Σ_q r(2q)² + ½ ∫_0^γ (1 - r²) dv,   q = 1, 2, ... < γ/2,
        fourth = Σ_q r(2q)⁴,
        trace  = 1 tied,   κ = ∫_0^γ r² dv / γ untied,
        total  = 1 + Σ_{q<γ} (2 - 2q/γ) r(2q)² + ½ ∫_0^{2γ} (2 - v/γ) (1 - r²) dv tied,
                 ∫_0^1 c(θ)² dθ / γ + γ (1 - κ²) untied,

    c(θ) = Σ r(v)² over the samples v < γ that the grid cannot tell from θ, v = 2q ± θ.

    Without jitter row = fourth = ⌈γ/2⌉ - 1 and trace = 1, and c(θ) counts: ⌊γ⌋ + 1 on a share
    f = γ - ⌊γ⌋ of the θ and ⌊γ⌋ on the rest, so that total = (f (⌊γ⌋ + 1)² + (1 - f) ⌊γ⌋²) / γ.
    """
    folds = np.arange(1, math.ceil(gamma / 2))
    isolated = _kept(2 * folds, jitter)
    spread = _integral(lambda v: 1 - _kept(v, jitter), 0, gamma) / 2
    coupling = _Tied if tied else _Untied
    trace, total = coupling.limits(gamma, jitter)
    return Limits(
        row=float(np.sum(isolated) + spread),
        fourth=float(np.sum(isolated**2)),
        trace=float(trace),
        total=float(total),
    )


def _kept(v, jitter):
    """r(v)² = sinc(jitter v)²: what jitter leaves of a squared cosine at sample vM."""
    return np.sinc(jitter * v) ** 2


def _class_sum(position, members, jitter, whole):
    """c = Σ r(v)² over the first samples v of a class, one between q and q + 1 for q < members.

    The grid folds v = 0 ... γ at the whole numbers; position is v - ⌊γ⌋ on the last leg, `whole`.
    """
    q = np.arange(members)[:, None]
    forward = (q - whole) % 2 == 0
    v = q + np.where(forward, position, 1 - position)
    return np.sum(_kept(v, jitter), axis=0)


def _integral(f, low, high):
    """∫ f from low to high, of an f that is smooth and swings a few times at most."""
    x, weight = gauss(64)
    return (high - low) * np.sum(weight * f(low + (high - low) * x))


# --- the picture around one frequency -----------------------------------------------------------


@lru_cache(maxsize=4096)
def local(gamma, alpha, corner, tied, jitter):
    """What one frequency sees of its neighbours, as `Local`; corner = a3² / a4².

    T = B + Σ_l Δ_l: its mean, and each site's deviation. The deviations are independent and of
    mean zero, so only sites that coincide count in a mean of products (notebook 08, step 3).
    """
    coupling = _Tied if tied else _Untied
    picture = _picture(gamma, tied, jitter)
    traces = _traces(gamma, tied, jitter)
    seen = _seen(picture, alpha)
    square_w1, square_w2, floor = coupling.squares(seen)
    comb = np.sinc(2 * jitter * np.arange(1, math.ceil(gamma / 2)))
    fixed = _fixed_echo(picture, comb, corner)
    echo, echo_square = _echo(picture, fixed)
    return Local(
        square_w1=square_w1,
        square_w2=square_w2,
        floor=floor,
        second=seen.second,
        pull=seen.pull,
        own=seen.own,
        row_error=_row_error(picture, alpha, fixed),
        comb=comb @ comb,
        echo=echo,
        echo_square=echo_square,
        diagonal=_diagonal(picture, alpha),
        wobble=_wobble(traces, alpha),
        drift=_drift(picture, traces, alpha),
    )


@dataclass(frozen=True)
class _Axis:
    """Nodes for the mean over -1 < t < 1, which the shifts t -> t + 2q/γ map onto each other."""

    t: np.ndarray  # (nodes,)
    weight: np.ndarray  # (nodes,), of sum 1
    linked: np.ndarray  # (nodes, nodes), true where t' = t + 2q/γ, q any whole number
    pair: np.ndarray  # (nodes, nodes), √weight(t) √weight(t')


def _axis(gamma):
    """Gauss's nodes on panels: steps of 2/γ from t = -1, each cut where the last one ends at t = 1.

    There are ⌊γ⌋ whole steps and a part of one. Panels at the same place of their steps are aliases
    of each other: ⌊γ⌋ + 1 before the cut and ⌊γ⌋ after it.
    """
    whole, part = int(gamma), gamma % 1
    x, weight = gauss(6)
    t, weights, alias = [], [], []
    for kind, (start, size, steps) in enumerate([(0, part, whole + 1), (part, 1 - part, whole)]):
        if size < 1e-9:
            continue
        for q in range(steps):
            t.append(2 / gamma * (start + q + size * x) - 1)
            weights.append(size / gamma * weight)
            alias.append(len(x) * kind + np.arange(len(x)))
    alias = np.concatenate(alias)
    weights = np.concatenate(weights)
    root = np.sqrt(weights)
    return _Axis(
        t=np.concatenate(t),
        weight=weights,
        linked=alias[:, None] == alias,
        pair=np.outer(root, root),
    )


@dataclass(frozen=True)
class _Frequency:
    """One side of a site: its jitter u at Gauss's nodes, and its averages over u.

    Every function of t carries √weight(t) and every kernel of t, t' both roots, so that sums over
    nodes are means over t and kernels compose as matrices.
    """

    u: np.ndarray  # (states,), in units of the spacing
    p: np.ndarray  # (states,), weights of sum 1
    e: np.ndarray  # (states, nodes), e_0
    r: np.ndarray  # (nodes,), E e_0
    same: np.ndarray  # (nodes, nodes), E e_0 e_0*


def _frequency(axis, gamma, jitter):
    """e_0 = exp(iπγut),   E e_0 = r(t) = sinc(jitter γt),   E e_0 e_0* = r(t - t')."""
    x, p = gauss(5 + int(gamma / 3) if jitter else 1)
    u = (2 * x - 1) * jitter
    t = axis.t
    root = np.sqrt(axis.weight)
    return _Frequency(
        u=u,
        p=p,
        e=root * np.exp(1j * math.pi * gamma * np.outer(u, t)),
        r=root * np.sinc(jitter * gamma * t),
        same=axis.pair * np.sinc(jitter * gamma * (t[:, None] - t)),
    )


@dataclass(frozen=True)
class _Site:
    """The pair w_0, w̃_0 of site 0 in every state of its jitter."""

    p: np.ndarray  # (states,), weights of sum 1
    u: np.ndarray  # (states,), jitter of w̃_0
    e: np.ndarray  # (states, nodes), e_0
    partner: np.ndarray  # (states, nodes), ẽ_0
    r: np.ndarray  # (nodes,), E e_0 = E ẽ_0
    same: np.ndarray  # (nodes, nodes), E e_0 e_0* = E ẽ_0 ẽ_0*
    K: np.ndarray  # (nodes, nodes), E e_0 ẽ_0*

    def mean(self, values):
        """E over the states of site 0, the first axis of values."""
        return np.tensordot(self.p, values, 1)


@dataclass(frozen=True)
class _Neighbours:
    """Sums over the other sites l of means of s = e_l·e_0 and its slope s' = τ·e_l.

    s̃ = ẽ_l·ẽ_0 belongs to the partners. E_l (E_0) is the mean over the jitter of site l (site 0).
    """

    meet: float  # Σ_l E_0 Var_l[s' s̃]: of R²
    joint: float  # Σ_l E_0 Cov_l[s s̃, s' s̃']: of (e_0·u_1)(τ·u_2), which only tied has
    swap: (
        float  # Σ_l E s (s̃ - E_0 s̃)(s̃ - E_l s̃): of |V|², site l in the row of 0 and 0 in that of l
    )
    cross: float  # Σ_l E tr(Δ_l Δ_0* Δ_l Δ_0*) / γ⁴
    two: float  # Σ_l E |tr Δ_l* Δ_0|² / γ⁴


def _neighbours(gamma, coupling, frequency):
    """s = sin x / x and s' = (cos x - s) / x, x = πγ (l + u_l - u_0), indexed l, u_l, u_0.

    The terms fall off as l⁻³ and are summed over 0 < |l| < 30/γ + 30.
    """
    lag = np.arange(1, int(min(30 / gamma + 30, 400)))
    l = np.concatenate([-lag, lag])[:, None, None]
    x = math.pi * gamma * (l + frequency.u[:, None] - frequency.u)
    s = np.sinc(x / np.pi)
    slope = (np.cos(x) - s) / x
    return coupling.neighbours(s, slope, frequency.p)


@dataclass(frozen=True)
class _Picture:
    """T = B + Σ_l Δ_l around site 0: all that does not depend on the amplitudes."""

    gamma: float
    axis: _Axis
    site: _Site
    neighbours: _Neighbours
    B: np.ndarray  # (nodes, nodes), E T, which joins aliases alone
    others: (
        np.ndarray
    )  # (nodes, nodes), Σ_{l≠0} exp(iπγl(t - t')): sums a kernel of 0 over the rest
    delta: np.ndarray  # (states, nodes, nodes), Δ_0 = γ (e_0 ẽ_0* - K)
    inner: np.ndarray  # (nodes, nodes), E Δ_0* Δ_0
    outer: np.ndarray  # (nodes, nodes), E Δ_0 Δ_0*


@lru_cache(maxsize=8)
def _picture(gamma, tied, jitter):
    """(B f)(t) = Σ_q K(t, t + 2q/γ) f(t + 2q/γ), by Σ_l exp(iπγlt) = (2/γ) Σ_q δ(t - 2q/γ)."""
    coupling = _Tied if tied else _Untied
    axis = _axis(gamma)
    frequency = _frequency(axis, gamma, jitter)
    site = coupling.site(frequency)
    delta = gamma * (site.e[:, :, None] * site.partner.conj()[:, None, :] - site.K)
    adjoint = _adjoint(delta)
    comb = axis.linked / axis.pair
    return _Picture(
        gamma=gamma,
        axis=axis,
        site=site,
        neighbours=_neighbours(gamma, coupling, frequency),
        B=site.K * comb,
        others=comb / gamma - 1,
        delta=delta,
        inner=site.mean(adjoint @ delta),
        outer=site.mean(delta @ adjoint),
    )


def _adjoint(stack):
    """The adjoint of the matrix of each state."""
    return stack.conj().transpose(0, 2, 1)


def _dot(a, b):
    """a·b of each state, the mean of a* b over t."""
    return np.sum(a.conj() * b, 1).real


def _trace(a, b):
    """tr(a b), of each state where a or b is a stack of states."""
    return np.einsum("...ij,...ji->...", a, b).real


# --- in the picture: one frequency --------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """The means that the squares of a frequency's gradient are made of (notebook 08, step 3)."""

    first: float  # E |u_1|²
    second: float  # E |u_2|²
    meet: float  # E R², R = τ·u_1
    joint: float  # E (e_0·u_1)(τ·u_2), right only where tied, which alone needs it
    pull: float  # E τ·u_2
    own: float  # E ẽ_0·u_1


def _seen(picture, alpha):
    """u_1 = (αT - 1) ẽ_0, u_2 = (αT - 1) τ̃: by site 0 and E T, then by the rest's deviations."""
    site, t = picture.site, picture.axis.t
    tau = 1j * t * site.e
    u1 = _error(picture, alpha, site.partner)
    u2 = _error(picture, alpha, 1j * t * site.partner)
    first = site.mean(_dot(u1, u1)) + _others_add(picture, alpha, site.same)
    slopes = site.same * np.outer(t, t)  # E τ̃ τ̃*
    second = site.mean(_dot(u2, u2)) + _others_add(picture, alpha, slopes)
    R = _dot(tau, u1)
    pull = _dot(tau, u2)
    own = _dot(site.partner, u1)
    scale = (alpha * picture.gamma) ** 2
    return _Seen(
        first=first,
        second=second,
        meet=site.mean(R**2) + scale * picture.neighbours.meet,
        joint=site.mean(own * pull) + scale * picture.neighbours.joint,
        pull=site.mean(pull),
        own=site.mean(own),
    )


def _error(picture, alpha, f):
    """(α (B + Δ_0) - 1) f of each state: (αT - 1) f, the other sites at their mean."""
    deviation = np.einsum("kij,kj->ki", picture.delta, f)
    return alpha * (f @ picture.B + deviation) - f


def _others_add(picture, alpha, C):
    """α² Σ_{l≠0} E |Δ_l f|² = α² Σ_{l≠0} tr(E[Δ_l* Δ_l] C), C = E f f*."""
    return alpha**2 * np.sum(picture.inner * C * picture.others).real


# --- in the picture: what x_0 makes -------------------------------------------------------------


def _fixed_echo(picture, comb, corner):
    """κ = (2/γ) (Σ_q cos(2πqu_0) comb_q + a3²/a4²) of each state, comb_q = |E P̃_{2Mq}|.

    What w̃_0 sees of the mean of P̃ and of sample 0.
    """
    q = np.arange(1, len(comb) + 1)
    seen = np.cos(2 * np.pi * np.outer(picture.site.u, q)) @ comb
    return 2 / picture.gamma * (seen + corner)


def _echo(picture, fixed):
    """E y_0 and E y_0²,   y_0 = κ + ẽ_0·(ẽ_0 - r) + Σ_{l≠0} ẽ_0·(ẽ_l - r_l),   fixed = κ.

    Mean, own jitter and that of the others, whose part has mean zero.
    """
    site = picture.site
    own = _dot(site.partner, site.partner - site.r) + fixed
    others = np.sum(site.same * _row_covariance(site) * picture.others)
    return site.mean(own), site.mean(own**2) + others


def _row_covariance(site):
    """E (ẽ_0 - r)(ẽ_0 - r)* = r(t - t') - r(t) r(t'): of what a site adds to P̃ - E P̃."""
    return site.same - np.outer(site.r, site.r)


def _row_error(picture, alpha, fixed):
    """E |V - E V|²,   V = (α (B + Δ_0) - 1)(ẽ_0 - r) + αγ e_0 κ + α Σ_{l≠0} Δ_l (ẽ_0 - r).

    Σ_l V_l is the jittered part of (αT - 1) P̃ + 2α (a3²/a4²) P. Its terms Δ_l (ẽ_0 - r) and
    Δ_0 (ẽ_l - r_l) are correlated: that is the swap of `_Neighbours`.
    """
    site, gamma = picture.site, picture.gamma
    own = _error(picture, alpha, site.partner - site.r)
    V = own + alpha * gamma * site.e * fixed[:, None]
    deviation = V - site.mean(V)
    others = _others_add(picture, alpha, _row_covariance(site))
    swapped = (alpha * gamma) ** 2 * picture.neighbours.swap
    return site.mean(_dot(deviation, deviation)) + others + swapped


# --- in the picture: S = α² T T* - α T, which sets a2 and a4 ------------------------------------


@dataclass(frozen=True)
class _Traces:
    """The traces of products of T that tr S and tr S_s² are made of."""

    second: float  # E tr ((T + T*)/2)² / N
    third: float  # E tr T T* T / N
    fourth: float  # E tr T T* T T* / N
    linear: np.ndarray  # (states,), tr Δ_0
    quadratic: np.ndarray  # (states,), tr(2 B Δ_0 + Δ_0* Δ_0)


@lru_cache(maxsize=8)
def _traces(gamma, tied, jitter):
    """With T = B + Σ_l Δ_l and B = B*, what has each Δ_l at least twice is left of a mean trace:

        second:  B² + Σ_l (Δ*Δ + ΔΔ) / 2,
        third:   B³ + Σ_l (2 BΔΔ* + BΔΔ + Δ*ΔΔ),
        fourth:  B⁴ + Σ_l (2 B²(ΔΔ* + Δ*Δ) + 2 BΔBΔ + 4 BΔΔ*Δ + Δ*ΔΔ*Δ) + pairs of sites.

    N sites of t share the trace of a product of B, a mean over t; M sites l that of the rest.
    """
    picture = _picture(gamma, tied, jitter)
    site, B, delta = picture.site, picture.B, picture.delta
    B2 = B @ B
    one = np.eye(len(B))
    gram = _adjoint(delta) @ delta
    turned = B @ delta
    twos = _trace(gram, one) + _trace(delta, delta)
    threes = _trace(turned, delta) + _trace(gram, delta)
    fours = 2 * _trace(turned, turned) + 4 * _trace(turned, gram) + _trace(gram, gram)
    third = site.mean(threes) + 2 * _trace(B, picture.outer)
    fourth = site.mean(fours) + 2 * _trace(B2, picture.outer + picture.inner)
    weight = picture.axis.weight
    return _Traces(
        second=weight @ np.diag(B2) + site.mean(twos) / 2 / gamma,
        third=weight @ np.diag(B2 @ B) + third / gamma,
        fourth=weight @ np.diag(B2 @ B2) + fourth / gamma + _two_sites(picture),
        linear=_trace(delta, one),
        quadratic=_trace(2 * B, delta) + _trace(gram, one),
    )


def _two_sites(picture):
    """E tr Σ_{l≠j} (Δ_l* Δ_l Δ_j* Δ_j + Δ_l Δ_l* Δ_j Δ_j* + Δ_l Δ_j* Δ_l Δ_j*) / N."""
    squares = abs(picture.inner) ** 2 + abs(picture.outer) ** 2
    cross = picture.gamma**3 * picture.neighbours.cross
    return np.sum(squares * picture.others) / picture.gamma + cross


def _wobble(traces, alpha):
    """E tr S_s² / N = E tr [α⁴ T T* T T* - 2α³ T T* T + α² ((T + T*)/2)²] / N."""
    return alpha**4 * traces.fourth - 2 * alpha**3 * traces.third + alpha**2 * traces.second


def _drift(picture, traces, alpha):
    """Var tr S / N = [Var φ + 2α⁴ Σ_{l≠0} E |tr Δ_l* Δ_0|²] / γ.

    φ = α² tr(2BΔ_0 + Δ_0* Δ_0) - α tr Δ_0 is what site 0 adds alone, the rest what pairs add.
    """
    site, gamma = picture.site, picture.gamma
    phi = alpha**2 * traces.quadratic - alpha * traces.linear
    own = site.mean((phi - site.mean(phi)) ** 2)
    pairs = 2 * alpha**4 * gamma**4 * picture.neighbours.two
    return (own + pairs) / gamma


def _diagonal(picture, alpha):
    """The mean over t of S(t, t)²,   S(t, t) = α² (B² + E Δ_0* Δ_0 / γ)(t, t) - α B(t, t).

    Of the site's kernel the two roots of the weight are taken off; B is local and carries none.
    """
    B, weight = picture.B, picture.axis.weight
    spread = np.diag(picture.inner).real / (weight * picture.gamma)
    S = alpha**2 * (np.diag(B @ B) + spread) - alpha * np.diag(B)
    return weight @ S**2


# --- where tied and untied differ ---------------------------------------------------------------


class _Tied:
    """w̃ = w: A_ij = P_|i-j| + P_{i+j}, and a site has one jitter."""

    @staticmethod
    def trace(n, lags):
        """Σ_i E A_ii = Σ_i (1 + E P_2i)."""
        inner = slice(1, n)
        return np.sum(1 + lags.r_twice[inner] * lags.D_twice[inner])

    @staticmethod
    def total(n, m, lags):
        """Σ_ij E A_ij² = Σ_ij E (P_|i-j|² + P_{i+j}²) + 2 Σ_ij E P_|i-j| P_{i+j}."""
        return _pairs_at_lag(n) @ lags.square + _correlation(n, m, lags)

    @staticmethod
    def limits(gamma, jitter):
        """1,   and 1 + Σ_{q<γ} (2 - 2q/γ) r(2q)² + ½ ∫_0^{2γ} (2 - v/γ)(1 - r²) dv.

        2N - i pairs have lag i = vM; the correlations are a share 1/N of the whole.
        """

        def spread(v):
            return (2 - v / gamma) * (1 - _kept(v, jitter))

        folds = 2 * np.arange(1, math.ceil(gamma))
        isolated = (2 - folds / gamma) * _kept(folds, jitter)
        return 1.0, 1 + np.sum(isolated) + _integral(spread, 0, 2 * gamma) / 2

    @staticmethod
    def site(side):
        """ẽ_0 = e_0,   K = E e_0 e_0*."""
        return _Site(
            p=side.p,
            u=side.u,
            e=side.e,
            partner=side.e,
            r=side.r,
            same=side.same,
            K=side.same,
        )

    @staticmethod
    def neighbours(s, slope, p):
        """s̃ = s. cross = Σ_l E (s⁴ - (E_l s²)² - (E_0 s²)²) + tr K_l K_0 K_l K_0,

        two = Σ_l E (s² - E_l s² - E_0 s² + E s²)².
        """
        over_l = (p @ s**2)[:, None, :]  # E_l s², which depends on u_0
        over_0 = (s**2 @ p)[:, :, None]  # E_0 s², which depends on u_l
        mean = (over_l @ p)[:, :, None]
        root = s * np.sqrt(np.outer(p, p))
        loop = root @ root.transpose(0, 2, 1)
        met = (s * slope) ** 2
        swapped = (s - s @ p[:, None]) * (s - (p @ s)[:, None, :]) * s
        return _Neighbours(
            meet=np.sum(p @ met @ p - (p @ (s * slope)) ** 2 @ p),
            joint=np.sum(p @ met @ p - ((p @ s**2) * (p @ slope**2)) @ p),
            swap=np.sum(p @ swapped @ p),
            cross=np.sum(p @ (s**4 - over_l**2 - over_0**2) @ p) + np.sum(loop**2),
            two=np.sum(p @ (s**2 - over_l - over_0 + mean) ** 2 @ p),
        )

    @staticmethod
    def squares(seen):
        """Of w: |u_1|²/3 + |u_2|² + 2 (e_0·u_1)(τ·u_2) + 6R²; there is no w̃; the floor is 4R²."""
        square = seen.first / 3 + seen.second + 2 * seen.joint + 6 * seen.meet
        return square, 0.0, 4 * seen.meet


class _Untied:
    """w̃ jittered apart from w: E A_ij = r_i r_j (D_{i-j} + D_{i+j}); a site has two jitters."""

    @staticmethod
    def trace(n, lags):
        """Σ_i E A_ii = Σ_i r_i² (1 + D_2i)."""
        inner = slice(1, n)
        return np.sum(lags.r[inner] ** 2 * (1 + lags.D_twice[inner]))

    @staticmethod
    def total(n, m, lags):
        """Σ_ij E A_ij² = Σ_ij (E A_ij)² + Σ_ij Var A_ij."""
        i = lags.i[1:n]
        kept = lags.r[1:n] ** 2
        r_twice = lags.r_twice[1:n]
        return _squared_means(m, i, kept) + _summed_variances(m, i, kept, r_twice)

    @staticmethod
    def limits(gamma, jitter):
        """κ = ∫_0^γ r² dv / γ,   and ∫_0^1 c(θ)² dθ / γ + γ (1 - κ²).

        c has ⌊γ⌋ + 1 members on the share f = γ - ⌊γ⌋ of the θ that the last leg covers, else ⌊γ⌋.
        """
        whole, part = int(gamma), gamma % 1

        def squared(members):
            return lambda position: _class_sum(position, members, jitter, whole) ** 2

        kept = _integral(lambda v: _kept(v, jitter), 0, gamma) / gamma
        more = _integral(squared(whole + 1), 0, part)
        fewer = _integral(squared(whole), part, 1)
        return kept, (more + fewer) / gamma + gamma * (1 - kept**2)

    @staticmethod
    def site(side):
        """e_0 and ẽ_0 in every pair of their jitters,   K = E e_0 E ẽ_0*."""
        count = len(side.u)
        return _Site(
            p=np.outer(side.p, side.p).ravel(),
            u=np.tile(side.u, count),
            e=np.repeat(side.e, count, axis=0),
            partner=np.tile(side.e, (count, 1)),
            r=side.r,
            same=side.same,
            K=np.outer(side.r, side.r),
        )

    @staticmethod
    def neighbours(s, slope, p):
        """s̃ is independent of s and of its distribution: means of products of the two factor.

        cross = two = Σ_l [(E s²)² - 2 (E_0 (E_l s)²)² + (E s)⁴].
        """
        mean = p @ s @ p
        square = p @ s**2 @ p
        square_slope = p @ slope**2 @ p
        half = (p @ s) ** 2 @ p  # E_0 (E_l s)²
        half_slope = (p @ slope) ** 2 @ p
        swapped = (s - s @ p[:, None]) * (s - (p @ s)[:, None, :])
        two = np.sum(square**2 - 2 * half**2 + mean**4)
        return _Neighbours(
            meet=np.sum(square * square_slope - half * half_slope),
            joint=0.0,
            swap=mean @ (p @ swapped @ p),
            cross=two,
            two=two,
        )

    @staticmethod
    def squares(seen):
        """Of w: |u_1|²/3 + 2R²; of w̃: |u_2|² + 2R²; the floor is R²."""
        of_w = seen.first / 3 + 2 * seen.meet
        of_partner = seen.second + 2 * seen.meet
        return of_w, of_partner, seen.meet
