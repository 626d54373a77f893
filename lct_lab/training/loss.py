"""How well a model reconstructs: the exact expected loss over white input, the bins it fills."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import nufft, transform
from lct_lab.checks import (
    require_memory,
    require_number,
    require_real_tensor,
    require_scalar,
    require_size,
)

LARGEST = 1e150  # of numbers that are squared
NUMBERS_A_SAMPLE = 16  # that the sums of a tied loss take at least
MATRICES = (5, 7, 10)  # (m, m), of an untied loss with the gradients of 0, 1 or 2 sides: measured


@transform.eager
def expected_loss(n, a1, a2, a3, a4, w1, w2=None, *, scale=None):
    """E L / Nσ² over white input, without sampling; 1 is what predicting nothing costs.

    To rounding, of about 1e-10 at most: a loss of less may come out as anything below, even < 0.

    E L / Nσ² = ‖A - I‖² / N = (‖A‖² - 2 tr A) / N + 1,    A = scale · W₂W₁  (N, N)

    W₁ is analysis and W₂ synthesis, without their 1/√N and 1/√M. With Σ over the frequencies k,

    A_00 / scale = a1 a3 M,                 A_0j / scale = a2 a3 Σ cos(w_k j),
    A_i0 / scale = a1 a4 Σ cos(w̃_k i),     A_ij / scale = a2 a4 Σ cos(w̃_k i) cos(w_k j),
    i, j = 1 … N-1.

    Tied models (w2 None, w̃ = w): one nonuniform FFT and O(N), and one more for the gradient.
    Untied, and the second derivatives of tied models: O(M²). Computed in double precision, and
    returned in that of w1.

    n : samples. a1 … a4 : numbers or tensors. w1, w2 : tensors (m,), radians per sample.
    scale : 1/√(nm) when None, that of the model itself.
    Returns a scalar tensor, differentiable any number of times in everything but n.
    Raises ValueError or TypeError naming an argument that is not finite or does not fit.
    """
    n = require_size("n", n)
    require_memory(NUMBERS_A_SAMPLE * n, n=n)
    require_real_tensor("w1", w1, dims=1)
    m = len(w1)
    scale = 1 / math.sqrt(n * m) if scale is None else _with_square("scale", scale)
    named = zip(("a1", "a2", "a3", "a4"), (a1, a2, a3, a4), strict=True)
    amplitudes = [_amplitude(name, value, w1) for name, value in named]
    if w2 is None:
        place = {"dtype": w1.dtype, "device": w1.device}
        amplitudes = [torch.as_tensor(a, **place) for a in amplitudes]
        return _TiedLoss.apply(n, scale, *amplitudes, w1)
    require_real_tensor("w2", w2, like=("w1", w1), dims=1)
    if len(w2) != m:
        raise ValueError(f"w2 must have the {m} entries of w1, got {len(w2)}")
    sides = w1.requires_grad + w2.requires_grad if torch.is_grad_enabled() else 0
    require_memory_of_untied(m, sides)
    # the quotients of close pairs lose more digits than single precision has
    square, trace = _untied(n, m, *map(_in_double, (*amplitudes, w1, w2)))
    return ((scale**2 * square - 2 * scale * trace) / n + 1).to(w1.dtype)


def require_memory_of_untied(m, sides):
    """Raise unless an untied loss with the gradients of 0, 1 or 2 sides fits in memory."""
    require_memory(MATRICES[sides] * m**2, m=m)


def _in_double(value):
    return value.double() if isinstance(value, torch.Tensor) else value


def _amplitude(name, value, w1):
    """A number with a square, or a one-element tensor of the kind of w1."""
    found = require_scalar(name, value, ("w1", w1))
    return found if isinstance(found, torch.Tensor) else _with_square(name, found)


def _with_square(name, value):
    """Return `value` as a float, or raise where its square is none."""
    number = require_number(name, value)
    if abs(number) > LARGEST:
        raise ValueError(f"{name} must be at most {LARGEST:g} in size, got {number:.3g}")
    return number


def filled_bins(w, n):
    """How many of the n bins (kπ/n, (k+1)π/n), centred on the DCT's frequencies, hold one of w.

    Raises ValueError or TypeError naming the argument.
    """
    n = require_size("n", n)
    values = as_frequencies(w)
    if values.ndim != 1:
        raise ValueError(f"w must be a vector of frequencies, got shape {values.shape}")
    turned = (values + np.pi) % (2 * np.pi)
    folded = np.abs(turned - np.pi)  # into [0, π]: a cosine does not see the difference
    places = np.sort(np.minimum((folded * n / np.pi).astype(int), n - 1))
    return min(len(places), 1) + int(np.count_nonzero(np.diff(places)))


def as_frequencies(w):
    """Frequencies, as an array or a tensor, as an array of finite doubles, or raise."""
    try:
        values = w.numpy(force=True) if isinstance(w, torch.Tensor) else np.asarray(w)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor without numbers here
        values = np.empty(0, object)
    if values.dtype.kind not in "fiu" or np.ma.isMaskedArray(w):
        raise TypeError(f"w must be real numbers, got {type(w).__name__} of {values.dtype}")
    found = values.astype(float)
    if not np.isfinite(found).all():
        raise ValueError("w must be finite, got a NaN or an infinity")
    return found


# Tied: A is Toeplitz plus Hankel


class _TiedLoss(torch.autograd.Function):
    """The tied loss and its gradient in one go, in numpy: they share the frequencies' plan."""

    @staticmethod
    def forward(ctx, n, scale, *parameters):
        *amplitudes, w = map(nufft.as_doubles, parameters)
        # `fit` sees what is not finite, and says so
        with np.errstate(over="ignore", invalid="ignore"):
            value, gradients = _tied(n, scale, *amplitudes, w)
        place = {"dtype": parameters[-1].dtype, "device": parameters[-1].device}
        ctx.gradients = [
            torch.as_tensor(gradient, **place).reshape(p.shape)
            for gradient, p in zip(gradients, parameters, strict=True)
        ]
        ctx.n, ctx.scale = n, scale
        ctx.save_for_backward(*parameters)
        return torch.tensor(value, **place)

    @staticmethod
    def backward(ctx, upstream):
        gradients = ctx.gradients
        if torch.is_grad_enabled():  # a graph of them is asked for, which the sums do not leave
            gradients = _gradients_with_graph(ctx.n, ctx.scale, *ctx.saved_tensors)
        return None, None, *(upstream * gradient for gradient in gradients)


