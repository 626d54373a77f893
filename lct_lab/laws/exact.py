"""The oracle: moments over white input that are exact for given parameters, by dense matrices."""

import math
from dataclasses import dataclass

import numpy as np


def conditional(n, a1, a2, a3, a4, w1, w2=None, *, s2=1 / 3, x4=1 / 5):
    """Mean and variance over white x of the loss and of each gradient, all parameters given.

    Each is a quadratic form xᵀQx, with mean σ² tr Q and variance
    2σ⁴ tr Q_s² + (E x⁴ - 3σ⁴) Σ Q_ii², Q_s its symmetric part. A frequency's is a product
    (u·x)(v·x), so Q = uvᵀ. s2 = σ² = E x², x4 = E x⁴. w1, w2 : arrays (m,); without w2, tied.

    Returns {group: (mean, variance)}, of w1 and w2 a pair of arrays (m,). Dense, O(n²(n + m)).
    """
    chain = _chain(n, (a1, a2, a3, a4), w1, w2)
    forms = _forms(chain)
    result = {group: _moments(form, s2, x4) for group, form in forms.items()}
    for group, products in _products(chain).items():
        result[group] = _moments_of_products(products, s2, x4)
    return result


@dataclass(frozen=True, eq=False)
class _Chain:
    """What follows from x, as matrices that act on it; rows are frequencies or samples."""

    amplitudes: tuple
    tied: bool
    cosine: np.ndarray  # C_k = Σ_{n≥1} cos(w_k n) x_n
    sine: np.ndarray  # T_k = Σ n sin(w_k n) x_n
    sine2: np.ndarray  # Σ n sin(w̃_k n) v_n, of any v
    X: np.ndarray  # the coefficients
    y: np.ndarray  # the outputs
    e: np.ndarray  # 2 (y - x)
    g: np.ndarray  # ∂L/∂X_k


def _chain(n, amplitudes, w1, w2):
    a1, a2, a3, a4 = amplitudes
    tied = w2 is None
    cosine, sine = _waves(w1, n)
    cosine2, sine2 = (cosine, sine) if tied else _waves(w2, n)
    first = np.arange(n) == 0
    X = (a1 * first + a2 * cosine) / math.sqrt(n)
    outputs = np.where(first[:, None], a3, a4) * (cosine2.T + first[:, None])
    y = outputs @ X / math.sqrt(len(X))
    e = 2 * (y - np.eye(n))
    g = (a3 * e[:1] + a4 * cosine2 @ e) / math.sqrt(len(X))
    return _Chain(amplitudes, tied, cosine, sine, sine2, X, y, e, g)


def _waves(w, n):
    """cos(w_k j) and j sin(w_k j) for j >= 1, and 0 at j = 0: two arrays (m, n)."""
    j = np.arange(1, n)
    phase = np.outer(np.asarray(w, dtype=float), j)
    return tuple(np.pad(part, ((0, 0), (1, 0))) for part in (np.cos(phase), j * np.sin(phase)))


def _forms(c):
    """{group: Q} of the loss and a1 … a4, each xᵀQx."""
    (m, n), a4 = c.X.shape, c.amplitudes[3]
    first = np.arange(n) == 0
    return {
        "loss": c.e.T @ c.e / 4,
        "a1": np.outer(first, c.g.sum(0)) / math.sqrt(n),
        "a2": c.g.T @ c.cosine / math.sqrt(n),
        "a3": np.outer(c.e[0], c.X.sum(0)) / math.sqrt(m),
        "a4": c.e[1:].T @ c.y[1:] / a4,
    }


def _products(c):
    """{group: pairs of u, v (m, n)}: ∂L/∂w_k = -(a2/√N) g_k T_k, ∂L/∂w̃_k = -(a4/√M) X_k S_k."""
    (m, n), (_, a2, _, a4) = c.X.shape, c.amplitudes
    analysis = (-a2 / math.sqrt(n) * c.g, c.sine)
    synthesis = (-a4 / math.sqrt(m) * c.X, c.sine2 @ c.e)
    if c.tied:
        return {"w1": [analysis, synthesis]}
    return {"w1": [analysis], "w2": [synthesis]}


def _moments(form, s2, x4):
    form = (form + form.T) / 2
    peaked = (x4 - 3 * s2**2) * np.sum(np.diag(form) ** 2)
    return s2 * np.trace(form), 2 * s2**2 * np.sum(form**2) + peaked


def _moments_of_products(products, s2, x4):
    """Of Σ (u·x)(v·x): the variance joins every pair of products, u with u' and v with v'."""
    diagonal = sum(u * v for u, v in products)
    spread = 0.0
    for u, v in products:
        for u_other, v_other in products:
            spread = spread + np.sum(u * u_other, 1) * np.sum(v * v_other, 1)
            spread = spread + np.sum(u * v_other, 1) * np.sum(v * u_other, 1)
    peaked = (x4 - 3 * s2**2) * np.sum(diagonal**2, 1)
    return s2 * diagonal.sum(1), s2**2 * spread + peaked
