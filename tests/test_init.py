"""Starts have the distributions they claim, and depend on (seed, n, m, name, index) alone."""

import numpy as np
import pytest
from scipy import stats

from lct_lab import init


def test_random_starts_are_sorted_uniform_draws():
    draws = np.array([init.draw(4, 9, seed=0, index=i)[1] for i in range(3000)])
    assert (np.diff(draws) >= 0).all()
    for k in (0, 4, 8):  # the k-th of m sorted uniforms is Beta(k + 1, m - k)
        assert stats.kstest(draws[:, k] / np.pi, stats.beta(k + 1, 9 - k).cdf).pvalue > 1e-3
    assert stats.kstest(draws[:, 4] / np.pi, "uniform").pvalue < 1e-6


def test_shuffled_starts_are_independent_of_their_order():
    draws = np.array([init.draw(4, 9, init="shuffled", seed=0, index=i)[1] for i in range(2000)])
    assert stats.kstest(draws[:, 0] / np.pi, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws[:, 3], draws[:, 4])[0, 1]) < 4 / 2000**0.5


def test_amplitudes_and_the_grid():
    drawn = np.array([init.draw(4, 4, seed=1, index=i)[0] for i in range(2000)])
    assert (
        drawn.min() > 0.5
        and drawn.max() < 1.5
        and stats.kstest(drawn.ravel() - 0.5, "uniform").pvalue > 1e-3
    )
    a, w1, w2 = init.draw(8, 8, init="orthogonal")
    assert (
        a == (1, 2**0.5, 1, 2**0.5)
        and np.allclose(w1, (2 * np.arange(8) + 1) * np.pi / 16)
        and (w1 == w2).all()
    )
    _, moved, other = init.draw(8, 8, init="jittered", jitter=0.1)
    assert (abs(moved - w1) < 0.1 * np.pi / 8).all() and not (moved == other).any()
    assert init.draw(8, 8, tied=True)[2] is None and init.draw(8, 8, amplitudes=(1, 2, 3, 4))[
        0
    ] == (1, 2, 3, 4)


def test_a_start_depends_on_its_key_alone():
    first = init.draw(5, 6, seed=1, index=3)
    init.draw(5, 6, seed=1, index=2)
    assert (init.draw(5, 6, seed=1, index=3)[1] == first[1]).all()
    for change in ({"seed": 2}, {"index": 4}, {"init": "shuffled"}):
        assert not (
            np.sort(init.draw(5, 6, **{"seed": 1, "index": 3, **change})[1]) == first[1]
        ).any()
    assert not (init.draw(7, 6, seed=1, index=3)[1] == first[1]).any()


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"jitter": 0.1}, ValueError, "jitter is for init='jittered' alone"),
        (
            {"init": "jittered", "jitter": -1},
            ValueError,
            "jitter must be between 0 and m = .* got -1",
        ),
        ({"init": "jittered", "jitter": 1e308}, ValueError, "jitter must be between 0 and m = "),
        ({"init": "jittered", "jitter": float("nan")}, ValueError, "jitter must be finite"),
        ({"init": "jittered", "jitter": "a"}, TypeError, "jitter must be a real number, got 'a'"),
        ({"index": -1}, ValueError, "index must be at least 0, got -1"),
        ({"seed": 1.5}, TypeError, "seed must be an integer of at least 0, got 1.5"),
        ({"tied": 1}, TypeError, "tied must be True or False, got 1"),
        ({"m": 2**50}, ValueError, "m must be at most 1099511627776"),
    ],
)
def test_bad_input(change, error, words):
    with pytest.raises(error, match=words):
        init.draw(**{"n": 4, "m": 4, **change})


def test_seeds_may_be_of_any_length():
    assert not (init.draw(4, 4, seed=2**100)[1] == init.draw(4, 4, seed=2**100 + 1)[1]).any()