def _gradients_with_graph(n, scale, *parameters):
    """The tied gradients as functions of the parameters: those of both sides of an untied loss."""
    *amplitudes, w = (p if p.requires_grad else p.detach().requires_grad_() for p in parameters)
    loss = expected_loss(n, *amplitudes, w, w, scale=scale)
    return torch.autograd.grad(loss, [*amplitudes, w], create_graph=True)


def _tied(n, scale, a1, a2, a3, a4, w):
    """The tied loss and its gradients by a1, a2, a3, a4 and w.

    With P(l) = Σ_k cos(l w_k), l <= 2n - 2, and Σ_k cos(w_k i) cos(w_k j) = ½ (P(|i-j|) + P(i+j)),

    ‖A‖² / scale² = (a1 a3 m)² + ((a2 a3)² + (a1 a4)²) E + ¼ (a2 a4)² I
    tr A / scale = a1 a3 m + ½ a2 a4 D

    E the square of an edge (row or column 0), I that of the inner block and D its trace.
    The frequencies enter through P alone: ∂P(l)/∂w_k = -l sin(l w_k).
    """
    m = len(w)
    P, moments = nufft.lag_sums(w, 2 * n - 1)
    E = P[1:n] @ P[1:n]
    I, I_by_P = _inner_square(P, n)
    D = (n - 1) * m + P[2::2].sum()

    corner = a1 * a3 * m
    edges = (a2 * a3) ** 2 + (a1 * a4) ** 2
    inner = (a2 * a4) ** 2 / 4
    square = corner**2 + edges * E + inner * I
    trace = corner + a2 * a4 / 2 * D
    loss = (scale**2 * square - 2 * scale * trace) / n + 1

    by_P = scale**2 * inner * I_by_P
    by_P[1:n] += 2 * scale**2 * edges * P[1:n]
    by_P[2::2] -= scale * a2 * a4
    by_w = -moments(by_P)
    by_amplitudes = _tied_by_amplitudes(m, scale, a1, a2, a3, a4, E, I, D)
    return loss, [gradient / n for gradient in (*by_amplitudes, by_w)]


def _tied_by_amplitudes(m, scale, a1, a2, a3, a4, E, I, D):
    """The gradients of ‖A‖² - 2 tr A by a1, a2, a3 and a4, in the names of `_tied`."""
    half_square_by_a1 = a1 * (a3 * m) ** 2 + a1 * a4**2 * E
    half_square_by_a2 = a2 * a3**2 * E + a2 * a4**2 / 4 * I
    half_square_by_a3 = a3 * (a1 * m) ** 2 + a3 * a2**2 * E
    half_square_by_a4 = a4 * a1**2 * E + a4 * a2**2 / 4 * I
    s, t = 2 * scale**2, 2 * scale
    return (
        s * half_square_by_a1 - t * a3 * m,
        s * half_square_by_a2 - t * a4 / 2 * D,
        s * half_square_by_a3 - t * a1 * m,
        s * half_square_by_a4 - t * a2 / 2 * D,
    )


