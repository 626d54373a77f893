"""Noise has its moments, recordings their source and length, windows mean 0 and variance 1."""

import numpy as np
import pytest
import torch
from scipy import stats

from lct_lab import signals

RNG = np.random.default_rng(0)


def test_noise_has_its_distribution():
    assert (
        stats.kstest(signals.draw("uniform", 5000, RNG)[0], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    )
    assert stats.kstest(signals.draw("normal", 5000, RNG)[0], "norm").pvalue > 1e-3
    assert signals.draw("normal", 7, RNG, batch=3).shape == (3, 7)


@pytest.mark.parametrize(
    "name, shape", [("eeg", (4, 800)), ("ecg", (1, 1024)), ("sunspots", (1, 309))]
)
def test_recordings(name, shape):
    source = signals.recording(name)
    assert source.shape == shape and np.isfinite(source).all() and name in signals.RECORDINGS
    drawn = signals.draw(name, 128, np.random.default_rng(1), batch=20)
    assert np.allclose(drawn.mean(1), 0, atol=1e-12) and np.allclose(drawn.std(1), 1)
    whole = [
        (r - r.mean()) / r.std()
        for c in source
        for r in np.lib.stride_tricks.sliding_window_view(c, 128)
    ]
    assert all(np.isclose(whole, window).all(1).any() for window in drawn[:5]), (
        "each window is a piece of the recording"
    )
    longest = shape[1]
    assert signals.draw(name, longest, RNG).shape == (1, longest)
    with pytest.raises(
        ValueError,
        match=f"between 2 and {longest}, the length of the recording '{name}', got {longest + 1}",
    ):
        signals.draw(name, longest + 1, RNG)


@pytest.mark.parametrize("name", signals.RECORDINGS)
def test_a_recording_cannot_be_changed(name):
    samples = signals.recording(name)
    before = samples.copy()
    with pytest.raises(ValueError, match="read-only"):
        samples[:] = 0
    assert np.array_equal(signals.recording(name), before)


def test_rows_of_a_table_go_round_however_large_the_number_of_an_init():
    table, rng = np.arange(15.0).reshape(5, 3), np.random.default_rng(0)
    found = signals.draw(table, 3, rng, index=2**63, batch=2)  # row 2⁶⁴, which is 1 modulo 5
    assert np.array_equal(found, table[[1, 2]])


@pytest.mark.parametrize("starts", [{5: 1}, {5, 3}])
def test_starts_in_no_order_are_a_sentence(starts):
    with pytest.raises(TypeError, match="starts must be a list of integers, got"):
        signals.windows(np.arange(20.0), 8, starts)


def test_a_table_gives_its_rows_in_turn():
    table = np.arange(12.0).reshape(4, 3)
    assert (signals.draw(table, 3, RNG, index=1, batch=3) == table[[3, 0, 1]]).all()
    assert (signals.draw(table[0], 3, RNG, index=9) == table[:1]).all()


def test_without_an_index_every_row_of_a_table_is_drawn_alike():
    table = np.arange(30.0).reshape(10, 3)

    def rows(seed):
        drawn = signals.draw(table, 3, np.random.default_rng(seed), index=None, batch=3000)
        assert (drawn == table[(drawn[:, 0] / 3).astype(int)]).all(), "whole rows, as they were"
        return drawn[:, 0] / 3

    assert stats.chisquare(np.bincount(rows(1).astype(int), minlength=10)).pvalue > 1e-3
    assert (rows(1) == rows(1)).all() and (rows(1) != rows(2)).any()
    assert (signals.draw(table[2], 3, RNG, index=None) == table[2:3]).all()
    for name in signals.SIGNALS:  # drawn from rng alone: the index is nothing to them
        numbered, random = (
            signals.draw(name, 9, np.random.default_rng(0), index=index, batch=4)
            for index in (7, None)
        )
        assert (numbered == random).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_windows_of_an_array_of_ones_own_are_those_of_a_recording(dtype):
    eeg = signals.recording("eeg")
    by_name = signals.windows("eeg", 100, [0, 300, 700], [1, 0, 3])
    assert (signals.windows(eeg, 100, [0, 300, 700], [1, 0, 3]) == by_name).all()
    own = np.cumsum(RNG.integers(-9, 9, 60)).astype(dtype)  # one channel: no need to say which
    found = signals.windows(own, 20, range(41))
    assert np.allclose(found.mean(1), 0, atol=1e-12) and np.allclose(found.std(1), 1)
    assert np.allclose(found[5] * own[5:25].astype(float).std() + own[5:25].mean(), own[5:25])
    assert (signals.windows(own[None], 20, range(41), [0] * 41) == found).all()


def test_windows_that_cannot_be_scaled_are_an_error(monkeypatch):
    monkeypatch.setattr(signals, "recording", lambda name: np.full((1, 50), 0.1))
    with pytest.raises(ValueError, match="signal 'ecg' has a constant window of 8 samples"):
        signals.draw("ecg", 8, RNG)
    with pytest.raises(ValueError, match="signal has a constant window of 7 samples"):
        signals.windows([0.1] * 7 + [1.0] * 9, 7, [0])  # whose mean is not 0.1 in double


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda: signals.check(np.ones(4) * 1j, 4),
            TypeError,
            "array of real numbers, got ndarray of complex128",
        ),
        (
            lambda: signals.check([True] * 4, 4),
            TypeError,
            "array of real numbers, got list of bool",
        ),
        (lambda: signals.check(["a"] * 4, 4), TypeError, "array of real numbers, got list of <U1"),
        (
            lambda: signals.check(np.ma.masked_less([0.0, 1.0, 2.0, 3.0], 1), 4),
            TypeError,
            "signal must be an array without a mask, got masked entries",
        ),
        (
            lambda: signals.check([None] * 4, 4),
            TypeError,
            "array of real numbers, got list of object",
        ),
        (
            lambda: signals.check([[1.0], [1.0, 2.0]], 2),
            TypeError,
            "array of real numbers, got list: .*inhomogeneous",
        ),
        (
            lambda: signals.check(torch.ones(4, requires_grad=True), 4),
            TypeError,
            "got Tensor: .*requires grad",
        ),
        (
            lambda: signals.check(3, 4),
            TypeError,
            "signal must be a name or an array of real numbers, got int",
        ),
        (
            lambda: signals.recording("foo"),
            ValueError,
            "name must be one of eeg, ecg, sunspots, got 'foo'",
        ),
        (
            lambda: signals.windows("uniform", 5, [0]),
            ValueError,
            "signal must be one of eeg, ecg, sunspots, got 'uniform'",
        ),
        (
            lambda: signals.windows("ecg", 5, [[0], [0, 1]]),
            TypeError,
            r"starts must be an integer of at least 0, got \[0\]",
        ),
        (
            lambda: signals.windows("ecg", 2000, [0], [0]),
            ValueError,
            "n must be between 2 and 1024, .* got 2000",
        ),
        (
            lambda: signals.windows("ecg", 500, [600], [0]),
            ValueError,
            "channels and starts must be of 500 samples within",
        ),
        (
            lambda: signals.windows("ecg", 500, [0], [1]),
            ValueError,
            r"within \(1, 1024\), got 1 and 0",
        ),
        (
            lambda: signals.windows("ecg", 500, ["a"], [0]),
            TypeError,
            "starts must be an integer of at least 0, got 'a'",
        ),
        (
            lambda: signals.windows(np.ones(9) * 1j, 4, [0]),
            TypeError,
            "signal must be a name or an array of real numbers, got ndarray of complex128",
        ),
        (
            lambda: signals.windows(np.ones((2, 2, 9)), 4, [0], [0]),
            ValueError,
            r"signal must have shape \(samples,\) or \(channels, samples\), got \(2, 2, 9\)",
        ),
        (
            lambda: signals.windows([0.0, np.nan, 1.0], 2, [0]),
            ValueError,
            "signal must be finite, got a NaN or an infinity",
        ),
        (
            lambda: signals.windows(np.arange(9.0), 10, [0]),
            ValueError,
            "n must be between 2 and 9, the samples of the signal, got 10",
        ),
        (
            lambda: signals.windows(np.ones((3, 9)), 4, [0]),
            ValueError,
            "channels must be given for a signal of 3 channels, got None",
        ),
        (
            lambda: signals.windows(np.arange(9.0), 4, [0, 1], [0]),
            ValueError,
            "starts and channels must have one entry a window, at least one, got 2 and 1",
        ),
        (
            lambda: signals.windows(np.arange(9.0), 4, []),
            ValueError,
            "starts and channels must have one entry a window, at least one, got 0 and 0",
        ),
        (
            lambda: signals.windows(np.arange(9.0), 4, 3),
            TypeError,
            "starts must be a list of integers, got 3",
        ),
        (
            lambda: signals.draw("uniform", 4, None),
            TypeError,
            "rng must be a numpy Generator, got None",
        ),
        (lambda: signals.draw("uniform", 4, 0), TypeError, "rng must be a numpy Generator, got 0"),
        (
            lambda: signals.draw(np.ones(4), 4, RNG, index="a"),
            TypeError,
            "index must be an integer of at least 0, got 'a'",
        ),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "offset, size", [(1e12, 1), (1e15, 1), (1e300, 1e290), (0, 1e-310), (0, 5e306)]
)
def test_windows_are_standard_however_far_from_zero_and_however_small(offset, size):
    signal = offset + size * np.random.default_rng(0).standard_normal(500)
    found = signals.windows(signal, 100, range(0, 400, 100))
    assert abs(found.mean(1)).max() < 1e-14 and abs(found.std(1) - 1).max() < 1e-14


def test_what_the_starts_see_of_a_table_is_what_they_draw():
    table = np.arange(30.0).reshape(10, 3)
    for inits, batch in ((2, 3), (7, 2), (10, 2)):
        rows = [signals.draw(table, 3, RNG, index=i, batch=batch) for i in range(inits)]
        drawn = np.sort(np.concatenate(rows), axis=0)
        seen = np.sort(signals.seen(table, inits, batch), axis=0)
        assert (np.unique(seen, axis=0) == np.unique(drawn, axis=0)).all()
        assert seen.mean() == pytest.approx(drawn.mean())
    assert signals.seen("uniform", 3) == "uniform"


@pytest.mark.parametrize("name", ("birds", None, ["eeg"]))
def test_a_recording_that_is_none_is_a_sentence(name):
    with pytest.raises(ValueError, match="name must be one of eeg, ecg, sunspots, got"):
        signals.recording(name)
