"""Noise has its moments, recordings their length and source, windows zero mean and unit variance."""

import numpy as np
import pytest
from scipy import stats

from lct_lab import signals

RNG = np.random.default_rng(0)


def test_noise_has_its_distribution():
    assert stats.kstest(signals.draw("uniform", 5000, RNG)[0], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert stats.kstest(signals.draw("normal", 5000, RNG)[0], "norm").pvalue > 1e-3
    assert signals.draw("normal", 7, RNG, batch=3).shape == (3, 7)


@pytest.mark.parametrize("name, shape", [("eeg", (4, 800)), ("ecg", (1, 1024)), ("sunspots", (1, 309))])
def test_recordings(name, shape):
    source = signals.recording(name)
    assert source.shape == shape and np.isfinite(source).all() and name in signals.RECORDINGS
    drawn = signals.draw(name, 128, np.random.default_rng(1), batch=20)
    assert np.allclose(drawn.mean(1), 0, atol=1e-12) and np.allclose(drawn.std(1), 1)
    whole = [(r - r.mean()) / r.std() for c in source for r in np.lib.stride_tricks.sliding_window_view(c, 128)]
    assert all(np.isclose(whole, window).all(1).any() for window in drawn[:5]), (
        "each window is a piece of the recording"
    )
    longest = shape[1]
    assert signals.draw(name, longest, RNG).shape == (1, longest)
    with pytest.raises(
        ValueError, match=f"between 2 and {longest}, the length of the recording '{name}', got {longest + 1}"
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
