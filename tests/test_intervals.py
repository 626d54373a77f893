"""Intervals against scipy and simulation: they hold for skewed values, and for few of them."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lct_lab.intervals import of_mean, of_median, of_rms


@pytest.mark.parametrize("inits", (5, 20, 100))
def test_intervals_hold_for_squares_of_products_of_normals(inits):
    """E (Z₁Z₂)² = 1, with a kurtosis of 81: Student's interval misses it one time in four."""
    rng, missed, by_student = np.random.default_rng(inits), 0, 0
    for _ in range(400):
        values = np.prod(rng.standard_normal((2, inits)), axis=0)
        _, _, low, high = of_rms(values[:, None], 0.95)
        missed += not low <= 1 <= high
        squares = values**2
        gap = abs(squares.mean() - 1) * inits**0.5 / squares.std(ddof=1)
        by_student += gap > scipy.stats.t.ppf(0.975, inits - 1)
    assert missed <= 0.07 * 400 < by_student


@given(st.integers(1, 60), st.floats(0.5, 0.9999))
def test_interval_of_a_median_is_the_distribution_free_one(inits, confidence):
    values = np.random.default_rng(inits).exponential(size=inits)
    measured, _, low, high = of_median(values[:, None], confidence)
    theirs = scipy.stats.quantile_test(values, q=1, p=0.5).confidence_interval(confidence)
    assert measured == np.median(values)
    if np.isnan([theirs.low, theirs.high]).any():
        assert (low, high) == (0, np.inf)
    else:
        assert (low, high) == (theirs.low, theirs.high)


def test_error_of_a_median_is_its_spread_over_repetitions():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(300, 200))
    errors = [of_median(samples.T, 0.95)[1]]
    assert np.mean(errors) == pytest.approx(np.median(samples, axis=1).std(), rel=0.15)


@pytest.mark.parametrize("sign", (1, -1))
@pytest.mark.parametrize("inits", (5, 20, 100))
def test_interval_of_a_mean_holds_for_squares_and_for_their_mirror_image(inits, sign):
    values = sign * np.random.default_rng(inits).standard_normal((inits, 2000)) ** 2
    _, _, low, high = of_mean(values, 0.95)
    assert np.mean((low > sign) | (high < sign)) <= 0.06


def test_intervals_are_students_where_nothing_is_skewed_and_starts_are_many():
    half = np.random.default_rng(0).standard_normal((5000, 1))
    values = np.concatenate([half, -half]) + 3
    found = of_mean(values, 0.99)
    theirs = scipy.stats.ttest_1samp(values, 3).confidence_interval(0.99)
    assert found.low == pytest.approx(theirs.low, abs=1e-4)
    assert found.high == pytest.approx(theirs.high, abs=1e-4)
    rms = of_rms(values, 0.99)
    assert rms.measured == pytest.approx(np.sqrt(np.mean(values**2)))
    reach = scipy.stats.t.ppf(0.995, len(values) - 1) * rms.error
    assert rms.measured - rms.low == pytest.approx(reach, rel=0.03)
    assert rms.high - rms.measured == pytest.approx(reach, rel=0.03)


def test_values_that_do_not_spread_are_known_exactly_and_one_value_is_not_known():
    for of in (of_rms, of_mean, of_median):
        same = of(np.array([[2.0, 0.0]] * 12), 0.95)
        assert np.allclose(same, [[2, 0], [0, 0], [2, 0], [2, 0]])
        alone = of(np.array([[2.0, 0.0]]), 0.95)
        assert np.isinf(alone.error).all() and alone.low[0] <= 0 and np.isinf(alone.high[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", (2.0**-500, 2.0**-900, 2.0**500, 2.0**900))
def test_intervals_are_the_same_in_any_unit(size):
    values = np.random.default_rng(0).standard_normal((20, 3))
    for interval in (of_rms, of_mean, of_median):
        plain, found = interval(values, 0.95), interval(values * size, 0.95)
        assert all((theirs == ours * size).all() for theirs, ours in zip(found, plain, strict=True))


@pytest.mark.parametrize("interval", (of_rms, of_mean, of_median))
def test_what_has_no_interval_is_a_sentence(interval):
    for confidence in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match="confidence must be above 0 and at most 1, got"):
            interval(np.ones((3, 2)), confidence)
    with pytest.raises(ValueError, match="values must have at least one row, got none"):
        interval(np.ones((0, 2)), 0.95)
