"""Numbers brought to a size whose squares are numbers too, without rounding."""

import numpy as np

LARGEST = 1000  # of the exponent, so that neither 2^k nor 2^-k leaves double precision


def unit(values, axis=None):
    """The power of two 2^k next above the largest |value| along `axis`, kept as an axis of one.

    Values over their unit are at most 1 and keep every digit. Their squares cannot overflow, and
    what vanishes is nothing beside the largest. The unit is 1 where all values are zero or the
    largest is not finite.
    """
    largest = np.max(np.abs(values), axis=axis, keepdims=True)
    known = np.isfinite(largest) & (largest > 0)
    _, exponent = np.frexp(np.where(known, largest, 0.5))
    return np.exp2(np.clip(exponent, -LARGEST, LARGEST).astype(float))
