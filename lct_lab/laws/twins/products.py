"""Products of normal numbers: the mean of (u·x)(v·x) over B signals is Σ_i λ_i χ²_B,i / B.

λ are the eigenvalues of P·G, G the Gram matrix of u and v (of u, v, u', v' for a sum of two
products) and P = ½ [[0, 1], [1, 0]] for either pair: of one product λ± = (u·v ± |u||v|)/2.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.laws.twins.starts import (
    BACK,
    BACK_SLOPE,
    FRONT,
    OUTPUT,
    SLOPE,
    SLOPE_OF_OUTPUT,
)

ROUNDING = 1e-12  # of the squared parts of a vector: what is left of it where they cancel
QUANTILES = 4096  # of χ², of which each entry draws DRAWN for each of its eigenvalues
DRAWN = 64

# the vectors that are not orthogonal only where w̃_k happens to lie within 1/N of w_k
PAIRED = ((SLOPE, BACK), (OUTPUT, BACK), (FRONT, BACK_SLOPE), (SLOPE_OF_OUTPUT, BACK_SLOPE))


@dataclass(frozen=True, eq=False)
class Grams:
    """(entries, 10, 10) means E (u·x)(v·x) of the vectors of `starts`; u·v if x is white."""

    products: np.ndarray

    def parted(self, entries):
        """The same where the w_k and w̃_k of `entries` do not meet by chance."""
        found = self.products.copy()
        for one, other in PAIRED:
            found[entries, one, other] = 0
            found[entries, other, one] = 0
        return Grams(found)

    def eigenvalues(self, vectors):
        """λ of (u·x)(v·x), (entries, 2), or of a sum of two such products, (entries, 4)."""
        mix = np.zeros((len(vectors), self.products.shape[1]))
        for place, parts in enumerate(vectors):
            mix[place, list(parts)] = list(parts.values())
        G = mix @ self.products @ mix.T
        parts = np.einsum("ia,kaa->ki", mix**2, self.products)
        some = np.diagonal(G, axis1=1, axis2=2) > ROUNDING * parts
        return paired_eigenvalues(G * some[:, :, None] * some[:, None, :])

    def mean_square(self, vectors):
        """The mean over entries of [E (u·x)(v·x)]², or of a sum of two such products, squared.

        Factors may be arrays, (choices,): then one for each, by the second moments of products.
        """
        factors = {}
        for u, v in zip(vectors[::2], vectors[1::2], strict=True):
            for one, of_u in u.items():
                for other, of_v in v.items():
                    factors[one, other] = factors.get((one, other), 0.0) + of_u * of_v
        means = np.stack([self.products[:, one, other] for one, other in factors])
        factors = np.stack(np.broadcast_arrays(*factors.values()))
        if factors.size == len(means):
            return np.mean((factors.reshape(1, -1) @ means) ** 2).reshape(factors.shape[1:])
        moments = means @ means.T / means.shape[1]
        return np.einsum("ac,ab,bc->c", factors, moments, factors)


def paired_eigenvalues(G):
    """λ of P·G, G (entries, 2, 2) or (entries, 4, 4).

    Factors of one length first, by u/c and cv: where one of them vanishes all λ must.
    """
    squares = np.maximum(np.diagonal(G, axis1=1, axis2=2), 0)
    sizes = np.sqrt(squares[:, ::2] * squares[:, 1::2])
    if G.shape[1] == 2:
        sizes = sizes[:, 0]
        return np.stack([G[:, 0, 1] + sizes, G[:, 0, 1] - sizes], axis=1) / 2
    both = np.repeat(sizes, 2, axis=1)
    factor = np.sqrt(both / np.where(squares > 0, squares, np.inf))
    G = G * factor[:, :, None] * factor[:, None, :]
    PG = G[:, [1, 0, 3, 2]] / 2  # P exchanges the rows of either pair
    return np.sort(np.linalg.eigvals(PG).real, axis=1)


def sums_of_squares(values, batch):
    """Drawn Σ_i λ_i χ²_B,i/B, (entries, `DRAWN`), of values λ (entries, 2 or 4)."""
    drawn = chi_squares(batch, *values.shape)
    return np.einsum("ki,kiq->kq", values, drawn)


@lru_cache(maxsize=8)
def chi_squares(batch, entries, count):
    """(entries, count, DRAWN) of χ²_B/B: evenly spread quantiles, in a random order."""
    from scipy.special import gammaincinv

    several = min(QUANTILES, entries * DRAWN)
    place = (np.arange(several) + 0.5) / several
    quantile = 2 * gammaincinv(batch / 2, place) / batch
    rng = np.random.default_rng(0)
    order = [rng.permutation(entries * DRAWN) % several for _ in range(count)]
    drawn = quantile[np.array(order)].reshape(count, entries, DRAWN)
    return np.ascontiguousarray(drawn.transpose(1, 0, 2))


def chances(count, rng):
    """Numbers even in (0, 1), in a random order."""
    return rng.permutation(np.arange(count) + 0.5) / count


def error_of_median(values):
    """The relative standard error of a median of independent values, by their median deviation."""
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))  # a normal number's standard deviation
    return 1.2533 * spread / np.sqrt(len(values)) / middle if middle else 0.0  # √(π/2)