def _inner_square(P, n):
    """I = Σ_{i,j=1}^{n-1} (P(|i-j|) + P(i+j))² and its gradient by P, both in O(n).

    I = Σ_l c(l) P(l)² + 2 Σ_s P(s) Q(s),    Q(s) = Σ_d P(|d|),    s = i + j >= 2,  d = i - j

    c(l) and r(s) as in `IndexPairs`. At a given s, d runs in steps of two from -r(s) to r(s), so
    that Q is a prefix sum of P over the lags of one parity.
    """
    pairs = index_pairs(n)
    twice = 2 * P
    twice[0] = P[0]  # d = 0 occurs once, every other |d| twice
    Q = _sums_by_parity(twice)[pairs.r]
    I = pairs.c @ P**2 + 2 * P[2:] @ Q

    gradient = 2 * pairs.c * P
    gradient[2:] += 2 * Q
    lag = np.arange(n - 1)  # those that occur as |d|: with every s from lag + 2 to 2n - 2 - lag
    sums = _sums_by_parity(P)
    met = sums[2 * n - 2 - lag] - sums[lag]
    gradient[lag] += np.where(lag == 0, 2, 4) * met
    return I, gradient


def _sums_by_parity(values):
    """S(l) = v(l) + v(l-2) + v(l-4) + …"""
    sums = np.empty_like(values)
    sums[::2] = values[::2].cumsum()
    sums[1::2] = values[1::2].cumsum()
    return sums


class IndexPairs(NamedTuple):
    """Of the pairs 1 <= i, j < n.

    c : (2n-1,), c(l) says how many |i-j| are l plus how many i+j are l.
    r : (2n-3,), from s = 2 on, r(s) is the largest i-j where i+j = s.
    """

    c: np.ndarray
    r: np.ndarray


@lru_cache(maxsize=2)
def index_pairs(n):
    """`IndexPairs` of n samples."""
    lag = np.arange(2 * n - 1)
    one_sign = np.maximum(n - 1 - lag, 0)
    differences = np.where(lag == 0, one_sign, 2 * one_sign)
    totals = np.maximum(np.minimum(lag - 1, 2 * n - 1 - lag), 0)
    s = lag[2:]
    largest = np.minimum(s - 2, 2 * n - 2 - s)
    return IndexPairs(c=differences + totals, r=largest)


# Untied: by both Gram matrices. Their sums of cosines are here and not in laws, whose closed sums
# are numpy's: these must be differentiable by torch.


def _untied(n, m, a1, a2, a3, a4, w1, w2):
    """‖A‖² and tr A, over scale² and scale.

    ‖A‖² / scale² = Σ_{k,l} G_kl G̃_kl,    G_kl = a1² + a2² Σ_j cos(w_k j) cos(w_l j),

    and G̃ alike of a3, a4 and w̃.
    """
    gram1 = a1**2 + a2**2 / 2 * _double_products(w1, n)
    gram2 = a3**2 + a4**2 / 2 * _double_products(w2, n)
    square = (gram1 * gram2).sum()
    inner = _dirichlet(w2 - w1, n) + _dirichlet(w2 + w1, n)
    trace = a1 * a3 * m + a2 * a4 / 2 * inner.sum()
    return square, trace


def _double_products(w, n):
    """2 Σ_{j=1}^{n-1} cos(w_k j) cos(w_l j), for every k and l: (m,) -> (m, m).

    (cos(n w_k) cos((n-1) w_l) - cos((n-1) w_k) cos(n w_l)) / (cos w_k - cos w_l) - 1

    by Christoffel and Darboux: outer products, without a sine for each pair. Close pairs, whose
    quotient is 0/0, go by the Dirichlet sums of their difference and their sum.
    """
    low = torch.cos((n - 1) * w)
    high = torch.cos(n * w)
    cosine = torch.cos(w)
    apart = cosine[:, None] - cosine
    near = apart.detach().abs() < 1e-3
    numerator = torch.outer(high, low) - torch.outer(low, high)
    far = numerator / torch.where(near, 1.0, apart) - 1
    k, l = near.nonzero(as_tuple=True)
    difference, total = w[k] - w[l], w[k] + w[l]
    direct = _dirichlet(difference, n) + _dirichlet(total, n)
    return far.index_put((k, l), direct)


def _dirichlet(v, n):
    """Σ_{j=1}^{n-1} cos(v j) = (sin((n-½) v) / sin(v/2) - 1) / 2, of doubles v.

    Near multiples of 2π, where that is 0/0, its first two terms: n - 1 - v² (n-1) n (2n-1) / 12.
    """
    turns = torch.round(v / (2 * torch.pi)).detach()
    reduced = v - 2 * torch.pi * turns
    near = reduced.abs() * n < 1e-4
    squares = (n - 1) * n * (2 * n - 1) / 6  # Σ j²
    series = n - 1 - reduced**2 * (squares / 2)
    u = torch.where(near, 1.0, reduced)
    quotient = torch.sin((n - 0.5) * u) / torch.sin(u / 2)
    closed = (quotient - 1) / 2
    return torch.where(near, series, closed)
