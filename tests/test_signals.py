"""Noise has its moments, recordings their length and source, windows zero mean and unit variance."""

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


def test_a_table_gives_its_rows_in_turn():
    table = np.arange(12.0).reshape(4, 3)
    assert (signals.draw(table, 3, RNG, index=1, batch=3) == table[[3, 0, 1]]).all()
    assert (signals.draw(table[0], 3, RNG, index=9) == table[:1]).all()


def test_a_constant_window_is_an_error(monkeypatch):
    monkeypatch.setattr(signals, "recording", lambda name: np.ones((1, 50)))
    with pytest.raises(ValueError, match="constant window of 8 samples"):
        signals.draw("ecg", 8, RNG)


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
